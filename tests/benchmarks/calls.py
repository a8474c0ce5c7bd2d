"""Counts what Python itself does per row in the hot paths: exact, and the same on a busy machine as on a quiet one."""

from __future__ import annotations

import base64
import gc
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.files import write_csv, write_jsonl, write_parquet
from benchmarks.shapes import Table
from benchmarks.subjects import places

Work = Callable[[], object]
FEW, MANY = 50_000, 150_000  # so that both fill whole batches of every path


def per_million_rows(prepared: Callable[[int], Work], few: int = FEW, many: int = MANY) -> float:
    """Return how many function calls a million rows more cost: what is done once, or per file, cancels out."""
    prepared(few)()  # imports, and what is cached
    return (calls(prepared(many)) - calls(prepared(few))) / (many - few) * 1e6


def calls(work: Work) -> int:
    """Return how many functions are called, of Python and from Python of C, in all threads that the work starts."""
    with _counting() as counted:
        work()
    return counted[0]


@contextmanager
def _counting() -> Iterator[list[int]]:
    counted = [0]

    def count(frame: FrameType, event: str, argument: object) -> None:
        if event in ("call", "c_call"):
            counted[0] += 1

    gc.disable()  # when it runs depends on what ran before, and what it calls is not the path's
    threading.setprofile(count)
    sys.setprofile(count)
    try:
        yield counted
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]  # the documented way to end it
        gc.enable()


def csv(rows: int) -> Work:
    """Prepare the sanitize of a CSV file that holds no floats."""
    return _file("csv", partial(write_csv, without=frozenset({"weight"})), rows)


def csv_with_floats(rows: int) -> Work:
    """Prepare the sanitize of a CSV file with a column of floats of 16 digits."""
    return _file("csv", write_csv, rows)


def jsonl(rows: int) -> Work:
    """Prepare the sanitize of a JSON Lines file."""
    return _file("jsonl", write_jsonl, rows)


def clean_parquet(rows: int) -> Work:
    """Prepare the sanitize of a Parquet file that is clean already, and holds no text."""
    return _file("parquet", write_parquet, rows)


def _file(kind: str, write: Callable[[Path, int], None], rows: int) -> Work:
    from benchmarks.subjects.ours_files import sanitize

    path = Path(tempfile.mkdtemp(prefix="etl-factory-calls-"), f"rows.{kind}")
    write(path, rows)
    return _worked(sanitize({"path": str(path), "format": kind}), rows)


def _worked(steps: Iterator[Any], rows: int) -> Work:
    """Return a subject's work alone; its rows are checked."""
    next(steps)

    def work() -> None:
        assert next(steps)["rows"] == rows

    return work


def sanitize(rows: int) -> Work:
    """Prepare the sanitize of a table's part that has to be rewritten: decimals and times that came as text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from etl_factory.landing.manifest import Manifest, Part, Plan
    from etl_factory.operators.sanitizing import Sanitizer

    path = Path(tempfile.mkdtemp(prefix="etl-factory-calls-"), "part.parquet")
    price = pa.decimal128(12, 2)
    declared = pa.schema(
        [("id", pa.int64()), ("price", price), ("day", pa.date32()), ("Note Text", pa.string())]
    )
    numbers = range(rows)
    columns = [
        pa.array(numbers, pa.int64()),
        pa.array([str(Decimal(n) / 100) for n in numbers]),
        pa.array([date.fromordinal(730_000 + n % 5000) for n in numbers]),
        pa.array([f"note {n}" for n in numbers]),
    ]
    pq.write_table(pa.table(columns, names=declared.names), path)
    landing: Any = places.NullLanding({"gs://bench-objects/part": path})
    resource = places.resource("postgres", places.TABLE_STEP.format(table="public.t"))
    part = Part("gs://bench-objects/part", 1, path.stat().st_size, "", rows)
    manifest = Manifest(
        "extract", "extract-1-00000000", resource.spec_digest, Plan("ld_0", "live", 0, None), "",
        parts=(part,), rows_read=rows, schema=base64.b64encode(declared.serialize()).decode(),
    )  # fmt: skip

    def work() -> None:
        done = Sanitizer(resource, landing, manifest, "sanitize-1-00000000").run(None)
        assert done.rows_staged == rows

    return work


def postgres(rows: int) -> Work:
    """Prepare the extract of a PostgreSQL table with 16 mixed columns."""
    return _table("postgres", rows)


def mysql(rows: int) -> Work:
    """Prepare the extract of a MariaDB table with 16 mixed columns."""
    return _table("mysql", rows)


def _table(system: str, rows: int) -> Work:
    """Prepare reading and writing alone: the path that every row goes."""
    from benchmarks import seeding
    from etl_factory.sources import source_class
    from etl_factory.sources.base import Selection
    from etl_factory.transfers.keys import write_parts

    table = Table(f"calls_{rows}", "mixed", rows)
    execute = {"postgres": seeding.postgres, "mysql": seeding.mysql}[system]()
    for statement in getattr(table, system)():
        execute(statement)
    source: Any = source_class(system)(places.connection(system))

    def work() -> None:
        landing: Any = places.NullLanding()
        with source.snapshot(Selection(table=table.name)) as snapshot:
            parts = write_parts(snapshot.read(None), landing, "gs://bench-objects/calls")
        assert sum(part.rows or 0 for part in parts) == rows

    return work
