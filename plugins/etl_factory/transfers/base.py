"""The mechanism that every transfer shares: plan, read, write parts, and the manifest last."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NoReturn

from etl_factory.config.resource import Resource
from etl_factory.errors import AccountingError, NothingToLoad, StaleError
from etl_factory.identity import digest
from etl_factory.landing.manifest import Manifest, Part, Plan, PlannedObject, dumps, load_plan
from etl_factory.landing.objects import Landing
from etl_factory.landing.parts import PartWriter
from etl_factory.operators import google
from etl_factory.operators.handover import write_manifest
from etl_factory.sources.base import (
    FileSource,
    Selection,
    SourceObject,
    TableSnapshot,
    TableSource,
    WindowBasis,
)
from etl_factory.sources.specs import CatalogFiles, CatalogTable, Files, TransactionalTable
from etl_factory.transfers.planning import plan_objects, plan_window
from etl_factory.transfers.request import RunRequest, read_request
from etl_factory.warehouse.ledger import Ledger
from etl_factory.windows import Window

log = logging.getLogger(__name__)
Copy = Callable[[SourceObject, str, Landing], None]
COPIES_AT_ONCE = 8


class Extraction:
    """One try of one resource's extract: its request, its plan, its folder in the landing bucket."""

    def __init__(self, context: Mapping[str, Any], resource: Resource) -> None:
        self.resource = resource
        self.request: RunRequest = read_request(context, resource)
        self.landing = google.landing(resource)
        self.warehouse = google.warehouse(resource)
        self.ledger = Ledger(self.warehouse)
        self.head = self.ledger.head()
        self.folder = resource.target.landing_prefix(self.request.load_id)
        self.prefix = f"{self.folder}/{self.request.attempt}"

    def plan(self, make: Callable[[Plan], Plan | None]) -> Plan | None:
        """Return the stored plan of this load, or store the one that `make` completes, before any reading.

        A plan outlives its folder in the ledger, so that a cleared run re-reads its own window.
        None means that there is nothing to read; nothing is stored then.
        """
        if stored := self._stored():
            return stored
        draft = Plan(self.request.load_id, self.request.mode, self.head.epoch, self.head.watermark)
        plan = make(draft)
        if plan is None or self.landing.write_text(self._plan_uri(), dumps(plan)):
            return plan
        return self._stored()

    def _stored(self) -> Plan | None:
        text = self.landing.read_text(self._plan_uri())
        return load_plan(text) if text else self.ledger.plan(self.request.load_id)

    def _plan_uri(self) -> str:
        """Address of the plan; what is read decides the name, so that a changed cursor plans anew."""
        spec = self.resource.spec.model_dump(mode="json")
        read = {key: spec.get(key) for key in ("table", "query", "cursor", "cursor_timezone", "path", "load")}
        return f"{self.folder}/plan-{digest(read)}.json"

    def finish(self, manifest: Manifest) -> dict[str, Any]:
        """Write the manifest, last of all, and return what XCom carries."""
        return write_manifest(
            self.landing,
            self.prefix,
            manifest,
            rows=manifest.rows_read,
            bytes=manifest.bytes,
            window=str(manifest.plan.window or ""),
            objects=len(manifest.plan.objects),
        )

    def manifest(self, plan: Plan, snapshot_at: datetime) -> Manifest:
        """Start the manifest of this extract."""
        return Manifest(
            step="extract",
            attempt=self.request.attempt,
            spec_digest=self.resource.spec_digest,
            plan=plan,
            snapshot_at=snapshot_at.isoformat(),
        )

    def skip(self, reason: str) -> NoReturn:
        """End the resource's run early, saying why: nothing is loaded and the ledger is not touched."""
        name = f"{self.resource.dag_id}.{self.resource.name}"
        raise NothingToLoad(f"{name}: {reason}. Nothing was published; the watermark stays.")


def extract_table(context: Mapping[str, Any], resource: Resource, source: TableSource) -> dict[str, Any]:
    """Read one window of a table, or all of it, into Parquet parts; return what XCom carries.

    Raises AccountingError when the rows read differ from the source's own count in the same snapshot.
    """
    run = Extraction(context, resource)
    with source.snapshot(selection(resource)) as snapshot:
        plan = plan_table(run, snapshot)
        count = snapshot.count(plan.window)
        if count == 0 and resource.spec.is_incremental and plan.mode != "full_refresh":
            run.skip(f"no rows in {plan.window} at {resource.conn_id}")
        log.info("reading %d rows of %s, window %s", count, resource.name, plan.window or "whole table")
        parts = _write_parts(run, snapshot, plan.window)
    rows = sum(part.rows or 0 for part in parts)
    if rows != count:
        raise AccountingError(
            f"{resource.dag_id}.{resource.name}: the source counted {count} rows in {plan.window}, but {rows}"
            " were read in the same snapshot. Nothing was published; report this with the task's log"
        )
    manifest = run.manifest(plan, snapshot.now).then(
        parts=parts, rows_read=rows, schema=base64.b64encode(snapshot.schema.serialize()).decode()
    )
    return run.finish(manifest)


def selection(resource: Resource) -> Selection:
    """Say what to read of a table resource."""
    spec = resource.spec
    assert isinstance(spec, TransactionalTable | CatalogTable)
    return Selection(
        table=spec.table,
        query=spec.query,
        include=spec.columns.include,
        exclude=spec.columns.exclude,
        cursor=spec.cursor if isinstance(spec, TransactionalTable) else None,
        primary_key=spec.primary_key,
    )


def plan_table(run: Extraction, snapshot: WindowBasis) -> Plan:
    """Return the plan of a table's read; skips the run when there is nothing to read."""
    spec = run.resource.spec

    def make(draft: Plan) -> Plan | None:
        if not isinstance(spec, TransactionalTable):
            return draft
        window = plan_window(spec, run.request, run.head.watermark, snapshot)
        return None if window is None or window.is_empty else replace(draft, window=window)

    plan = run.plan(make)
    if plan is None:
        run.skip(f"nothing to read: the window is empty (watermark {run.head.watermark})")
    return plan


def _write_parts(run: Extraction, snapshot: TableSnapshot, window: Window | None) -> tuple[Part, ...]:
    batches = snapshot.read(window)
    first = next(batches, None)
    if first is None:
        return ()
    with PartWriter(run.landing, run.prefix, first.schema) as writer:
        writer.write(first)
        for batch in batches:
            writer.write(batch)
    return tuple(writer.parts)


def extract_files(
    context: Mapping[str, Any], resource: Resource, source: FileSource, copy: Copy
) -> dict[str, Any]:
    """Copy the planned objects, several at a time, into the landing bucket; return what XCom carries.

    An object that changed since it was listed is left to the next run, which lists its newer version.
    """
    run = Extraction(context, resource)
    spec = resource.spec
    assert isinstance(spec, Files)
    snapshot_at = datetime.now(UTC)
    plan = run.plan(lambda draft: _plan_files(run, source, draft))
    if plan is None:
        run.skip(f"no new or changed object matches {spec.path}")
    with ThreadPoolExecutor(COPIES_AT_ONCE) as pool:
        copied = pool.map(lambda item: _copy_one(run, copy, *item), enumerate(plan.objects))
        parts = tuple(part for part in copied if part is not None)
    if not parts:
        run.skip(
            "every planned object has changed since it was listed; the next run reads the newer versions"
        )
    return run.finish(run.manifest(plan, snapshot_at).then(parts=parts))


def _plan_files(run: Extraction, source: FileSource, draft: Plan) -> Plan | None:
    spec = run.resource.spec
    assert isinstance(spec, Files)
    files = spec.files if isinstance(spec, CatalogFiles) else "new"
    loaded = run.ledger.loaded_objects() if files == "new" else ()
    objects = plan_objects(source.objects(spec.path), loaded, draft.mode, files=files)
    return draft.with_objects(objects) if objects else None


def _copy_one(run: Extraction, copy: Copy, index: int, planned: PlannedObject) -> Part | None:
    suffix = planned.uri.rsplit("/", 1)[-1]
    uri = f"{run.prefix}/raw/{index:05d}/{suffix}"
    modified = datetime.fromisoformat(planned.modified)
    try:
        copy(SourceObject(planned.uri, planned.version, planned.size, modified), uri, run.landing)
    except StaleError as error:
        log.warning("left to the next run: %s", error)
        return None
    part = run.landing.stat(uri)
    if part.size != planned.size:
        raise AccountingError(f"{planned.uri}: {planned.size} bytes listed, {part.size} copied to {uri}")
    return replace(part, source=planned)
