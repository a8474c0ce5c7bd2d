"""Says what one manifest publishes: by which strategy, from which columns, compared with which window."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from functools import cached_property

from etl_factory.config.resource import Resource
from etl_factory.landing.manifest import Manifest
from etl_factory.schema.naming import column_name
from etl_factory.schema.types import Field
from etl_factory.sources.specs import CatalogPart, Files, ResourceSpec, TransactionalTable
from etl_factory.warehouse.ddl import HISTORY_TYPES, MARK_TYPES, METADATA_TYPES
from etl_factory.warehouse.publication import Deletes, Publication, StagedColumn, Strategy
from etl_factory.warehouse.quoting import moment
from etl_factory.windows import CursorValue, Window

CURSOR_TYPES = {"instant": "TIMESTAMP", "naive": "DATETIME", "date": "DATE", "integer": "INT64"}
_HISTORIES: dict[str, Strategy] = {"none": "replace", "snapshots": "snapshot", "scd2": "versions"}


def strategy_of(spec: ResourceSpec, mode: str) -> Strategy:
    """Return the strategy of a run in `mode`; a catalog keeps its history even in a full refresh."""
    if isinstance(spec, CatalogPart):
        is_by_file = mode == "replay" and isinstance(spec, Files)
        return "append_files" if is_by_file else _HISTORIES[spec.history]
    if mode == "full_refresh":
        return "replace"
    if spec.primary_key:
        return "merge"
    return "append_files" if isinstance(spec, Files) else "append"


def metadata_of(spec: ResourceSpec) -> dict[str, str]:
    """Return the columns of ours, with their types, that the published table has."""
    if isinstance(spec, CatalogPart):
        return METADATA_TYPES | HISTORY_TYPES[spec.history]
    marks = isinstance(spec, TransactionalTable) and spec.deletes == "mark"
    return METADATA_TYPES | (MARK_TYPES if marks else {})


class Draft:
    """The publication of one manifest, while it is being put together."""

    def __init__(self, resource: Resource, manifest: Manifest) -> None:
        self.resource, self.manifest, self.spec = resource, manifest, resource.spec

    def publication(self, held: Collection[str], *, is_newest: bool = True) -> Publication:
        """Put it together; `held` names the columns that the published table has, or is empty.

        Only what `is_newest` of all snapshots may tell what is gone and what is there again.
        """
        target, spec = self.resource.target, self.spec
        has_keys = spec.is_incremental or self.strategy == "versions"
        return Publication(
            table=target.table_id,
            ledger=target.ledger_id,
            quarantine=target.quarantine_id,
            staging=self.manifest.staging_table,
            quarantine_staging=self.manifest.quarantine_table,
            strategy=self.strategy,
            columns=self._columns,
            keys=tuple(map(self._published, spec.primary_key)) if has_keys else (),
            cursor=self._cursor,
            window=self._window(),
            is_file=isinstance(spec, Files),
            is_one_file=self._is_one_file,
            checks_shrink=self.checks_shrink,
            absent=self._absent(held),
            deletes=self.deletes if is_newest else "ignore",
            keys_staging=self.manifest.keys_table,
            files_staging=self.manifest.files_table,
            replays=self.is_replay,
            is_whole=not spec.is_incremental,
        )

    @property
    def strategy(self) -> Strategy:
        """How this manifest is published."""
        return strategy_of(self.spec, self.manifest.plan.mode)

    @property
    def is_replay(self) -> bool:
        """Whether the rows were in quarantine; such a run looks for nothing that is gone."""
        return self.manifest.plan.mode == "replay"

    @property
    def deletes(self) -> Deletes:
        """What becomes of rows that are gone, in this run."""
        spec = self.spec
        if isinstance(spec, TransactionalTable) and self.strategy == "merge" and not self.is_replay:
            return spec.deletes
        return "ignore"

    @property
    def checks_shrink(self) -> bool:
        """Whether a snapshot may be refused for what it lacks."""
        mode = self.manifest.plan.mode
        return isinstance(self.spec, CatalogPart) and mode not in ("full_refresh", "replay")

    @cached_property
    def _columns(self) -> tuple[StagedColumn, ...]:
        staged, unseen = (self.manifest.extra.get(key, {}) for key in ("staged", "unseen"))
        fields = (Field.from_json(document) for document in self.manifest.fields)
        return tuple(
            StagedColumn(f, *staged.get(f.name, (f.name, f.staged_type, True)))
            for f in fields
            if not f.name.startswith("_etl_") and f.name not in unseen
        )

    @property
    def _is_one_file(self) -> bool:
        """Whether the rows are staged as they are in a file, of which no row of theirs says that they are from it."""
        staged = {document["name"] for document in self.manifest.fields}
        return isinstance(self.spec, Files) and "_etl_source_uri" not in staged

    def _absent(self, held: Collection[str]) -> tuple[str, ...]:
        """Name the published columns that this load does not have: its rows hold NULL there."""
        own = {column.field.name.lower() for column in self._columns}
        return tuple(name for name in held if name.lower() not in own and not name.startswith("_etl_"))

    def _published(self, original: str) -> str:
        """Return the name that a source's column is published under, in the table's own case."""
        name = self.spec.columns.rename.get(original) or column_name(original)
        held = (column.field.name for column in self._columns)
        return next((own for own in held if own.lower() == name.lower()), name)

    @property
    def _cursor(self) -> str | None:
        name = self._published(self.spec.cursor) if isinstance(self.spec, TransactionalTable) else None
        return name if name in {column.field.name for column in self._columns} else None

    def _window(self) -> str:
        """Bound what an append compares with, where the published cursor is of the window's own type."""
        window, cursor = self.manifest.plan.window, self._cursor
        types = {column.field.name: column.field.type for column in self._columns}
        if window is None or cursor is None or types[cursor] != CURSOR_TYPES[window.kind]:
            return ""
        start = "" if window.start is None else f"t.`{cursor}` >= {_literal(window, window.start)} AND "
        return f"({start}t.`{cursor}` < {_literal(window, window.end)}) OR t.`{cursor}` IS NULL"


def _literal(window: Window, value: CursorValue) -> str:
    return moment(CURSOR_TYPES[window.kind], value) if isinstance(value, date) else str(value)
