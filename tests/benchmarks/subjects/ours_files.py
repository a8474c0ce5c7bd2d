"""Our sanitize of files that extract has landed: infer, read, clean and write, as the task does."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import files
from benchmarks.subjects import places

MODIFIED = "2025-06-01T06:00:00+00:00"


def sanitize(options: dict[str, Any]) -> Iterator[Any]:
    """Sanitize one file into finished Parquet bytes that nobody keeps."""
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
    from etl_factory.operators.sanitizing import Sanitizer

    path = Path(options["path"])
    resource = places.resource(
        "gcs", places.FILE_STEP.format(path=f"gs://drop/{path.name}", format=options["format"])
    )
    landing: Any = places.NullLanding({"gs://bench-objects/raw/0": path})
    places.stand_in(landing)
    manifest = _landed(resource, landing, path)
    yield
    done = Sanitizer(resource, landing, manifest, "sanitize-1-00000000").run(None)
    yield {
        "rows": done.rows_staged,
        "quarantined": done.rows_quarantined,
        "bytes": sum(p.size for p in done.parts),
    }


def _landed(resource: Any, landing: Any, path: Path) -> Any:
    """Return the manifest that extract would have left."""
    from dataclasses import replace

    from etl_factory.landing.manifest import Manifest, Plan, PlannedObject

    source = PlannedObject(f"gs://drop/{path.name}", "1", path.stat().st_size, MODIFIED)
    part = replace(landing.stat("gs://bench-objects/raw/0"), source=source)
    plan = Plan("ld_0123456789abcdef0123", "live", 0, None, planned_at=MODIFIED).with_objects((source,))
    return Manifest("extract", "extract-1-00000000", resource.spec_digest, plan, MODIFIED, parts=(part,))
