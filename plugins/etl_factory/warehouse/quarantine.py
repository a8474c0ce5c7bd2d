"""Reads what a resource has in quarantine, with what its ledger knows of the loads that set it aside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from etl_factory.landing.manifest import PlannedObject
from etl_factory.warehouse.ddl import quarantine_columns
from etl_factory.warehouse.quoting import identifier

if TYPE_CHECKING:
    from etl_factory.warehouse.client import Warehouse


@dataclass(frozen=True)
class OriginLoad:
    """One published load that has rows in quarantine, and when its snapshot was read."""

    load_id: str
    snapshot_at: datetime


@dataclass(frozen=True)
class FileEntries:
    """What one load has in quarantine of one file: entries, and the rows among them."""

    load_id: str
    uri: str
    entries: int
    rows: int


@dataclass(frozen=True)
class ReadVersion:
    """One version of a file, as one load has read it."""

    load_id: str
    epoch: int
    snapshot_at: datetime
    published_at: datetime
    file: PlannedObject

    @property
    def age(self) -> tuple[datetime, str]:
        """What orders the versions of one file, as a publish does: listed later is newer."""
        return self.snapshot_at, self.file.modified


class QuarantineTable:
    """The quarantine of one resource; a row is found by its load, file and record."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.table, self.ledger = warehouse.target.quarantine_id, warehouse.target.ledger_id

    def is_there(self) -> bool:
        """Tell whether there is a quarantine, and give one that an earlier version made the columns that it lacks."""
        held = self.warehouse.table(self.table)
        if held is not None:
            for statement in quarantine_columns(self.table, {field.name for field in held.schema}):
                self.warehouse.query(statement)
        return held is not None

    def loads(self) -> list[OriginLoad]:
        """Return the loads that have anything here, the earliest snapshot first."""
        rows = self._rows(
            "SELECT load_id, MAX(snapshot_at) AS read_at FROM {ledger} WHERE kind = 'load' AND load_id IN"
            " (SELECT load_id FROM {table}) GROUP BY load_id ORDER BY read_at, load_id"
        )
        return [OriginLoad(row["load_id"], row["read_at"]) for row in rows]

    def rows_of(self, load_id: str, *, with_values: bool) -> list[dict[str, Any]]:
        """Return what one load has set aside of a table and can be cleaned again, row by row.

        `is_value`: only single values of the row are here, and it is published without them; left out, unless asked
        for `with_values`. `entries` counts what is here of the row.
        """
        values = "" if with_values else " AND COUNTIF(kind = 'value') < COUNT(*)"
        return self._rows(
            "SELECT file, record, ANY_VALUE(raw) AS packed, COUNTIF(kind = 'value') = COUNT(*) AS is_value,"
            " COUNT(*) AS entries FROM {table} WHERE load_id = @load_id GROUP BY file, record"
            f" HAVING COUNTIF(raw IS NULL) = 0{values} ORDER BY file, record",
            load_id=load_id,
        )

    def left(self, *, with_values: bool) -> dict[str, int]:
        """Count the rows of a table that cannot be cleaned again, by why not."""
        rows = self._rows(
            "SELECT CASE WHEN known IS NULL THEN 'unknown' WHEN bare > 0 THEN 'withheld'\n"
            "  WHEN is_value AND NOT @with_values THEN 'values' ELSE '' END AS why, SUM(n) AS n FROM\n"
            "  (SELECT q.load_id, MAX(o.load_id) AS known, COUNTIF(q.raw IS NULL) AS bare,\n"
            "    COUNTIF(q.kind = 'value') = COUNT(*) AS is_value, IF(q.record IS NULL, COUNT(*), 1) AS n\n"
            "  FROM {table} AS q LEFT JOIN (SELECT DISTINCT load_id FROM {ledger} WHERE kind = 'load') AS o\n"
            "    ON o.load_id = q.load_id GROUP BY q.load_id, q.file, q.record) AS g\n"
            "GROUP BY why",
            with_values=with_values,
        )
        return {row["why"]: int(row["n"]) for row in rows if row["why"]}

    def files(self) -> list[FileEntries]:
        """Return what every load has here of every file."""
        rows = self._rows(
            "SELECT load_id, file AS uri, COUNT(*) AS entries, COUNT(DISTINCT IF(kind = 'value', NULL, record)) AS n"
            " FROM {table} WHERE file IS NOT NULL GROUP BY load_id, file ORDER BY load_id, file"
        )
        return [FileEntries(row["load_id"], row["uri"], row["entries"], row["n"]) for row in rows]

    def versions(self) -> list[ReadVersion]:
        """Return every version that a load has read of the files that have anything here."""
        rows = self._rows(
            "SELECT l.load_id, l.epoch, o.snapshot_at, l.published_at, l.uri, l.object_version, l.object_size,"
            " l.object_modified\nFROM {ledger} AS l JOIN {ledger} AS o"
            " ON o.kind = 'load' AND o.load_id = l.load_id AND o.attempt = l.attempt\n"
            "WHERE l.kind = 'file' AND l.uri IN (SELECT file FROM {table} WHERE file IS NOT NULL)"
        )
        return [_version(row) for row in rows]

    def _rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        named = sql.format(table=identifier(self.table), ledger=identifier(self.ledger))
        return self.warehouse.rows(named, absent_ok=True, **parameters)


def _version(row: dict[str, Any]) -> ReadVersion:
    modified = row["object_modified"].isoformat()
    file = PlannedObject(row["uri"], row["object_version"], row["object_size"], modified)
    return ReadVersion(row["load_id"], row["epoch"], row["snapshot_at"], row["published_at"], file)
