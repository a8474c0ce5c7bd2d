"""Publishes one staged load: what can be refused is, then the table is shaped, then one transaction does it all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from etl_factory.config.resource import Resource
from etl_factory.errors import StaleError, TerminalError, TransientError
from etl_factory.identity import digest
from etl_factory.landing.manifest import Manifest
from etl_factory.operators.describing import describe
from etl_factory.operators.drafting import Draft, metadata_of
from etl_factory.operators.explaining import explained
from etl_factory.operators.parameters import parameters
from etl_factory.operators.replayed import settled
from etl_factory.operators.seals import demand_sealed
from etl_factory.schema.types import Field
from etl_factory.warehouse import sql
from etl_factory.warehouse.client import Warehouse
from etl_factory.warehouse.ddl import HISTORY_TYPES
from etl_factory.warehouse.ledger import COUNTS, Head, Ledger, LoadRow
from etl_factory.warehouse.pruning import idle, partitioning, pruned, touched

if TYPE_CHECKING:
    from google.cloud.bigquery import Table


class Publisher:
    """One try of one resource's publish; `before` is the ledger's head that it found."""

    def __init__(self, resource: Resource, warehouse: Warehouse, manifest: Manifest, run_id: str) -> None:
        self.resource, self.warehouse, self.manifest, self.run_id = resource, warehouse, manifest, run_id
        self.ledger = Ledger(warehouse)
        self.before = Head()

    def run(self) -> dict[str, Any]:
        """Publish, and return the report of this load; a load that is committed already only reports.

        Raises TransientError when another publish won, and a TerminalError that says what is wrong else.
        """
        self.ledger.ensure()
        self.before = head = self.ledger.head()
        if done := self._committed():
            return self._report(done, "published")
        if self._is_superseded(head):
            return self._report(None, "superseded")
        try:
            self._publish(head)
        except StaleError:
            if self._committed() is None:  # else another try of this task came first, and has cleaned up
                raise
        row = self._committed()
        if row is None:
            raise TransientError(f"{self._name}: the ledger does not show the publish yet")
        return self._report(row, "published")

    @property
    def _is_replay(self) -> bool:
        return self.manifest.plan.mode == "replay"

    def _publish(self, head: Head) -> None:
        if self._is_replay and head.epoch != self.manifest.plan.epoch:
            raise StaleError(
                f"{self._name}: a full refresh was published since these rows were taken from quarantine. Nothing was"
                " published; run the replay again"
            )
        demand_sealed(self.warehouse, self.manifest)
        held = self.warehouse.table(self.resource.table_id)
        if held is None:
            self._demand_whole(head)
        names = self._names(held)
        publication = self._publication(names)
        values = parameters(publication, self.resource, self.manifest, head, self.run_id)
        if held and self.manifest.ddl:
            self._check(sql.checks(publication, names), values)
        table = self._apply_ddl(held)
        self._transact(publication, table if held else None, values)

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
        strategy = Draft(self.resource, self.manifest).strategy
        if strategy not in ("replace", "versions") or head.snapshot_at is None or self._is_replay:
            return False
        if self.resource.spec.is_incremental:
            return head.epoch > self.manifest.plan.epoch
        return head.snapshot_at > datetime.fromisoformat(self.manifest.snapshot_at)

    def _demand_whole(self, head: Head) -> None:
        """Raise TerminalError when a table would be made that lacks all that was published before."""
        is_whole = not self.resource.spec.is_incremental or self.manifest.plan.mode == "full_refresh"
        if is_whole or head.version == 0:
            return
        raise TerminalError(
            f"{self._name}: table {self.resource.table_id} is not there, but its ledger tells of {head.version}"
            " publishes: it was dropped, or target_table has changed. What this run has read would make a table that"
            " lacks all the rest. Nothing was published; run once with full_refresh, or bring the table back"
        )

    def _names(self, held: Table | None) -> tuple[str, ...]:
        """Name the published columns; raises TerminalError where they hold a history that would be lost."""
        names = tuple(field.name for field in held.schema) if held else ()
        own = metadata_of(self.resource.spec)
        for kind, columns in HISTORY_TYPES.items():
            if columns and set(columns) <= set(names) and not set(columns) <= set(own):
                raise TerminalError(
                    f"{self._name}: {self.resource.table_id} holds a history ({kind}), which this configuration would"
                    f" lose or mix. Nothing was published; publish into a new table with target_table, or set history:"
                    f" {kind}"
                )
        return names

    def _publication(self, names: tuple[str, ...]) -> sql.Publication:
        draft = Draft(self.resource, self.manifest)
        is_newest = draft.deletes == "ignore" or self._is_newest()
        return draft.publication(names, is_newest=is_newest)

    def _is_newest(self) -> bool:
        """Whether no newer snapshot was ever published; what is read here holds until the head moves."""
        newest = self.ledger.newest()
        return newest is None or newest <= datetime.fromisoformat(self.manifest.snapshot_at)

    def _check(self, statement: str, values: Mapping[str, Any]) -> None:
        """Refuse before any DDL what can be refused by then, since no transaction takes DDL back."""
        try:
            asked = ("expected", "rows_staged", "rows_quarantined", "most_bad", "least_ratio", "max_deletes")
            self.warehouse.query(statement, {name: values[name] for name in asked if name in values})
        except TerminalError as error:
            raise explained(error, self.resource, self.manifest) from error

    def _apply_ddl(self, held: Table | None) -> Table:
        """Give the published table its shape, and return it; the quarantine gets its own."""
        table, metadata = self.resource.table_id, metadata_of(self.resource.spec)
        for operation in self.manifest.ddl:
            self._apply(operation, metadata)
        if self.manifest.ddl:
            held = self.warehouse.table(table)
        if held is None:
            raise StaleError(
                f"{self._name}: table {table} is gone since `sanitize` ran: clear the run from `extract`"
            )
        if not set(metadata) <= {field.name for field in held.schema}:
            for statement in sql.metadata_columns(table, metadata):
                self.warehouse.query(statement)
            held = self.warehouse.table(table) or held
        describe(self.resource, self.warehouse, held)
        self._shape_quarantine()
        return held

    def _shape_quarantine(self) -> None:
        quarantine = self.resource.target.quarantine_id
        if (aside := self.warehouse.table(quarantine)) is None:
            self.warehouse.query(sql.create_quarantine(quarantine))
            return
        for statement in sql.quarantine_columns(quarantine, {field.name for field in aside.schema}):
            self.warehouse.query(statement)

    def _apply(self, operation: dict[str, Any], metadata: Mapping[str, str]) -> None:
        table = self.resource.table_id
        if operation["op"] == "extend":
            self.warehouse.extend(table, Field.from_json(operation["field"]))
        else:
            self.warehouse.query(sql.ddl(table, operation, metadata))

    def _transact(self, publication: sql.Publication, held: Table | None, values: Mapping[str, Any]) -> None:
        # Not by the partitions: a try that looks again may find others, and must find the job of the try before it.
        statement = sql.script(publication)
        job_id = "_".join(
            (
                self.manifest.plan.load_id,
                "publish",
                self.manifest.attempt,
                str(values["expected"]),
                digest({"sql": statement}),
            )
        )
        try:
            if held is not None:
                statement = sql.script(self._pruned(publication, held))
            self.warehouse.run_once(
                job_id,
                lambda name: self.warehouse.start_query(statement, values, name),
                lambda: self._committed() is not None,
            )
        except TerminalError as error:
            raise explained(error, self.resource, self.manifest) from error

    def _pruned(self, publication: sql.Publication, held: Table) -> sql.Publication:
        """Bound what a merge scans; the partitions that it touches are asked for by one small query."""
        if publication.strategy != "merge":
            return publication
        if not self.manifest.rows_staged:
            return idle(publication)
        by = partitioning(held)
        if by is None:
            return publication
        return pruned(publication, by, [row["part"] for row in self.warehouse.rows(touched(publication, by))])

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
            **({"replay": settled(manifest, counts)} if self._is_replay else {}),
        }
