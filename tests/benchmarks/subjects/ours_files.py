"""Our sanitize of files that extract has landed: infer, read, clean and write, as the task does."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks import files
from benchmarks.subjects import places

MODIFIED = "2025-06-01T06:00:00+00:00"


def sanitize(options: dict[str, Any]) -> Iterator[Any]:
    """Sanitize one file into finished Parquet bytes that nobody keeps.

    `is_later` says that the ledger knows the file's schema from a load before, as in all loads but the first.
    """
    import etl_factory.transfers.gcs_to_gcs  # noqa: F401 - the interpreter with the providers loaded

    _sanitize_few(options["format"])
    return _sanitize(options)


def _sanitize_few(kind: str) -> None:
    """Import what is imported only when it is used, by a small file of the same format."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"few.{kind}")
        files.WRITERS[kind](path, 10)
        for _ in _sanitize({"path": str(path), "format": kind}):
            continue


def _sanitize(options: dict[str, Any]) -> Iterator[Any]:
    resource, landing, manifest = _step(options)
    published = None
    if options.get("is_later"):
        manifest, published = _later(manifest, options)
    yield
    done = _sanitized(resource, landing, manifest, published)
    yield {
        "rows": done.rows_staged,
        "quarantined": done.rows_quarantined,
        "bytes": sum(p.size for p in done.parts),
    }


def _step(options: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Return the resource, its landing bucket, and the manifest that extract would have left."""
    path = Path(options["path"])
    resource = places.resource(
        "gcs", places.FILE_STEP.format(path=f"gs://drop/{path.name}", format=options["format"])
    )
    landing: Any = places.NullLanding({"gs://bench-objects/raw/0": path})
    places.stand_in(landing)
    return resource, landing, _landed(resource, landing, path)


def _sanitized(resource: Any, landing: Any, manifest: Any, published: Any) -> Any:
    from etl_factory.operators.sanitizing import Sanitizer

    return Sanitizer(resource, landing, manifest, "sanitize-1-00000000").run(published)


def _later(manifest: Any, options: dict[str, Any]) -> tuple[Any, Any]:
    """Return the manifest and the table's columns as a load before has left them, in a process of its own."""
    from etl_factory.schema.types import Field

    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        recorded, columns = process.submit(_loaded, options).result()
    return replace(manifest, recorded=recorded), tuple(Field.from_json(column) for column in columns)


def _loaded(options: dict[str, Any]) -> tuple[str, list[Any]]:
    """Return what a first load leaves: the schema in the ledger, and the columns of its table."""
    done = _sanitized(*_step(options), None)
    return done.recorded, [column for column in done.fields if not column["name"].startswith("_etl_")]


def _landed(resource: Any, landing: Any, path: Path) -> Any:
    from etl_factory.landing.manifest import Manifest, Plan, PlannedObject

    source = PlannedObject(f"gs://drop/{path.name}", "1", path.stat().st_size, MODIFIED)
    part = replace(landing.stat("gs://bench-objects/raw/0"), source=source)
    plan = Plan("ld_0123456789abcdef0123", "live", 0, None, planned_at=MODIFIED).with_objects((source,))
    return Manifest("extract", "extract-1-00000000", resource.spec_digest, plan, MODIFIED, parts=(part,))
