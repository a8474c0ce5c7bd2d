"""The engine of the property tests and the local BigQuery server agree on every strategy."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any

import pytest
from duck import PROJECT, Client
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from model_source import Setting
from model_story import Again, Load, Publish, Wait, World, Write

from etl_factory.operators import google
from etl_factory.schema.types import Field
from etl_factory.warehouse.ledger import COUNTS
from scheduling import PLAYS_ALL

pytestmark = pytest.mark.stack
STORY = (
    Write(1), Write(2), Write(3, "put_null"), Wait(60), Load(stops=True), Write(1), Write(1, "copy"), Wait(60),
    Load(), Publish(0), Write(2, "delete"), Again(0, is_wiped=True),
)  # fmt: skip
SETTINGS = {  # the last ones in `make faults` alone
    "with_key": Setting(is_partitioned=True),
    "without_key_naive": Setting("naive", 3600, zone="Europe/Warsaw", is_keyed=False),
    "versions": Setting(load="catalog", history="scd2"),
    "deletes_marked": Setting(deletes="mark"),
    "snapshots": Setting(load="catalog", is_keyed=False, history="snapshots"),
}


class Server:
    """Google's own client, with what the stories ask besides."""

    def __init__(self) -> None:
        self.client = bigquery.Client(PROJECT, AnonymousCredentials())
        self.datasets: tuple[str, ...] = ()
        self.before_publish, self.lose_answer, self.seen = None, False, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def reset(self, *datasets: str) -> None:
        self.datasets = datasets
        for name in datasets:
            self.client.create_dataset(name)

    def fill(self, table_id: str, fields: tuple[Field, ...], rows: Iterable[tuple[Any, ...]]) -> None:
        columns = ", ".join(f"{field.name} {field.type}" for field in fields)
        values = ", ".join(f"({', '.join(map(_literal, row))})" for row in rows)
        self._run(f"CREATE OR REPLACE TABLE `{table_id}` ({columns})")
        if values:
            self._run(f"INSERT INTO `{table_id}` VALUES {values}")

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self._run(sql)]

    def _run(self, sql: str) -> Any:
        return self.client.query_and_wait(sql)


def _literal(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{'TIMESTAMP' if value.tzinfo else 'DATETIME'} '{value.isoformat(sep=' ')}'"
    if isinstance(value, date):
        return f"DATE '{value}'"
    return "NULL" if value is None else f"'{value}'" if isinstance(value, str) else str(value)


@pytest.fixture
def server(stack: dict[str, str]) -> Iterator[Server]:
    """Use the local server, and leave no dataset there."""
    server = Server()
    yield server
    for name in server.datasets:
        server.client.delete_dataset(name, delete_contents=True, not_found_ok=True)


@pytest.mark.parametrize("name", list(SETTINGS)[: None if PLAYS_ALL else 3])
def test_the_engine_and_the_server_publish_the_same(
    name: str, client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    for engine, suffix in ((client, ""), (server, f"_{uuid.uuid4().hex[:8]}")):
        world = World.of(SETTINGS[name], engine, suffix)  # type: ignore[arg-type]  # of the same shape
        monkeypatch.setattr(google, "landing", lambda _, to=world.loader: to.landing)
        monkeypatch.setattr(google, "warehouse", lambda _, to=world.loader: to.warehouse)
        for step in STORY:
            step.happen(world)
        told.append((world.loader.published(), world.loader.head().version, _counted(world)))

    assert told[0] == told[1]
    assert told[0][1] >= 2


def _counted(world: World) -> Counter[tuple[int, ...]]:
    """Return what became of the rows of every load."""
    found = world.loader.client.rows(
        f"SELECT {', '.join(COUNTS)} FROM `{world.loader.resource.target.ledger_id}` WHERE kind = 'load'"
    )
    return Counter(tuple(row[name] for name in COUNTS) for row in found)
