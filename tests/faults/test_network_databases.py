"""A database behind a line that is cut, held or refused: an early end is an error, and no row is made up."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pytest
from network_line import Line, line_to

from etl_factory.errors import AccountingError, TransientError
from etl_factory.operators import google
from etl_factory.sources import _silence
from etl_factory.sources.base import Connection, Selection, TableSource
from etl_factory.sources.mysql import MySQLSource
from etl_factory.sources.postgres import PostgresSource
from etl_factory.transfers.base import extract_table
from examples import Write
from fakes import FakeLanding, FakeWarehouse, resource_of
from scheduling import PLAYS_ALL

pytestmark = pytest.mark.stack
ROWS, WIDTH = 60_000 if PLAYS_ALL else 25_000, 100
ALL_BYTES = ROWS * WIDTH
HANDSHAKE = 300_000  # bytes; login and the list of types take fewer
ORDERS = Selection(table="orders")


@dataclass
class Database:
    """A database with one table, behind a line."""

    kind: type[TableSource]
    direct: Connection
    line: Line

    def source(self, **changes: Any) -> TableSource:
        """Return the source, whose connection's host and port are the line's."""
        return self.kind(replace(self.direct, host="127.0.0.1", port=self.line.port, **changes))

    def read(self) -> tuple[int, list[pa.RecordBatch]]:
        """Return the source's own count, and all that it reads."""
        with self.source().snapshot(ORDERS) as snapshot:
            return snapshot.count(None), list(snapshot.read(None))


def admin(kind: type[TableSource], database: str = "") -> Any:
    url = urlsplit(os.environ["POSTGRES_URL" if kind is PostgresSource else "MYSQL_URL"])
    login = {
        "host": url.hostname,
        "port": url.port,
        "user": url.username,
        "password": unquote(url.password or ""),
    }
    if kind is PostgresSource:
        import psycopg2

        opened = psycopg2.connect(dbname=database or url.path[1:], **login)
        opened.autocommit = True
        return opened
    import MySQLdb

    return MySQLdb.connect(database=database or url.path[1:], autocommit=True, **login)


FILL = {
    PostgresSource: f"INSERT INTO orders SELECT n, repeat('x', {WIDTH}) FROM generate_series(1, {ROWS}) AS n",
    MySQLSource: f"INSERT INTO orders SELECT seq, repeat('x', {WIDTH}) FROM seq_1_to_{ROWS}",
}


@pytest.fixture(scope="module", params=[PostgresSource, MySQLSource], ids=lambda kind: kind.type)
def direct(request: pytest.FixtureRequest, stack: object) -> Iterator[tuple[type[TableSource], Connection]]:
    """Make a database with a table."""
    kind, name = request.param, f"faults_{uuid.uuid4().hex[:8]}"
    with closing(admin(kind)) as opened, closing(opened.cursor()) as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        with closing(admin(kind, name)) as inner, closing(inner.cursor()) as made:
            made.execute("CREATE TABLE orders (id int PRIMARY KEY, note text)")
            made.execute(FILL[kind])
        url = urlsplit(os.environ["POSTGRES_URL" if kind is PostgresSource else "MYSQL_URL"])
        yield (
            kind,
            Connection(
                "acme__shop", kind.type, host=url.hostname or "", port=url.port, login=unquote(url.username or ""),
                database=name, password=unquote(url.password or ""),
            ),
        )  # fmt: skip
        cursor.execute(f"DROP DATABASE {name}" + (" WITH (FORCE)" if kind is PostgresSource else ""))


@pytest.fixture
def database(direct: tuple[type[TableSource], Connection]) -> Iterator[Database]:
    kind, connection = direct
    with line_to(connection.host, connection.port or 0) as line:
        yield Database(kind, connection, line)


def test_a_line_that_holds_is_read_whole(database: Database) -> None:
    count, batches = database.read()

    assert count == sum(batch.num_rows for batch in batches) == ROWS
    assert {row for batch in batches for row in batch["note"].to_pylist()} == {"x" * WIDTH}


STEPS = 40 if PLAYS_ALL else 2
AFTER = [HANDSHAKE + step * (ALL_BYTES - HANDSHAKE) // STEPS + step for step in range(STEPS)]


@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_line_cut_in_mid_read_is_never_the_end_of_the_rows(
    database: Database, how: Any, after: int
) -> None:
    """An orderly close too, which a driver could take for the end."""
    database.line.fails(how, after)

    with pytest.raises(
        TransientError, match=rf"acme__shop .*127\.0\.0\.1:{database.line.port} does not answer"
    ):
        database.read()
    database.line.mend()
    assert database.read()[0] == ROWS


EARLY = [1, 20, 100, 500, 1_000, 2_000, 4_000] if PLAYS_ALL else [1, 1_000]


@pytest.mark.parametrize("after", EARLY)
@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_line_cut_at_login_or_count_is_transient(database: Database, how: Any, after: int) -> None:
    database.line.fails(how, after)

    with pytest.raises(TransientError, match="does not answer as it should"):
        database.read()
    assert (
        database.line.taken <= 2
    )  # Airflow's retry is next; PostgreSQL's driver asks for types by one of its own


def test_nobody_listens(database: Database) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        source = database.kind(replace(database.direct, port=closed.getsockname()[1]))
        with pytest.raises(
            TransientError, match=r"does not answer as it should: .*Check host, port, firewall"
        ):
            source.check()


@pytest.mark.parametrize("after", [2_000, ALL_BYTES // 2], ids=["before the rows", "among the rows"])
def test_a_server_that_says_nothing_more_is_given_up(
    database: Database, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_silence, "SILENCE_SECONDS", 1)
    database.line.fails("hold", after)
    began = time.monotonic()

    with pytest.raises(TransientError, match="does not answer as it should"):
        database.read()

    assert time.monotonic() - began < 20


def test_a_reader_that_takes_its_time_is_not_given_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While rows wait for us, in front of an upload that is slow, the silence is ours."""
    monkeypatch.setattr(_silence, "SILENCE_SECONDS", 1)
    with database.source().snapshot(ORDERS) as snapshot:
        batches = snapshot.read(None)
        rows = next(batches).num_rows
        deadline = time.monotonic() + 1.7
        while time.monotonic() < deadline:
            time.sleep(0.1)
        rows += sum(batch.num_rows for batch in batches)

    assert rows == ROWS


def test_a_read_that_is_left_early_reads_no_further(database: Database) -> None:
    """As one of a sample, or one whose upload failed: the rest of a large table would take hours."""
    with database.source().snapshot(ORDERS) as snapshot:
        batches = snapshot.read(None)
        next(batches)
        began = time.monotonic()
        del batches

    assert time.monotonic() - began < 10


def context() -> dict[str, Any]:
    run = SimpleNamespace(run_id="manual__1", conf={}, run_after=datetime.now(UTC), run_type="manual")
    return {"ti": SimpleNamespace(try_number=1), "dag_run": run, "params": {}}


@pytest.fixture
def landing(write: Write, monkeypatch: pytest.MonkeyPatch) -> FakeLanding:
    """Keep what the extract writes in memory."""
    landing = FakeLanding()
    monkeypatch.setattr(google, "landing", lambda resource: landing)
    monkeypatch.setattr(google, "warehouse", lambda resource: FakeWarehouse(resource.target))
    return landing


def test_a_cut_leaves_no_manifest(database: Database, landing: FakeLanding, write: Write) -> None:
    resource = resource_of(write, "table: orders\nload: catalog", type_=database.kind.type)
    database.line.fails("end", ALL_BYTES // 2)

    with pytest.raises(TransientError):
        extract_table(context(), resource, database.source())

    assert not [uri for uri in landing.objects if uri.endswith(("manifest.json", ".parquet"))]
    database.line.mend()
    assert extract_table(context(), resource, database.source())["rows"] == ROWS


def test_an_early_end_that_no_driver_noticed_is_counted(
    database: Database, landing: FakeLanding, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were a cut ever taken for the end, the source's own count would still refuse it."""
    resource = resource_of(write, "table: orders\nload: catalog", type_=database.kind.type)
    source = database.source()
    with source.snapshot(ORDERS) as snapshot:
        whole = type(snapshot).read
    monkeypatch.setattr(
        type(snapshot), "read", lambda self, window: iter([next(whole(self, window)).slice(1)])
    )

    with pytest.raises(AccountingError, match=f"the source counted {ROWS} rows"):
        extract_table(context(), resource, source)

    assert not [uri for uri in landing.objects if uri.endswith("manifest.json")]
