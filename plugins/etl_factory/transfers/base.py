"""The mechanism that every transfer shares: plan, read, write parts, and the manifest last."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from etl_factory.config.resource import Resource
from etl_factory.errors import AccountingError, NothingToLoad, StaleError, TerminalError, TransientError
from etl_factory.landing.manifest import Manifest, Part, Plan, PlannedObject, dumps, load_plan
from etl_factory.landing.objects import Landing
from etl_factory.operators import google
from etl_factory.operators.deletes import finds_deletes
from etl_factory.operators.handover import write_manifest
from etl_factory.sources._stores import AT_ONCE
from etl_factory.sources.base import (
    FileSource,
    Selection,
    SourceObject,
    TableSource,
    WindowBasis,
)
from etl_factory.sources.specs import CatalogFiles, CatalogTable, Files, TransactionalTable
from etl_factory.transfers.keys import write_keys, write_parts
from etl_factory.transfers.memory import ROOM_BYTES, Room, in_order, memory_of
from etl_factory.transfers.planning import plan_objects, plan_window
from etl_factory.transfers.replaying import replay_files, replay_rows
from etl_factory.transfers.request import RunRequest, read_request
from etl_factory.transfers.sampling import first_objects, first_rows
from etl_factory.warehouse.ledger import Ledger

log = logging.getLogger(__name__)
Copy = Callable[[SourceObject, str, Landing], Part]


class Extraction:
    """One try of one resource's extract: its request, its plan, its folder in the landing bucket."""

    def __init__(self, context: Mapping[str, Any], resource: Resource) -> None:
        self.resource = resource
        self.request: RunRequest = read_request(context, resource)
        if not self.request.is_wanted:
            self.skip("not asked for in this run")
        self.landing = google.landing(resource)
        self.warehouse = google.warehouse(resource)
        self.ledger = Ledger(self.warehouse)
        self.head = self.ledger.head()
        if self.request.mode == "backfill" and not resource.spec.is_incremental:
            self.skip("a backfill reads a window, and a catalog has none")
        self.folder = resource.target.landing_prefix(self.request.load_id)
        self.prefix = f"{self.folder}/{self.request.attempt}"

    def plan(self, make: Callable[[Plan], Plan | None], *, anew: bool = False) -> Plan | None:
        """Return the stored plan of this load, or store the one that `make` completes, before any reading.

        A plan outlives its folder in the ledger, so that a cleared run re-reads its own window; one that was
        made for another table, cursor or path is void. `anew` makes and keeps a plan for this try alone.
        None means that there is nothing to read; nothing is stored then.
        """
        if not anew and (stored := self._stored()):
            return self._current(stored)
        draft = Plan(
            self.request.load_id, self.request.mode, self.head.epoch, self.head.watermark,
            reads=self.resource.reads_digest, planned_at=self.later(datetime.now(UTC)).isoformat(),
            row_limit=self.request.row_limit,
        )  # fmt: skip
        plan = make(draft)
        if plan is None or anew or self.landing.write_text(self._plan_uri(), dumps(plan)):
            return plan
        return self._stored()

    def _current(self, plan: Plan) -> Plan:
        """Let a full refresh that runs again start from where the ledger stands now: it replaces that.

        A plan keeps its row limit; a limit that was asked for later counts for this try.
        """
        plan = replace(plan, row_limit=plan.row_limit or self.request.row_limit)
        if plan.mode != "full_refresh":
            return plan
        return replace(plan, epoch=self.head.epoch, watermark=self.head.watermark)

    def _stored(self) -> Plan | None:
        text = self.landing.read_text(self._plan_uri())
        plan = load_plan(text) if text else self.ledger.plan(self.request.load_id)
        return plan if plan and plan.reads == self.resource.reads_digest else None

    def _plan_uri(self) -> str:
        return f"{self.folder}/plan-{self.resource.reads_digest}.json"

    @property
    def replaces(self) -> bool:
        """Whether what this run reads becomes the whole table."""
        is_whole = not self.resource.spec.is_incremental and self.request.mode != "replay"
        return is_whole or self.request.mode == "full_refresh"

    def finish(self, manifest: Manifest) -> dict[str, Any]:
        """Write the manifest, last of all, and return what XCom carries; its parts say which objects were read."""
        return write_manifest(
            self.landing,
            self.prefix,
            manifest.then(plan=manifest.plan.with_objects(())),
            rows=manifest.rows_read,
            bytes=manifest.bytes,
            window=str(manifest.plan.window or ""),
            objects=len(manifest.plan.objects),
        )

    def manifest(self, plan: Plan, snapshot_at: datetime) -> Manifest:
        """Start the manifest of this extract; `parsed` in its `extra` says that no file was copied as it is."""
        spec = self.resource.spec
        return Manifest(
            step="extract",
            attempt=self.request.attempt,
            spec_digest=self.resource.spec_digest,
            plan=plan,
            snapshot_at=snapshot_at.isoformat(),
            recorded=self.head.declared_schema or "",
            extra={"parsed": True} if isinstance(spec, Files) and spec.columns.hides_values else {},
        )

    def later(self, moment: datetime) -> datetime:
        """Date what is read after the ledger later than the newest snapshot that the ledger told of.

        Else it would be taken for older, and lose, where the source's clock was put back since, or the clocks of
        two workers differ.
        """
        newest = self.head.snapshot_at
        return moment if newest is None or newest < moment else newest + timedelta(microseconds=1)

    def skip(self, reason: str) -> NoReturn:
        """End the resource's run early, saying why: nothing is loaded and the ledger is not touched."""
        name = f"{self.resource.dag_id}.{self.resource.name}"
        raise NothingToLoad(f"{name}: {reason}. Nothing was published; the watermark stays.")


def extract_table(context: Mapping[str, Any], resource: Resource, source: TableSource) -> dict[str, Any]:
    """Read one window of a table, or all of it, into Parquet parts; return what XCom carries.

    Raises AccountingError when the rows read differ from the source's own count in the same snapshot.
    """
    from etl_factory.transfers.masking import masked_rows, maskings_of

    run = Extraction(context, resource)
    if run.request.mode == "replay":
        return replay_rows(run)
    maskings = maskings_of(resource)
    with source.snapshot(selection(resource)) as held:
        snapshot = masked_rows(held, maskings)
        plan = plan_table(run, snapshot)
        rows_read = first_rows(snapshot, plan.row_limit)
        count = rows_read.count(plan.window)
        if count == 0 and may_skip(resource, plan):
            run.skip(f"no rows in {plan.window} at {resource.conn_id}")
        log.info("reading %d rows of %s, window %s", count, resource.name, plan.window or "whole table")
        parts = write_parts(rows_read.read(plan.window), run.landing, run.prefix)
        keys = (
            write_keys(snapshot, resource, run.landing, run.prefix) if finds_deletes(resource, plan) else ()
        )
    rows = sum(part.rows or 0 for part in parts)
    if rows != count:
        raise AccountingError(
            f"{resource.dag_id}.{resource.name}: the source counted {count} rows in {plan.window}, but {rows}"
            " were read in the same snapshot. Nothing was published; report this with the task's log"
        )
    manifest = run.manifest(plan, run.later(snapshot.now)).then(
        parts=parts, keys=keys, rows_read=rows, schema=base64.b64encode(snapshot.schema.serialize()).decode()
    )
    return run.finish(manifest)


def may_skip(resource: Resource, plan: Plan) -> bool:
    """Tell whether a run that reads no rows has nothing to say either: nothing to replace, no deletes to find."""
    return resource.spec.is_incremental and plan.mode != "full_refresh" and not finds_deletes(resource, plan)


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
        mask=spec.columns.mask,
    )


def plan_table(run: Extraction, snapshot: WindowBasis) -> Plan:
    """Return the plan of a table's read; skips the run when there is nothing to read, and no deletes to find.

    Raises TerminalError when the watermark is of another table or cursor than the config names now.
    """
    spec = run.resource.spec
    demand_own_watermark(run)

    def make(draft: Plan) -> Plan | None:
        if not isinstance(spec, TransactionalTable):
            return draft
        window = plan_window(spec, run.request, run.head.watermark, snapshot)
        if window.is_empty and not finds_deletes(run.resource, draft):
            return None
        return replace(draft, window=window)

    plan = run.plan(make)
    if plan is None:
        run.skip(f"nothing to read: the window is empty (watermark {run.head.watermark})")
    return plan


def demand_own_watermark(run: Extraction) -> None:
    """Raise TerminalError when a live run would go on from the watermark of another column or table, or other masks."""
    head, cursor = run.head, run.resource.cursor_digest
    if run.request.mode != "live" or head.watermark is None or head.watermark_of == cursor:
        return
    raise TerminalError(
        f"{run.resource.dag_id}.{run.resource.name}: its table, cursor, cursor_timezone, target_table or"
        f" columns.mask has changed since watermark {head.watermark} was stored, so the rows before it are others, or"
        " not hidden as these. Nothing was published; run once with full_refresh, or put the config back"
    )


def extract_files(
    context: Mapping[str, Any], resource: Resource, source: FileSource, copy: Copy
) -> dict[str, Any]:
    """Copy the planned objects, several at a time, into the landing bucket; return what XCom carries.

    Where config leaves columns out or masks them, no object is copied as it is.
    An object that changed since it was listed is left to the next run, which lists its newer version. What
    replaces the whole table is listed anew by every try, and none of it may be left out.
    Raises TransientError when one of those changes meanwhile.
    """
    run = Extraction(context, resource)
    spec = resource.spec
    assert isinstance(spec, Files)
    if run.request.mode == "replay":
        return replay_files(run, _sifted(run, source) or copy)
    plan = run.plan(lambda draft: _plan_files(run, source, draft), anew=run.replaces)
    if plan is None:
        run.skip(_nothing_listed(run, spec))
    parts = copy_objects(run, _sifted(run, source, plan.row_limit) or copy, plan)
    if not parts:
        run.skip(
            "every planned object has changed since it was listed; the next run reads the newer versions"
        )
    return run.finish(run.manifest(plan, datetime.fromisoformat(plan.planned_at)).then(parts=parts))


def _sifted(run: Extraction, source: FileSource, limit: int | None = None) -> Copy | None:
    """Return the copy that parses objects and leaves out what config hides; None where it hides nothing."""
    if not run.resource.spec.columns.hides_values:
        return None
    from etl_factory.transfers.sifting import sift_copy

    return sift_copy(source, run.resource, limit)


def copy_objects(run: Extraction, copy: Copy, plan: Plan) -> tuple[Part, ...]:
    """Copy a plan's objects, several at a time; without those that have changed or gone since they were listed."""
    room = Room(ROOM_BYTES)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        copied = in_order(pool, lambda item: _copy_one(run, room, copy, *item), enumerate(plan.objects))
        return tuple(part for part in copied if part is not None)


def _nothing_listed(run: Extraction, spec: Files) -> str:
    if run.request.mode == "backfill":
        return (
            f"no object that matches {spec.path} was modified from {run.request.start} to {run.request.end}"
        )
    return (
        f"no object matches {spec.path}" if run.replaces else f"no new or changed object matches {spec.path}"
    )


def _plan_files(run: Extraction, source: FileSource, draft: Plan) -> Plan | None:
    spec = run.resource.spec
    assert isinstance(spec, Files)
    files = spec.files if isinstance(spec, CatalogFiles) else "new"
    loaded = run.ledger.loaded_objects() if files == "new" else ()
    listed = source.objects(spec.path)
    if draft.mode == "backfill":
        start, end = run.request.instants()
        listed = (item for item in listed if start <= item.modified < end)
    objects = plan_objects(listed, loaded, draft.mode, files=files)
    return draft.with_objects(first_objects(objects, draft.row_limit)) if objects else None


def _copy_one(run: Extraction, room: Room, copy: Copy, index: int, planned: PlannedObject) -> Part | None:
    name = re.sub(r"[^\w.=-]", "_", planned.uri.rsplit("/", 1)[-1])[-100:]
    is_raw = not run.resource.spec.columns.hides_values
    uri = f"{run.prefix}/{'raw' if is_raw else 'parsed'}/{index:05d}/{name}"
    modified = datetime.fromisoformat(planned.modified)
    try:
        with room.taken(memory_of(planned.size, is_parsed=not is_raw)):
            part = copy(SourceObject(planned.uri, planned.version, planned.size, modified), uri, run.landing)
    except StaleError as error:
        if run.replaces:
            raise TransientError(
                f"{error}. The table would lose its rows, so nothing was published; the next try lists anew"
            ) from error
        log.warning("left to the next run: %s", error)
        return None
    if is_raw and part.size != planned.size:
        raise AccountingError(f"{planned.uri}: {planned.size} bytes listed, {part.size} copied to {uri}")
    return replace(part, source=planned)
