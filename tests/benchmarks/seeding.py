"""Puts the tables, files and objects in place, once: what is there already in the same size stays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from benchmarks.files import blobs, make_files
from benchmarks.scale import BUCKET, Scale
from benchmarks.shapes import Table, tables

Say = Callable[[str], None]
Execute = Callable[[str], list[Any]]  # a statement, and the rows that it returns

# MariaDB reads past the system's cache: with its default of 128 MB, each sample would measure the disk.
MEMORY_BYTES = 1024**3


def seed(scale: Scale, work: Path, say: Say) -> None:
    """Make everything that the cases of a scale read."""
    say("making files")
    make_files(work / "files", scale.file_rows)
    for system, execute in (("postgres", postgres), ("mysql", mysql)):
        if f"{system.upper()}_URL" in os.environ:
            _seed_tables(system, scale, execute(), say)
    say("making objects")
    _seed_gcs()
    _seed_s3(scale)
    _seed_azure(scale)


def _seed_tables(system: str, scale: Scale, execute: Execute, say: Say) -> None:
    if system == "mysql":
        execute(f"SET GLOBAL innodb_buffer_pool_size = {MEMORY_BYTES}")
    execute("CREATE TABLE IF NOT EXISTS bench_seeds (name varchar(64), recipe text)")
    for table in tables(scale.rows):
        statements = getattr(table, system)()
        recipe = "; ".join(statements).replace("'", "''")
        if execute(f"SELECT 1 FROM bench_seeds WHERE name = '{table.name}' AND recipe = '{recipe}'"):
            continue
        say(f"making {table.name} in {system}, {table.rows} rows")
        _make(table, statements, recipe, execute)


def _make(table: Table, statements: list[str], recipe: str, execute: Execute) -> None:
    execute(f"DELETE FROM bench_seeds WHERE name = '{table.name}'")
    for statement in statements:
        execute(statement)
    execute(f"INSERT INTO bench_seeds VALUES ('{table.name}', '{recipe}')")


def postgres() -> Execute:
    """Return what executes a statement in the stack's PostgreSQL."""
    import psycopg2

    connection = psycopg2.connect(os.environ["POSTGRES_URL"])
    connection.autocommit = True
    return lambda sql: _executed(connection.cursor(), sql)


def mysql() -> Execute:
    """Return what executes a statement in the stack's MariaDB."""
    import MySQLdb

    to = urlparse(os.environ["MYSQL_URL"])
    connection = MySQLdb.connect(
        host=to.hostname, port=to.port, user=to.username, password=to.password, database=to.path[1:],
        charset="utf8mb4", autocommit=True,
    )  # fmt: skip
    return lambda sql: _executed(connection.cursor(), sql)


def _executed(cursor: Any, sql: str) -> list[Any]:
    with cursor:
        cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []


def _seed_gcs() -> None:
    from benchmarks.subjects.places import storage_client

    if not (bucket := storage_client().bucket(BUCKET)).exists():
        bucket.create()


def _seed_s3(scale: Scale) -> None:
    import boto3

    client = boto3.client(
        "s3", endpoint_url=os.environ["S3_ENDPOINT_URL"], region_name="us-east-1",
        aws_access_key_id="local", aws_secret_access_key="local",
    )  # fmt: skip
    client.create_bucket(Bucket=BUCKET)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    held = {found["Key"]: found["Size"] for page in pages for found in page.get("Contents", ())}
    for key, data in _missing(scale, held):
        client.put_object(Bucket=BUCKET, Key=key, Body=data)


def _seed_azure(scale: Scale) -> None:
    from azure.core.exceptions import ResourceExistsError
    from azure.storage.blob import BlobServiceClient

    service = BlobServiceClient.from_connection_string(os.environ["AZURE_STORAGE_CONNECTION_STRING"])
    container = service.get_container_client(BUCKET)
    with suppress(ResourceExistsError):
        container.create_container()
    held = {found.name: found.size for found in container.list_blobs()}
    for key, data in _missing(scale, held):
        container.upload_blob(key, data, overwrite=True)


def _missing(scale: Scale, held: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    """Yield the objects that are not there in the right size, by key."""
    for folder, count in scale.folders():
        for name, data in blobs(count, scale.object_bytes):
            if held.get(f"{folder}/{name}") != len(data):
                yield f"{folder}/{name}", data
