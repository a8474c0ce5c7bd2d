"""BigQuery as a source: what it says of itself, and that what is written for it is understood."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery as google

from edge import edge_of
from etl_factory.errors import AccessDeniedError, TransientError
from etl_factory.sources import bigquery
from etl_factory.sources.base import Connection
from etl_factory.sources.bigquery import BigQuerySource, predicate, relation
from etl_factory.windows import Window

pytestmark = pytest.mark.stack

PROJECT, CONN_ID = "acme-analytics", "acme__contract"
INSTANTS = [datetime(2024, 6, 1, 10, 0, 0, micro, UTC) for micro in (0, 1, 2)]
WINDOWS = [
    Window("instant", INSTANTS[0], INSTANTS[1]),
    Window("naive", INSTANTS[0].replace(tzinfo=None), INSTANTS[1].replace(tzinfo=None)),
    Window("date", date(2024, 2, 28), date(2024, 2, 29)),
    Window("integer", -5, 0),
]


def client(endpoint: str) -> google.Client:
    return google.Client(PROJECT, AnonymousCredentials(), client_options={"api_endpoint": endpoint})


@pytest.fixture(scope="module")
def emulator(stack: dict[str, str]) -> Iterator[google.Client]:
    opened = client(stack["BIGQUERY_EMULATOR_HOST"])
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def table(emulator: google.Client) -> Iterator[str]:
    """Return a table whose rows 0 to 2 hold each cursor value once, and row 3 NULL in every cursor."""
    dataset = f"contract_{uuid.uuid4().hex[:8]}"
    emulator.create_dataset(dataset)
    name = f"{PROJECT}.{dataset}.daily-2024"
    columns = "id INT64, instant TIMESTAMP, naive DATETIME, date DATE, integer INT64"
    days, numbers = ("2024-02-28", "2024-02-29", "2024-03-01"), (-5, 0, 2**62)
    rows = ", ".join(
        f"({i}, TIMESTAMP '{at}', DATETIME '{at:%Y-%m-%d %H:%M:%S.%f}', DATE '{days[i]}', {numbers[i]})"
        for i, at in enumerate(INSTANTS)
    )
    emulator.query_and_wait(f"CREATE TABLE `{name}` ({columns})")
    emulator.query_and_wait(f"INSERT INTO `{name}` VALUES {rows}, (3, NULL, NULL, NULL, NULL)")
    yield name
    emulator.delete_dataset(dataset, delete_contents=True)


def source(opened: Any) -> BigQuerySource:
    return BigQuerySource(Connection(CONN_ID), opened)


def test_check_asks_the_system(emulator: google.Client) -> None:
    assert source(emulator).check() == "BigQuery as project acme-analytics"


def test_discover_lists_tables_with_columns(emulator: google.Client, table: str) -> None:
    found = {item.name: item for item in source(emulator).discover()}

    assert found[table].columns == (
        ("id", "INTEGER"), ("instant", "TIMESTAMP"), ("naive", "DATETIME"), ("date", "DATE"), ("integer", "INTEGER"),
    )  # fmt: skip


@pytest.mark.parametrize("gone", ["/tables?", "/tables/daily-2024?"])
def test_discover_leaves_out_what_is_dropped_meanwhile(stack: dict[str, str], table: str, gone: str) -> None:
    body = b'{"error": {"code": 404, "message": "Not found"}}'
    dataset = table.split(".")[1]
    with edge_of(stack["BIGQUERY_EMULATOR_HOST"]) as edge:
        edge.answers(f"{dataset}{gone}", 404, body, times=9, Content_Type="application/json")
        opened = client(edge.url)
        names = {item.name for item in source(opened).discover()}
        opened.close()

    assert edge.faults[0].times < 9
    assert table not in names


@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: window.kind)
@pytest.mark.parametrize("tail", ["", " ;\n", "; -- all of it", " # all of it"])
def test_windows_over_tables_and_queries(
    emulator: google.Client, table: str, window: Window, tail: str
) -> None:
    where = predicate(window.kind, window)
    for read in (relation(table, None), relation(None, f"SELECT * FROM `{table}`{tail}")):
        rows = emulator.query_and_wait(f"SELECT id FROM {read}{where} ORDER BY id")
        assert [row["id"] for row in rows] == [0, 3]


def test_denied_names_the_grant(emulator: google.Client, stack: dict[str, str]) -> None:
    body = b'{"error": {"code": 403, "message": "no bigquery.jobs.create", "errors": [{"reason": "accessDenied"}]}}'
    with edge_of(stack["BIGQUERY_EMULATOR_HOST"]) as edge:
        edge.answers("", 403, body, times=9, Content_Type="application/json")
        opened = client(edge.url)
        for ask in (source(opened).check, lambda: list(source(opened).discover())):
            with pytest.raises(
                AccessDeniedError, match=r"no bigquery\.jobs\.create.*grant roles/bigquery\.jobUser"
            ):
                ask()
        opened.close()


def test_unreachable(stack: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bigquery, "RETRY_SECONDS", 0.1)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        at = f"127.0.0.1:{closed.getsockname()[1]}"
    opened = client(f"http://{at}")
    for ask in (source(opened).check, lambda: list(source(opened).discover())):
        with pytest.raises(TransientError, match=f"BigQuery at {at} cannot be reached"):
            ask()
    opened.close()
