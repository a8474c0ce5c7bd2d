"""Gives the publish script its values: counts, limits, files, and where the watermark goes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from etl_factory.config.resource import Resource
from etl_factory.landing.manifest import FileTally, Manifest, Plan, dumps
from etl_factory.sources.specs import CatalogPart, Files, TransactionalTable
from etl_factory.warehouse.ledger import Head
from etl_factory.warehouse.publication import Publication
from etl_factory.windows import decode, encode


def parameters(
    to: Publication, resource: Resource, manifest: Manifest, head: Head, run_id: str
) -> Mapping[str, Any]:
    """Return the value of every parameter that the script of `to` names, by name."""
    plan, limit = manifest.plan, resource.spec.max_bad_rows
    replayed = manifest.extra.get("replay", {})
    return {
        "expected": head.version,
        "epoch": head.epoch + (1 if plan.mode == "full_refresh" else 0),
        "watermark": watermark(plan, head),
        "watermark_of": resource.cursor_digest if moves_watermark(plan, head) else head.watermark_of,
        "snapshot_at": datetime.fromisoformat(manifest.snapshot_at),
        "loaded_at": datetime.now(UTC),
        "load_id": plan.load_id,
        "attempt": manifest.attempt,
        "run_id": run_id,
        "mode": plan.mode,
        "plan": dumps(plan.with_objects(())),
        "resource": resource.name,
        "rows_read": manifest.rows_read,
        "rows_staged": manifest.rows_staged,
        "rows_quarantined": manifest.rows_quarantined,
        "most_bad": max(most_bad(limit.rows, limit.ratio, manifest.rows_read), replayed.get("rows", 0)),
        "bytes": manifest.bytes,
        "checksum": manifest.checksum,
        "spec_digest": manifest.spec_digest,
        "schema_changes": json.dumps(manifest.notes),
        "declared_schema": manifest.recorded or head.declared_schema,
        **_brakes(to, resource),
        **(_files(to, manifest.files) if isinstance(resource.spec, Files) else {}),
        **(_replayed_files(replayed) if to.replays and to.is_file else {}),
    }


def _brakes(to: Publication, resource: Resource) -> dict[str, float]:
    spec, found = resource.spec, {}
    if to.checks_shrink and isinstance(spec, CatalogPart):
        found["least_ratio"] = 1 - spec.max_shrink
    if to.finds_deletes and isinstance(spec, TransactionalTable):
        found["max_deletes"] = spec.max_deletes
    return found


def _files(to: Publication, files: tuple[FileTally, ...]) -> dict[str, Any]:
    if to.files_staging:
        return {"files": len(files)}
    return {
        "uris": tuple(file.uri for file in files),
        "versions": tuple(file.version for file in files),
        "sizes": tuple(file.size for file in files),
        "modified": tuple(datetime.fromisoformat(file.modified) for file in files),
        "file_rows": tuple(file.rows for file in files),
        "file_quarantined": tuple(file.quarantined for file in files),
    }


def _replayed_files(replayed: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "replayed_loads": tuple(replayed["loads"]),
        "replayed_files": tuple(replayed["files"]),
        "replayed_entries": replayed["entries"],
    }


def watermark(plan: Plan, head: Head) -> str | None:
    """Return the watermark after this publish: only a live run of this epoch moves it, and only forward."""
    if plan.window is None or not moves_watermark(plan, head):
        return head.watermark
    if plan.mode == "full_refresh" or head.watermark is None:
        return encode(plan.window.end)
    held: Any = decode(plan.window.kind, head.watermark)
    return encode(max(held, plan.window.end))


def moves_watermark(plan: Plan, head: Head) -> bool:
    """Tell whether a publish of this plan may move the watermark; one that read an empty window read nothing.

    Where there is none, only a read from the beginning sets it: a cleared run goes on from the watermark of its
    time, which a ledger that was dropped since knows nothing of.
    """
    if plan.window is None or plan.window.is_empty or plan.mode == "backfill":
        return False
    if plan.mode == "full_refresh":
        return True
    return plan.watermark is None if head.watermark is None else plan.epoch == head.epoch


def most_bad(rows: int | None, ratio: float | None, read: int) -> int:
    """Return the greatest number of bad rows that every limit allows."""
    # Rounded, since 0.29 * 100 is a little less than 29 and would refuse what is just allowed.
    by_ratio = read if ratio is None else math.floor(round(ratio * read, 6))
    return min(read, by_ratio, read if rows is None else rows)
