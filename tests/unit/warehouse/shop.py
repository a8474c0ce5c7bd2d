"""One resource on the local BigQuery, and publishes of rows that a test gives as SQL tuples."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from etl_factory.landing.manifest import Plan, dumps
from etl_factory.schema.types import Field
from etl_factory.warehouse.client import Warehouse
from etl_factory.warehouse.ddl import create_quarantine, ddl, metadata_columns
from etl_factory.warehouse.ledger import Ledger, LoadRow
from etl_factory.warehouse.publication import Publication, StagedColumn
from etl_factory.warehouse.sql import checks, script

FIELDS = (Field("id", "INT64"), Field("at", "TIMESTAMP"), Field("name", "STRING"), Field("doc", "JSON"))
Render = Callable[[Publication], str]
EARLY, LATE = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 1, 2, tzinfo=UTC)


class Shop:
    """One resource with its tables, and a publish of rows that a test gives as SQL tuples."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse, self.target, self.ledger = warehouse, warehouse.target, Ledger(warehouse)
        self.attempt = "load-1-0"
        warehouse.ensure_datasets()
        self.ledger.ensure()
        self.ledger.ensure()
        create = {"op": "create", "fields": [field.to_json() for field in FIELDS], "partition_by": "at"}
        warehouse.query(ddl(self.target.table_id, create))
        warehouse.query(create_quarantine(self.target.quarantine_id))

    def keep(self, metadata: dict[str, str]) -> None:
        """Give the published table more columns of ours."""
        for statement in metadata_columns(self.target.table_id, metadata):
            self.warehouse.query(statement)

    def keys(self, fields: tuple[Field, ...], *rows: str) -> str:
        """Stage the keys of the source, given as SQL tuples, and return the table's name."""
        table = self.target.staging_id(f"ld_{uuid.uuid4().hex[:8]}", "keys")
        self.warehouse.create_staging(table, fields)
        if rows:
            self.warehouse.query(f"INSERT INTO `{table}` VALUES {', '.join(rows)}")
        return table

    def rows(self, columns: str, where: str = "TRUE") -> list[tuple[Any, ...]]:
        """Return some columns of the published rows, sorted."""
        found = self.warehouse.rows(f"SELECT {columns} FROM `{self.target.table_id}` WHERE {where}")
        return sorted((tuple(row.values()) for row in found), key=str)

    def publish(self, number: int, rows: list[str], changes: dict[str, Any], **values: Any) -> dict[str, int]:
        """Publish rows as load `number`, and return what the ledger counted, zeros left out."""
        self.run(script, number, rows, changes, **values)
        return self.counts(f"ld_{number}")

    def replay(self, number: int, rows: list[str], changes: dict[str, Any], **values: Any) -> dict[str, int]:
        """Publish rows as another attempt of load `number`, as a cleared run does."""
        self.attempt = f"load-2-{uuid.uuid4().hex[:4]}"
        return self.publish(number, rows, changes, **values)

    @staticmethod
    def columns(fields: tuple[Field, ...], **raw: tuple[str, str]) -> tuple[StagedColumn, ...]:
        """Return the columns of staging, some under raw names and types."""
        return tuple(StagedColumn(f, *raw.get(f.name, (f.name, f.staged_type))) for f in fields)

    def check(self, number: int, rows: list[str], changes: dict[str, Any], **values: Any) -> None:
        """Ask what is asked before any DDL."""
        held = self.warehouse.table(self.target.table_id)
        names = [field.name for field in held.schema] if held else []
        self.run(lambda to: checks(to, names), number, rows, changes, **values)

    def run(
        self, render: Render, number: int, rows: list[str], changes: dict[str, Any], **values: Any
    ) -> None:
        """Stage rows as load `number`, and run what `render` makes of it."""
        load_id = f"ld_{number}"
        staging = self.target.staging_id(load_id, self.attempt)
        fields = (*FIELDS, Field("_etl_source_uri", "STRING"), Field("_etl_record", "INT64"))
        self.warehouse.create_staging(staging, fields)
        if rows:
            self._fill(staging, rows)
        publication = replace(self._publication(staging), **changes)
        parameters = self._parameters(load_id, len(rows), values)
        self.warehouse.query(render(publication), parameters)

    def _fill(self, staging: str, rows: list[str]) -> None:
        padded = [row[:-1] + (", NULL, NULL)" if row.count(", ") == 3 else ")") for row in rows]
        self.warehouse.query(f"INSERT INTO `{staging}` VALUES {', '.join(padded)}")

    def counts(self, load_id: str) -> dict[str, int]:
        row = self.ledger.load(load_id, self.attempt)
        assert isinstance(row, LoadRow)
        assert sum(row.counts.values()) - row.counts["deleted"] - row.counts["restored"] == row.rows_read
        return {name: count for name, count in row.counts.items() if count}

    def names(self) -> list[str]:
        rows = self.warehouse.rows(f"SELECT name FROM `{self.target.table_id}` ORDER BY name")
        return [row["name"] for row in rows]

    def _publication(self, staging: str) -> Publication:
        return Publication(
            table=self.target.table_id,
            ledger=self.target.ledger_id,
            quarantine=self.target.quarantine_id,
            staging=staging,
            quarantine_staging="",
            strategy="append",
            columns=self.columns(FIELDS),
        )

    def _parameters(self, load_id: str, staged: int, values: dict[str, Any]) -> dict[str, Any]:
        plan = Plan(load_id, "live", 0, None)
        return {
            "expected": self.ledger.head().version, "epoch": 0, "watermark": "w", "watermark_of": "c",
            "snapshot_at": LATE,
            "loaded_at": LATE, "load_id": load_id, "attempt": self.attempt, "run_id": "r", "mode": "live",
            "plan": dumps(plan), "resource": "orders", "rows_read": staged, "rows_staged": staged,
            "rows_quarantined": 0, "most_bad": 0, "bytes": 1, "checksum": "c", "spec_digest": "d",
            "schema_changes": "[]", "declared_schema": None, **values,
        }  # fmt: skip
