"""The ledger of one resource: its head, its loads and its files, in one table that nobody else writes.

The head row is made together with the table, since two INSERTs into one table do not conflict in
BigQuery and would leave two heads. Publish updates it first, by compare-and-set on `version`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from etl_factory.errors import TerminalError
from etl_factory.landing.manifest import Mode, Plan, PlannedObject, load_plan
from etl_factory.warehouse.quoting import identifier

if TYPE_CHECKING:
    from etl_factory.warehouse.client import Warehouse

COLUMNS = {
    "kind": "STRING",
    "version": "INT64",
    "epoch": "INT64",
    "watermark": "STRING",
    "watermark_of": "STRING",
    "load_id": "STRING",
    "attempt": "STRING",
    "run_id": "STRING",
    "mode": "STRING",
    "plan": "STRING",
    "snapshot_at": "TIMESTAMP",
    "published_at": "TIMESTAMP",
    "rows_read": "INT64",
    "rows_staged": "INT64",
    "inserted": "INT64",
    "updated": "INT64",
    "unchanged": "INT64",
    "superseded": "INT64",
    "deleted": "INT64",
    "restored": "INT64",
    "quarantined": "INT64",
    "bytes": "INT64",
    "checksum": "STRING",
    "spec_digest": "STRING",
    "schema_changes": "STRING",
    "declared_schema": "STRING",
    "uri": "STRING",
    "object_version": "STRING",
    "object_size": "INT64",
    "object_modified": "TIMESTAMP",
    "rows": "INT64",
}  # fmt: skip
COUNTS = ("inserted", "updated", "unchanged", "superseded", "deleted", "restored", "quarantined")


@dataclass(frozen=True)
class Head:
    """Where a resource stands: `version` counts publishes, `epoch` counts full refreshes.

    `watermark_of` fingerprints the table and column whose values the watermark is compared with.
    `declared_schema` is the source's schema as of the last publish.
    """

    version: int = 0
    epoch: int = 0
    watermark: str | None = None
    snapshot_at: datetime | None = None
    watermark_of: str | None = None
    published_at: datetime | None = None
    declared_schema: str | None = None


@dataclass(frozen=True)
class LoadRow:
    """One committed publish: how many rows it inserted, updated, left unchanged and so on."""

    load_id: str
    attempt: str
    mode: Mode
    counts: dict[str, int]
    rows_read: int
    rows_staged: int


class Ledger:
    """Reads the ledger; only a publish writes it."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.table = warehouse.target.ledger_id

    def ensure(self) -> None:
        """Create the table with its head row, unless it exists; one of an earlier version gets what it lacks."""
        if (held := self.warehouse.table(self.table)) is not None:
            names = {field.name for field in held.schema}
            for column in (f"{identifier(name)} {COLUMNS[name]}" for name in COLUMNS if name not in names):
                self.warehouse.query(
                    f"ALTER TABLE {identifier(self.table)} ADD COLUMN IF NOT EXISTS {column}"
                )
            return
        columns = ", ".join(f"CAST(NULL AS {type_}) AS {identifier(name)}" for name, type_ in COLUMNS.items())
        self.warehouse.query(
            f"CREATE TABLE IF NOT EXISTS {identifier(self.table)} AS SELECT * REPLACE ("
            f"'head' AS kind, 0 AS version, 0 AS epoch) FROM (SELECT {columns})"
        )

    def head(self) -> Head:
        """Return the head; version 0 when nothing was ever published."""
        columns = ", ".join(field.name for field in fields(Head))
        statement = f"SELECT {columns} FROM {{}} WHERE kind = 'head'"
        try:
            rows = self._rows(statement)
        except TerminalError:  # as BigQuery refuses a column that a table of an earlier version lacks
            self.ensure()
            rows = self._rows(statement)
        return Head(**rows[0]) if rows else Head()

    def load(self, load_id: str, attempt: str) -> LoadRow | None:
        """Return what a publish of this attempt committed, or None."""
        rows = self._rows(
            "SELECT * FROM {} WHERE kind = 'load' AND load_id = @load_id AND attempt = @attempt",
            load_id=load_id,
            attempt=attempt,
        )
        return _load_row(rows[0]) if rows else None

    def newest(self) -> datetime | None:
        """Return when the newest snapshot that was ever published was read; None before the first."""
        rows = self._rows("SELECT MAX(snapshot_at) AS snapshot_at FROM {} WHERE kind = 'load'")
        return rows[0]["snapshot_at"] if rows else None

    def plan(self, load_id: str) -> Plan | None:
        """Rebuild the plan that a load was published from, for when its landing folder is gone."""
        rows = self._rows(
            "SELECT plan, attempt FROM {} WHERE kind = 'load' AND load_id = @load_id"
            " ORDER BY published_at DESC LIMIT 1",
            load_id=load_id,
        )
        if not rows:
            return None
        return load_plan(rows[0]["plan"]).with_objects(self._objects(load_id, rows[0]["attempt"]))

    def _objects(self, load_id: str, attempt: str) -> tuple[PlannedObject, ...]:
        rows = self._rows(
            "SELECT uri, object_version, object_size, object_modified FROM {}"
            " WHERE kind = 'file' AND load_id = @load_id AND attempt = @attempt ORDER BY uri",
            load_id=load_id,
            attempt=attempt,
        )
        return tuple(
            PlannedObject(r["uri"], r["object_version"], r["object_size"], r["object_modified"].isoformat())
            for r in rows
        )

    def loaded_objects(self) -> set[tuple[str, str]]:
        """Return (uri, version) of every object published in the current epoch."""
        rows = self._rows(
            "SELECT DISTINCT uri, object_version FROM {0} WHERE kind = 'file' AND epoch ="
            " (SELECT epoch FROM {0} WHERE kind = 'head')"
        )
        return {(row["uri"], row["object_version"]) for row in rows}

    def _rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        """Run a SELECT over the ledger; a table that does not exist yet has no rows."""
        return self.warehouse.rows(sql.format(identifier(self.table)), absent_ok=True, **parameters)


def _load_row(row: dict[str, Any]) -> LoadRow:
    return LoadRow(
        load_id=row["load_id"],
        attempt=row["attempt"],
        mode=row["mode"],
        counts={name: row[name] or 0 for name in COUNTS},
        rows_read=row["rows_read"],
        rows_staged=row["rows_staged"],
    )
