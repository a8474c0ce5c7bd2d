"""Extracts what is in quarantine: a table's rows from there, a file's by reading its version again."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from etl_factory.errors import TerminalError
from etl_factory.landing.manifest import Part, PlannedObject
from etl_factory.landing.parts import PartWriter
from etl_factory.operators.replayed import left_over
from etl_factory.sources.specs import CatalogPart, Files
from etl_factory.transfers.planning import MOST_OBJECTS
from etl_factory.warehouse.quarantine import FileEntries, OriginLoad, QuarantineTable, ReadVersion

if TYPE_CHECKING:
    import pyarrow as pa

    from etl_factory.transfers.base import Copy, Extraction

ROWS_AT_ONCE = 1000


def demand_replayable(run: Extraction) -> None:
    """Raise TerminalError where a row that comes late has no exact place."""
    spec = run.resource.spec
    history = spec.history if isinstance(spec, CatalogPart) else "none"
    if history == "scd2" or (history == "snapshots" and isinstance(spec, Files)):
        raise TerminalError(
            f"{run.resource.dag_id}.{run.resource.name}: history: {history} cannot be replayed: the versions around the"
            " snapshot that lacks these rows are closed. Nothing was published; the next run reads all rows, and those"
            " that fit by then have a version from then on"
        )


def replay_rows(run: Extraction) -> dict[str, Any]:
    """Write a table's quarantined rows into parts, each with where it is in quarantine; return what XCom carries.

    Raises TerminalError when there are rows, and none of them can be cleaned again.
    """
    demand_replayable(run)
    found, with_values = QuarantineTable(run.warehouse), bool(run.resource.spec.primary_key)
    with_values &= run.resource.spec.is_incremental
    loads = found.loads() if found.is_there() else []
    left = found.left(with_values=with_values)
    declared: dict[str, pa.Field] = {}
    parts, masked = _write_rows(run, found, loads, declared, with_values=with_values)
    left |= {"masked": masked} if masked else {}
    rows = sum(part.rows or 0 for part in parts)
    if not rows:
        _nothing(run, left)
    plan = run.plan(lambda draft: draft, anew=True)
    assert plan is not None
    manifest = run.manifest(plan, loads[0].snapshot_at).then(
        parts=parts, rows_read=rows, schema=_schema(declared), extra={"replay": {"rows": rows, "left": left}}
    )
    return run.finish(manifest)


def _nothing(run: Extraction, left: dict[str, int]) -> None:
    if not left:
        run.skip("nothing is in quarantine that could be replayed")
    raise TerminalError(
        f"{run.resource.dag_id}.{run.resource.name}: none of the rows in quarantine can be replayed"
        f" ({left_over(left)}). Nothing was"
        " published; repair them at the source, or run with full_refresh"
    )


def _write_rows(
    run: Extraction, found: QuarantineTable, loads: Sequence[OriginLoad], declared: dict[str, pa.Field], *,
    with_values: bool,
) -> tuple[tuple[Part, ...], int]:  # fmt: skip
    """Write the rows load by load, and count those whose masks are not config's, which stay.

    `declared` gets each column as the latest load declared it.
    """
    import pyarrow as pa

    from etl_factory.transfers.hiding import let_through

    masked = 0
    with PartWriter(run.landing, run.prefix, part_schema()) as writer:
        for load in loads:
            rows = []
            for row in found.rows_of(load.load_id, with_values=with_values):
                if (passed := let_through(row["packed"], run.resource.spec.columns)) is None:
                    masked += 1
                    continue
                packed, schema = passed
                declared.update({column.name: column for column in schema})
                rows.append(row | {"load_id": load.load_id, "packed": packed})
            for first in range(0, len(rows), ROWS_AT_ONCE):
                writer.write(pa.RecordBatch.from_pylist(rows[first : first + ROWS_AT_ONCE], part_schema()))
    return tuple(writer.parts), masked


def part_schema() -> pa.Schema:
    """Return the columns of a part of quarantined rows."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("load_id", pa.string()),
            pa.field("file", pa.string()),
            pa.field("record", pa.int64()),
            pa.field("is_value", pa.bool_()),
            pa.field("entries", pa.int64()),
            pa.field("packed", pa.binary()),
        ]
    )


def _schema(declared: dict[str, pa.Field]) -> str:
    import pyarrow as pa

    return base64.b64encode(pa.schema(list(declared.values())).serialize()).decode()


@dataclass
class FileChoice:
    """Which versions are read again, which entries they leave behind, and which stay, by why.

    `superseded`: entries of versions that a newer one has replaced.
    """

    versions: dict[str, ReadVersion] = field(default_factory=dict)
    entries: list[FileEntries] = field(default_factory=list)
    superseded: list[FileEntries] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)

    def leave(self, why: str, entries: Iterable[FileEntries]) -> None:
        """Count rows that stay."""
        if count := _rows(entries):
            self.left[why] = self.left.get(why, 0) + count


def _rows(entries: Iterable[FileEntries]) -> int:
    """Count the rows of files, once where several loads have read the same; a value alone counts as one."""
    most: dict[str, int] = {}
    for entry in entries:
        most[entry.uri] = max(most.get(entry.uri, 0), entry.rows or 1)
    return sum(most.values())


def choose_versions(
    entries: Sequence[FileEntries], versions: Sequence[ReadVersion], epoch: int, only: datetime | None
) -> FileChoice:
    """Take the newest published version of each file in this epoch; with `only`, none but that snapshot's."""
    choice = FileChoice()
    newest: dict[str, ReadVersion] = {}
    for version in (v for v in versions if v.epoch == epoch and only in (None, v.snapshot_at)):
        held = newest.get(version.file.uri)
        if held is None or version.age > held.age:
            newest[version.file.uri] = version
    read = {(v.load_id, v.file.uri): v for v in sorted(versions, key=lambda v: v.published_at)}
    for entry in entries:
        own, current = read.get((entry.load_id, entry.uri)), newest.get(entry.uri)
        if own is None:
            choice.leave("unknown", [entry])
        elif current and own.epoch == epoch and own.file.version == current.file.version:
            choice.versions[entry.uri] = current
            choice.entries.append(entry)
        else:
            choice.superseded.append(entry)
    return choice


def replay_files(run: Extraction, copy: Copy) -> dict[str, Any]:
    """Copy the versions that have rows in quarantine into the landing bucket again; return what XCom carries.

    An object that is gone at that version leaves its rows in quarantine.
    """
    from etl_factory.transfers.base import copy_objects

    demand_replayable(run)
    found = QuarantineTable(run.warehouse)
    only = None if run.resource.spec.is_incremental else run.ledger.newest()
    entries = found.files() if found.is_there() else []
    choice = choose_versions(entries, found.versions() if entries else [], run.head.epoch, only)
    plan = run.plan(lambda draft: draft.with_objects(_objects(choice)), anew=True)
    assert plan is not None
    parts = copy_objects(run, copy, plan)
    got = {part.source.uri for part in parts if part.source}
    choice.leave("gone", [e for e in choice.entries if e.uri not in got and e.uri in _uris(plan.objects)])
    choice.leave("later", [e for e in choice.entries if e.uri not in _uris(plan.objects)])
    if not parts:
        _nothing_of_files(run, choice)
    taken = [entry for entry in choice.entries if entry.uri in got]
    read_at = min(choice.versions[uri].snapshot_at for uri in got).astimezone(UTC)
    manifest = run.manifest(plan, read_at)
    return run.finish(manifest.then(parts=parts, extra=manifest.extra | {"replay": _told(choice, taken)}))


def _objects(choice: FileChoice) -> tuple[PlannedObject, ...]:
    found = sorted(choice.versions.values(), key=lambda version: version.age)
    return tuple(version.file for version in found[:MOST_OBJECTS])


def _uris(objects: Iterable[PlannedObject]) -> set[str]:
    return {item.uri for item in objects}


def _told(choice: FileChoice, taken: Sequence[FileEntries]) -> dict[str, Any]:
    leaving = (*taken, *choice.superseded)
    return {
        "rows": _rows(taken),
        "superseded": _rows(choice.superseded),
        "left": choice.left,
        "loads": [entry.load_id for entry in leaving],
        "files": [entry.uri for entry in leaving],
        "entries": sum(entry.entries for entry in leaving),
    }


def _nothing_of_files(run: Extraction, choice: FileChoice) -> None:
    if choice.superseded and not choice.left:
        run.skip(
            f"{_rows(choice.superseded)} rows in quarantine are of versions that newer ones have replaced"
        )
    _nothing(run, choice.left)
