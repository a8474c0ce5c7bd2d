"""Publishes one staged load: decides the strategy, moves the watermark, and runs the one transaction."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from etl_factory.config.resource import Resource
from etl_factory.errors import (
    AccountingError,
    QuarantineError,
    StaleError,
    TerminalError,
    TransientError,
)
from etl_factory.identity import digest
from etl_factory.landing.manifest import Manifest, dumps
from etl_factory.schema.naming import column_name
from etl_factory.schema.types import Field
from etl_factory.sources.specs import CatalogPart, Files, TransactionalTable
from etl_factory.warehouse import sql
from etl_factory.warehouse.client import Warehouse
from etl_factory.warehouse.ledger import COUNTS, Head, Ledger, LoadRow
from etl_factory.windows import CursorValue, Window, decode, encode

if TYPE_CHECKING:
    from google.cloud.bigquery import Table

CURSOR_TYPES = {"instant": "TIMESTAMP", "naive": "DATETIME", "date": "DATE", "integer": "INT64"}


class Publisher:
    """One try of one resource's publish."""

    def __init__(self, resource: Resource, warehouse: Warehouse, manifest: Manifest, run_id: str) -> None:
        self.resource, self.warehouse, self.manifest, self.run_id = resource, warehouse, manifest, run_id
        self.ledger = Ledger(warehouse)

    def run(self) -> dict[str, Any]:
        """Publish, and return the report of this load; a load that is committed already only reports.

        Raises TransientError when another publish won, and a TerminalError that says what is wrong else.
        """
        self.ledger.ensure()
        head = self.ledger.head()
        if done := self._committed():
            return self._report(done, "published")
        if self._is_superseded(head):
            return self._report(None, "superseded")
        held = self.warehouse.table(self.resource.table_id)
        publication, parameters = self._publication(held), self._parameters(head)
        if held and self.manifest.ddl:
            self._check(publication, parameters)
        self._apply_ddl(held)
        self._transact(publication, parameters)
        row = self._committed()
        if row is None:
            raise TransientError(f"{self._name}: the ledger does not show the publish yet")
        return self._report(row, "published")

    @property
    def _name(self) -> str:
        return f"{self.resource.dag_id}.{self.resource.name}"

    def _committed(self) -> LoadRow | None:
        return self.ledger.load(self.manifest.plan.load_id, self.manifest.attempt)

    def _is_superseded(self, head: Head) -> bool:
        """Whether a newer snapshot is published, so that this one may not replace it.

        A full refresh gives way to a later full refresh only: a window published meanwhile is read again by
        the next run, which goes on from where the refresh ended.
        """
        if self._strategy() != "replace" or head.snapshot_at is None:
            return False
        if self.resource.spec.is_incremental:
            return head.epoch > self.manifest.plan.epoch
        return head.snapshot_at > datetime.fromisoformat(self.manifest.snapshot_at)

    def _strategy(self) -> sql.Strategy:
        spec, mode = self.resource.spec, self.manifest.plan.mode
        if isinstance(spec, CatalogPart) or mode == "full_refresh":
            return "replace"
        if spec.primary_key:
            return "merge"
        return "append_files" if isinstance(spec, Files) else "append"

    def _check(self, publication: sql.Publication, parameters: Mapping[str, Any]) -> None:
        """Refuse before any DDL what can be refused by then, since no transaction takes DDL back."""
        try:
            asked = ("expected", "rows_staged", "rows_quarantined", "most_bad", "least_ratio")
            given = {name: parameters[name] for name in asked if name in parameters}
            self.warehouse.query(sql.checks(publication), given)
        except TerminalError as error:
            raise self._explain(error) from error

    def _apply_ddl(self, held: Table | None) -> None:
        table = self.resource.table_id
        for operation in self.manifest.ddl:
            self.warehouse.query(sql.ddl(table, operation))
        if self.manifest.ddl:
            held = self.warehouse.table(table)
        if held is None:
            raise StaleError(
                f"{self._name}: table {table} is gone since `sanitize` ran: clear the run from `extract`"
            )
        if not set(sql.METADATA) <= {field.name for field in held.schema}:
            for statement in sql.metadata_columns(table):
                self.warehouse.query(statement)
        quarantine = self.resource.target.quarantine_id
        if self.warehouse.table(quarantine) is None:
            self.warehouse.query(sql.create_quarantine(quarantine))

    def _transact(self, publication: sql.Publication, parameters: Mapping[str, Any]) -> None:
        statement = sql.script(publication)
        job_id = "_".join(
            (
                self.manifest.plan.load_id,
                "publish",
                self.manifest.attempt,
                str(parameters["expected"]),
                digest({"sql": statement}),
            )
        )
        try:
            self.warehouse.run_once(
                job_id,
                lambda name: self.warehouse.start_query(statement, parameters, name),
                lambda: self._committed() is not None,
            )
        except TerminalError as error:
            raise self._explain(error) from error

    def _explain(self, error: TerminalError) -> Exception:
        """Turn a failed assertion of the script into the error that says what to do."""
        text, name = str(error), self._name
        if sql.MOVED in text:
            return TransientError(
                f"{name}: another publish of this resource came first; this one will be retried"
            )
        if sql.SHRUNK in text:
            shrink = getattr(self.resource.spec, "max_shrink", 0)
            return TerminalError(
                f"{name}: the new snapshot has {self.manifest.rows_staged} rows, over {shrink:.0%} fewer than"
                f" {self.resource.table_id} holds. Nothing was published. If the source really shrank, raise"
                " max_shrink and clear the run from `extract`, or run with full_refresh; if not, look at the source"
            )
        if sql.TOO_MANY_BAD in text:
            return QuarantineError(
                f"{name}: too many rows have a NULL primary key ({', '.join(self.resource.spec.primary_key)}) for"
                " max_bad_rows. Nothing was published. Repair them at the source, or raise max_bad_rows; then clear"
                " the run from `extract`"
            )
        if sql.UNBALANCED in text:
            return AccountingError(
                f"{name}: rows do not add up ({text}). Nothing was published; clear the run from `extract`"
            )
        # BigQuery's messages write project:dataset.table, and a staging table's own name is unique.
        if self.manifest.staging_table.rpartition(".")[2] in text and "not found" in text.lower():
            return StaleError(
                f"{name}: staging table {self.manifest.staging_table} is gone: clear from `extract`"
            )
        return error

    @cached_property
    def _columns(self) -> tuple[sql.StagedColumn, ...]:
        staged = self.manifest.extra.get("staged", {})
        fields = (Field.from_json(document) for document in self.manifest.fields)
        return tuple(
            sql.StagedColumn(f, *staged.get(f.name, (f.name, f.staged_type)))
            for f in fields
            if not f.name.startswith("_etl_")
        )

    def _absent(self, held: Table | None) -> tuple[str, ...]:
        """Name the published columns that this load does not have: its rows hold NULL there."""
        own = {*sql.METADATA, *(column.field.name.lower() for column in self._columns)}
        return tuple(field.name for field in held.schema if field.name.lower() not in own) if held else ()

    def _publication(self, held: Table | None) -> sql.Publication:
        target, spec = self.resource.target, self.resource.spec
        return sql.Publication(
            table=target.table_id,
            ledger=target.ledger_id,
            quarantine=target.quarantine_id,
            staging=self.manifest.staging_table,
            quarantine_staging=self.manifest.quarantine_table,
            strategy=self._strategy(),
            columns=self._columns,
            keys=tuple(map(self._published, spec.primary_key)) if spec.is_incremental else (),
            cursor=self._cursor,
            window=self._window(),
            is_file=isinstance(spec, Files),
            checks_shrink=self._checks_shrink,
            absent=self._absent(held),
        )

    def _published(self, original: str) -> str:
        """Return the name that a source's column is published under, in the table's own case."""
        name = self.resource.spec.columns.rename.get(original) or column_name(original)
        held = (column.field.name for column in self._columns)
        return next((own for own in held if own.lower() == name.lower()), name)

    @property
    def _cursor(self) -> str | None:
        spec = self.resource.spec
        name = self._published(spec.cursor) if isinstance(spec, TransactionalTable) else None
        return name if name in {column.field.name for column in self._columns} else None

    def _window(self) -> str:
        """Bound what an append compares with, where the published cursor is of the window's own type."""
        window, cursor = self.manifest.plan.window, self._cursor
        types = {column.field.name: column.field.type for column in self._columns}
        if window is None or cursor is None or types[cursor] != CURSOR_TYPES[window.kind]:
            return ""
        start = "" if window.start is None else f"t.`{cursor}` >= {_literal(window, window.start)} AND "
        return f"({start}t.`{cursor}` < {_literal(window, window.end)}) OR t.`{cursor}` IS NULL"

    def _parameters(self, head: Head) -> Mapping[str, Any]:
        manifest, plan, files = self.manifest, self.manifest.plan, self.manifest.files
        limit = self.resource.spec.max_bad_rows
        values: dict[str, Any] = {
            "expected": head.version,
            "epoch": head.epoch + (1 if plan.mode == "full_refresh" else 0),
            "watermark": self._watermark(head),
            "watermark_of": self.resource.cursor_digest if self._moves_watermark(head) else head.watermark_of,
            "snapshot_at": datetime.fromisoformat(manifest.snapshot_at),
            "loaded_at": datetime.now(UTC),
            "load_id": plan.load_id,
            "attempt": manifest.attempt,
            "run_id": self.run_id,
            "mode": plan.mode,
            "plan": dumps(plan.with_objects(())),
            "resource": self.resource.name,
            "rows_read": manifest.rows_read,
            "rows_staged": manifest.rows_staged,
            "rows_quarantined": manifest.rows_quarantined,
            "most_bad": most_bad(limit.rows, limit.ratio, manifest.rows_read),
            "bytes": manifest.bytes,
            "checksum": manifest.checksum,
            "spec_digest": manifest.spec_digest,
            "schema_changes": json.dumps(manifest.notes),
        }
        if isinstance(self.resource.spec, CatalogPart) and self._checks_shrink:
            values["least_ratio"] = 1 - self.resource.spec.max_shrink
        if isinstance(self.resource.spec, Files):
            values |= {
                "uris": tuple(file.uri for file in files),
                "versions": tuple(file.version for file in files),
                "sizes": tuple(file.size for file in files),
                "modified": tuple(datetime.fromisoformat(file.modified) for file in files),
                "file_rows": tuple(file.rows for file in files),
                "file_quarantined": tuple(file.quarantined for file in files),
            }
        return values

    def _watermark(self, head: Head) -> str | None:
        """Return the watermark after this publish: only a live run of this epoch moves it, and only forward."""
        plan = self.manifest.plan
        if plan.window is None or not self._moves_watermark(head):
            return head.watermark
        if plan.mode == "full_refresh" or head.watermark is None:
            return encode(plan.window.end)
        held: Any = decode(plan.window.kind, head.watermark)
        return encode(max(held, plan.window.end))

    def _moves_watermark(self, head: Head) -> bool:
        plan = self.manifest.plan
        if plan.window is None or plan.mode == "backfill":
            return False
        return plan.mode == "full_refresh" or head.watermark is None or plan.epoch == head.epoch

    @property
    def _checks_shrink(self) -> bool:
        return isinstance(self.resource.spec, CatalogPart) and self.manifest.plan.mode != "full_refresh"

    def _report(self, row: LoadRow | None, outcome: str) -> dict[str, Any]:
        manifest = self.manifest
        counts = row.counts if row else {"superseded": manifest.rows_read, "quarantined": 0}
        return {
            "resource": self.resource.name,
            "table": self.resource.table_id,
            "outcome": outcome,
            "mode": manifest.plan.mode,
            "window": str(manifest.plan.window or ""),
            "rows_read": manifest.rows_read,
            "rows_staged": manifest.rows_staged,
            **{name: counts.get(name, 0) for name in COUNTS},
            "bytes": manifest.bytes,
            "schema_changes": list(manifest.notes),
            "files": len(manifest.files),
        }


def most_bad(rows: int | None, ratio: float | None, read: int) -> int:
    """Return the greatest number of bad rows that every limit allows."""
    # Rounded, since 0.29 * 100 is a little less than 29 and would refuse what is just allowed.
    by_ratio = read if ratio is None else math.floor(round(ratio * read, 6))
    return min(read, by_ratio, read if rows is None else rows)


def _literal(window: Window, value: CursorValue) -> str:
    text = (
        value.isoformat(sep=" ")
        if isinstance(value, datetime)
        else value.isoformat()
        if isinstance(value, date)
        else ""
    )
    return f"{CURSOR_TYPES[window.kind]} '{text}'" if text else str(value)
