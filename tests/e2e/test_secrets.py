"""No password is ever written outside Secret Manager: not in a log, an XCom, the metadata, nor an object."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import systems
from local_airflow import Local
from main_job import Loaded

pytestmark = [pytest.mark.stack, pytest.mark.airflow]
SPELLINGS = {
    spelling.encode()
    for secret in (systems.CANARY, "Canary-7f3")
    for spelling in (
        secret,
        quote(secret, safe=""),
        base64.b64encode(secret.encode()).decode().rstrip("=")[:-1],
    )
}
PLACES = ("airflow", "log", "data/gcs", "data/bigquery", "data/s3", "data/azure")


def holding(data: bytes) -> bool:
    """Whether some spelling of the canary is in `data`."""
    return any(spelling in data for spelling in SPELLINGS)


def files(home: Path) -> Iterator[Path]:
    """Yield every file that Airflow, its tasks and the storage servers have written."""
    for place in PLACES:
        yield from (path for path in (home / place).rglob("*") if path.is_file())


def test_the_search_finds_what_is_there() -> None:
    assert holding(f"password={quote(systems.CANARY, safe='')}".encode())
    assert not holding(b"password=***")


def test_no_log_and_no_object_holds_a_password(
    local: Local, loaded: Loaded, failed: dict[str, tuple[str, str]]
) -> None:
    found = list(files(local.home))
    assert any("task_id=" in str(path) for path in found), "task logs are among the files"
    assert any("e2e-landing" in str(path) for path in found), (
        "manifests of published loads are among the files"
    )
    kept = [path for path in found if "bad-landing" in str(path) and "raw" in path.parts]
    assert kept, "objects of loads that failed are among the files"
    assert [str(path) for path in found if holding(path.read_bytes())] == []


def test_metadata_database_holds_no_password(
    local: Local, loaded: Loaded, failed: dict[str, tuple[str, str]]
) -> None:
    url = local.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    dump = dump_database(url)
    assert b"e2e__shop_pg" in dump
    assert not holding(dump)


def dump_database(url: str) -> bytes:
    """Return every table of a database as text, XComs and rendered fields included."""
    import psycopg2

    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        tables = cursor.fetchall()
        assert {"xcom", "rendered_task_instance_fields", "task_instance"} <= {name for _, name in tables}
        text = b""
        for schema, name in tables:
            cursor.execute(f'SELECT t::text FROM "{schema}"."{name}" t')
            text += "\n".join(row[0] for row in cursor.fetchall()).encode()
    connection.close()
    return text
