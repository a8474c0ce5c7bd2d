"""A PostgreSQL standby that is behind its primary loses no row: a window ends where it has replayed."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg2
import pytest

from devstack import postgres
from devstack.process import Home, Process
from etl_factory.sources.base import Connection, Selection
from etl_factory.sources.postgres import PostgresSource
from etl_factory.windows import Window

pytestmark = pytest.mark.stack
SELECTION = Selection(table="public.standby_rows", cursor="seen")


@dataclass(frozen=True)
class Pair:
    """A primary and its standby, each by its connection."""

    primary: Connection
    standby: Connection

    def ask(self, sql: str, *, of: Connection) -> Any:
        """Run a statement, and return the first value of its answer."""
        login = {"user": of.login, "password": of.password, "dbname": of.database}
        with closing(psycopg2.connect(host=of.host, port=of.port, **login)) as opened:
            opened.autocommit = True
            with opened.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchone()[0] if cursor.description else None

    def catch_up(self) -> None:
        """Wait until the standby has replayed what the primary has written."""
        written = self.ask("SELECT pg_current_wal_lsn()", of=self.primary)
        for _ in range(300):
            if self.ask(f"SELECT pg_last_wal_replay_lsn() >= '{written}'", of=self.standby):
                return
            time.sleep(0.1)
        raise AssertionError("the standby does not catch up")


@pytest.fixture(scope="module")
def pair(stack: dict[str, str]) -> Iterator[Pair]:
    """Start a standby of the stack's server, in a home beside it."""
    url = urlsplit(stack["POSTGRES_URL"])
    login = {"login": unquote(url.username or ""), "password": unquote(url.password or "")}
    primary = Connection("acme__shop", "postgres", "127.0.0.1", url.port, database=url.path[1:], **login)
    home = Home(Path(stack["AIRFLOW_HOME"]).parent / "standby")
    made = Pair(primary, replace(primary, port=home.port("standby")))
    made.ask("DROP TABLE IF EXISTS standby_rows", of=primary)
    made.ask("CREATE TABLE standby_rows (id int, seen timestamptz)", of=primary)
    home.start(_server(home, made))
    yield made
    home.stop("standby")
    shutil.rmtree(home.path)


def _server(home: Home, pair: Pair) -> Process:
    """Copy the primary, and describe the server that follows it."""
    data, user = home.data("standby"), postgres._server_user()
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(mode=0o700)
    if user:
        shutil.chown(data, user)
    at = ["-h", pair.primary.host, "-p", str(pair.primary.port), "-U", pair.primary.login]
    subprocess.run(
        [postgres._binary("pg_basebackup"), "-D", str(data), "-R", "-c", "fast", *at],
        check=True, user=user, cwd="/", env={**os.environ, "PGPASSWORD": pair.primary.password},
    )  # fmt: skip
    options = {"port": pair.standby.port, "unix_socket_directories": data, "listen_addresses": "127.0.0.1"}
    options |= {"max_connections": 200}  # as the primary's, at least
    command = [postgres._binary("postgres"), "-D", str(data)]
    command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return Process("standby", command, lambda: pair.ask("SELECT 1", of=pair.standby), user=user)


def test_a_row_that_is_replayed_late_lies_in_the_next_window(pair: Pair) -> None:
    pair.ask("INSERT INTO standby_rows VALUES (1, now())", of=pair.primary)
    pair.catch_up()
    pair.ask("SELECT pg_wal_replay_pause()", of=pair.standby)
    pair.ask("INSERT INTO standby_rows VALUES (2, now())", of=pair.primary)
    time.sleep(0.5)
    first, seen = read(pair, None)
    pair.ask("SELECT pg_wal_replay_resume()", of=pair.standby)
    pair.ask("INSERT INTO standby_rows VALUES (3, now())", of=pair.primary)
    pair.catch_up()

    second, more = read(pair, first)

    assert first < pair.ask("SELECT seen FROM standby_rows WHERE id = 2", of=pair.primary) < second
    assert seen | more >= {1, 2}


def read(pair: Pair, start: Any) -> tuple[Any, set[int]]:
    """Read one window of the standby, as a run would; return where it ends and the rows in it."""
    with PostgresSource(pair.standby).snapshot(SELECTION) as snapshot:
        end = snapshot.settled
        batches = list(snapshot.read(Window("instant", start, end)))
    return end, {id_ for batch in batches for id_ in batch.column("id").to_pylist()}
