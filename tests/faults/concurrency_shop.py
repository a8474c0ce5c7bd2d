"""A PostgreSQL table that three resources of one source load, each with another strategy, and what they published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import psycopg2
import yaml
from crash_world import PROJECT, TENANT, World

from demo import systems
from etl_factory.config.loading import load
from etl_factory.config.resource import Resource, resources
from etl_factory.warehouse.client import Warehouse
from etl_factory.warehouse.ledger import Ledger

INCREMENTAL = {"load": "transactional", "cursor": "updated_at"}
STRATEGIES = {
    "keyed": {**INCREMENTAL, "primary_key": ["id"]},
    "unkeyed": INCREMENTAL,
    "snapshot": {"load": "catalog"},
}
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Shop:
    """One source of its own name, with one table of (id, name, updated_at)."""

    world: World
    name: str
    strategies: tuple[str, ...] = tuple(STRATEGIES)

    def make(self, rows: int) -> None:
        """Create the table with some rows, each changed some minutes ago, so that later windows read it again."""
        self.execute(
            f"CREATE TABLE {self.name} (id bigint PRIMARY KEY, name text, updated_at timestamptz)",
            f"INSERT INTO {self.name} SELECT n, '{self.name} ' || n, now() - n * interval '1 second' - interval '1 min'"
            f" FROM generate_series(1, {rows}) AS n",
        )

    def change(self, words: str) -> None:
        """Update one row and insert another."""
        self.execute(
            f"UPDATE {self.name} SET name = '{words}', updated_at = now() WHERE id = 1",
            f"INSERT INTO {self.name} SELECT max(id) + 1, '{words}, new', now() FROM {self.name}",
        )

    def execute(self, *statements: str) -> list[Row]:
        """Run statements in one transaction; return the last one's rows."""
        with closing(psycopg2.connect(self.world.env["FAULTS_POSTGRES_URL"])) as connection, connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    @property
    def rows(self) -> Counter[Row]:
        """What the source holds."""
        return Counter(self.execute(f"SELECT id, name, updated_at FROM {self.name}"))

    @cached_property
    def resources(self) -> Mapping[str, Resource]:
        """The resources by their strategy."""
        folder = self.world.folder / f"tenants-{self.name}" / TENANT
        folder.mkdir(parents=True)
        (folder / "tenant.yaml").write_text(yaml.safe_dump(self.world.tenant))
        document = {
            "source": self.name,
            "type": "postgres",
            "connection": "postgres",
            "resources": {
                name: {"table": f"public.{self.name}", **STRATEGIES[name]} for name in self.strategies
            },
        }
        (folder / f"{self.name}.yaml").write_text(yaml.safe_dump(document))
        catalogue = load(folder.parent)
        assert not catalogue.errors, catalogue.errors
        (source,) = catalogue.sources
        return {resource.name: resource for resource in resources(source.tenant, source.spec)}

    def published(self, strategy: str) -> Counter[Row]:
        """What the published table holds."""
        found = self._warehouse(strategy).rows(
            f"SELECT id, name, updated_at FROM `{self.resources[strategy].table_id}`", absent_ok=True
        )
        return Counter(tuple(row.values()) for row in found)

    def ledger(self, strategy: str) -> Ledger:
        """The resource's ledger."""
        return Ledger(self._warehouse(strategy))

    def loads(self, strategy: str) -> list[dict[str, Any]]:
        """The ledger's load rows, in the order of their commits."""
        ledger = self.ledger(strategy)
        return ledger.warehouse.rows(f"SELECT * FROM `{ledger.table}` WHERE kind = 'load' ORDER BY version")

    def _warehouse(self, strategy: str) -> Warehouse:
        return Warehouse(systems.bigquery_client(PROJECT), self.resources[strategy].target)
