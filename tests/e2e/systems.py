"""Fills and changes the six systems of the e2e tests, each through a client of its own."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import astuple
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg2
from google.cloud.bigquery import QueryJobConfig
from google.cloud.bigquery import ScalarQueryParameter as Parameter
from records import AZURE, CHANGED, GCS, RECORDS, S3, Record, delimited

from demo import systems as clients

CANARY = "Canary-7f3/a:b@c%d"
"""Part of every password here: it must never be seen outside Secret Manager."""
LOGIN = "e2e_reader"
COLUMNS = "(id bigint PRIMARY KEY, name varchar(200), amount {}, moment {}, note text, updated_at {})"
POSTGRES = COLUMNS.format("numeric(38, 9)", "timestamptz", "timestamptz")
MYSQL = COLUMNS.format("decimal(38, 9)", "timestamp(6) NULL", "timestamp(6) NULL") + " CHARACTER SET utf8mb4"
BIGQUERY = "(id INT64, name STRING, amount NUMERIC, moment TIMESTAMP, note STRING, updated_at TIMESTAMP)"
TYPES = ("INT64", "STRING", "NUMERIC", "TIMESTAMP", "STRING", "TIMESTAMP")
PARTNER = "e2e-partner"
BUCKET = "e2e-files"
Env = Mapping[str, str]


def seed(env: Env) -> None:
    """Make every system as the first load finds it."""
    postgres(env, "DROP SCHEMA IF EXISTS e2e CASCADE", "CREATE SCHEMA e2e")
    postgres(env, f"CREATE TABLE e2e.items {POSTGRES}", f"CREATE TABLE e2e.empty {POSTGRES}")
    mysql(env, "CREATE DATABASE IF NOT EXISTS e2e", "DROP TABLE IF EXISTS e2e.items")
    mysql(env, f"CREATE TABLE e2e.items {MYSQL}")
    bigquery("CREATE SCHEMA IF NOT EXISTS shared", "DROP TABLE IF EXISTS shared.items")
    bigquery(f"CREATE TABLE shared.items {BIGQUERY}")
    insert(env, RECORDS[:6])
    create_logins(env)
    make_buckets(env)
    upload(env, first=True)
    upload_bad(env)


def change(env: Env) -> None:
    """Update row 1, delete row 3, insert rows 8 and 9; change one file of each set and add another."""
    for sql in (
        "DELETE FROM {} WHERE id = 3",
        f"UPDATE {{}} SET amount = {CHANGED.amount:f}, note = '{CHANGED.note}', updated_at = {{now}} WHERE id = 1",
    ):
        postgres(env, sql.format("e2e.items", now="now()"))
        mysql(env, sql.format("e2e.items", now="UTC_TIMESTAMP(6)"))
        bigquery(sql.format("shared.items", now="CURRENT_TIMESTAMP()"))
    insert(env, RECORDS[7:9], now=True)
    upload(env, first=False)


def insert(env: Env, rows: Iterable[Record], *, now: bool = False) -> None:
    """Insert rows into all three databases, as changed at their own moment, or now."""
    for row in rows:
        values = astuple(row)
        changed = "{}" if now else "%s"
        sql = f"INSERT INTO e2e.items VALUES (%s, %s, %s, %s, %s, {changed})"
        parameters = values if now else (*values, row.moment)
        postgres(env, sql.format("now()"), parameters=parameters)
        naive = tuple(v.replace(tzinfo=None) if v is row.moment else v for v in parameters)
        mysql(env, sql.format("UTC_TIMESTAMP(6)"), parameters=naive)
        marks = "?, ?, ?, ?, ?, " + ("CURRENT_TIMESTAMP()" if now else "?")
        bigquery(f"INSERT INTO shared.items VALUES ({marks})", parameters=parameters)


def postgres(env: Env, *statements: str, parameters: tuple[Any, ...] | None = None) -> None:
    """Run statements in the stack's PostgreSQL, in one transaction."""
    with (
        closing(psycopg2.connect(env["POSTGRES_URL"])) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        for statement in statements:
            cursor.execute(statement, parameters)


def mysql(env: Env, *statements: str, parameters: tuple[Any, ...] | None = None) -> None:
    """Run statements in the stack's MySQL, in UTC."""
    with closing(clients.mysql_connection(env["MYSQL_URL"])) as connection, connection.cursor() as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        for statement in statements:
            cursor.execute(statement, parameters)
        connection.commit()


def bigquery(*statements: str, parameters: tuple[Any, ...] = ()) -> None:
    """Run statements in the partner's project."""
    bound = [Parameter(None, type_, value) for type_, value in zip(TYPES, parameters, strict=False)]
    for statement in statements:
        client = clients.bigquery_client(PARTNER)
        client.query_and_wait(statement, job_config=QueryJobConfig(query_parameters=bound))


def create_logins(env: Env) -> None:
    """Make the login that the tenants' connections use, whose password is the canary."""
    postgres(env, f"DROP ROLE IF EXISTS {LOGIN}")
    postgres(env, f"CREATE ROLE {LOGIN} LOGIN PASSWORD '{CANARY}'", f"GRANT USAGE ON SCHEMA e2e TO {LOGIN}")
    postgres(env, f"GRANT SELECT ON ALL TABLES IN SCHEMA e2e TO {LOGIN}")
    for host in ("localhost", "127.0.0.1"):
        mysql(env, f"CREATE OR REPLACE USER {LOGIN}@{host} IDENTIFIED BY '{CANARY}'")
        mysql(env, f"GRANT SELECT ON e2e.* TO {LOGIN}@{host}")


def make_buckets(env: Env) -> None:
    """Make the landing buckets, and empty ones for the files."""
    for name in ("e2e-landing", "bad-landing"):
        clients._bucket(name)
    for blob in clients.storage_client().list_blobs(clients._bucket(BUCKET)):
        blob.delete()
    client = clients.s3_client(env)
    client.create_bucket(Bucket=BUCKET)
    for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=item["Key"])
    container = clients.azure_client(env).get_container_client(BUCKET)
    if not container.exists():
        container.create_container()
    for blob in container.list_blobs():
        container.delete_blob(blob.name)


def upload(env: Env, *, first: bool) -> None:
    """Upload each file set's objects, one age after another."""
    for position in (0, 1):
        for sets, put in ((S3, put_s3), (GCS, put_gcs), (AZURE, put_azure)):
            for files in sets:
                put(env, *list((files.first() if first else files.second()).items())[position])
        # Modification times of S3 and Azure Blob have whole seconds.
        time.sleep(1.1)


def put_s3(env: Env, name: str, body: bytes) -> None:
    """Upload one object to S3."""
    clients.s3_client(env).put_object(Bucket=BUCKET, Key=name, Body=body)


def put_gcs(_: Env, name: str, body: bytes) -> None:
    """Upload one object to GCS."""
    clients.storage_client().bucket(BUCKET).blob(name).upload_from_string(body)


def put_azure(env: Env, name: str, body: bytes) -> None:
    """Upload one blob to Azure."""
    clients.azure_client(env).get_blob_client(BUCKET, name).upload_blob(body, overwrite=True)


def upload_bad(env: Env) -> None:
    """Upload the files that cannot be loaded."""
    whole = gzip.compress(delimited(RECORDS[:6]).encode())
    put_s3(env, "damaged/cut.csv.gz", whole[: len(whole) // 2])
    put_s3(env, "damaged/bad.csv", b"id,amount\n1,1.5\n2,two\n3,3.5\n")
    put_s3(env, "nothing/empty.csv", b"")
    put_s3(env, "nothing/header.csv", b"id,amount\n")


def connections(env: Env) -> dict[str, str]:
    """Return each connection of all tenants, as it is stored in Secret Manager."""
    shop, shop_my = (_with_login(env[name]) for name in ("POSTGRES_URL", "MYSQL_URL"))
    aws = {
        "conn_type": "aws",
        "login": env["AWS_ACCESS_KEY_ID"],
        "password": f"{CANARY}-aws",
        "extra": {"endpoint_url": env["S3_ENDPOINT_URL"], "region_name": env["AWS_DEFAULT_REGION"]},
    }
    azure = {"conn_type": "wasb", "extra": {"connection_string": env["AZURE_STORAGE_CONNECTION_STRING"]}}
    wrong = quote(f"{CANARY}-wrong", safe="")
    return {
        "e2e__shop_pg": shop,
        "e2e__shop_my": shop_my.rpartition("/")[0] + "/e2e",
        "e2e__files_s3": json.dumps(aws),
        "e2e__files_azure": json.dumps(azure),
        "past__shop_pg": shop,
        "bad__shop": shop,
        "bad__wrong_password": shop.replace(quote(CANARY, safe=""), wrong),
        "bad__wrong_mysql": (shop_my.rpartition("/")[0] + "/e2e").replace(quote(CANARY, safe=""), wrong),
        "bad__unreachable": f"postgresql://{LOGIN}:{quote(CANARY, safe='')}@127.0.0.1:1/postgres",
        "bad__files": json.dumps(aws),
        "bad__azure": json.dumps(azure),
    }


def _with_login(url: str) -> str:
    to = urlsplit(url)
    return f"{to.scheme}://{LOGIN}:{quote(CANARY, safe='')}@{to.hostname}:{to.port}{to.path}"
