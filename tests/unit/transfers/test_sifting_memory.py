"""Compressed files that are parsed while they are copied, many at a time, take no more memory than any others."""

from __future__ import annotations

import gzip
import io
import resource as usage
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import IO

from benchmarks.subjects import places
from etl_factory.sources._stores import AT_ONCE
from etl_factory.sources.base import SourceObject
from etl_factory.transfers.memory import ROOM_BYTES, Room, memory_of
from etl_factory.transfers.sifting import sift_copy

MOST_MB = 300  # docs/guarantees.md
YAML = "  one:\n    path: gs://drop/*.csv\n    format: csv\n    columns: {exclude: [secret]}\n    load: catalog\n"


def peak_mb() -> float:
    return usage.getrusage(usage.RUSAGE_SELF).ru_maxrss / 1024


def copied(files: int, rows: int) -> float:
    """Copy as many files as extract does at a time; return by how many MB the process has grown."""
    lines = (b"%d,secret,%s,%d\n" % (n, b"some words here and there" * 3, n % 7) for n in range(rows))
    content = gzip.compress(b"id,secret,a,b\n" + b"".join(lines), 1)
    made, landing, room = places.resource("gcs", YAML), places.NullLanding(), Room(ROOM_BYTES)

    def opened(_: SourceObject) -> IO[bytes]:
        return io.BytesIO(content)

    copy = sift_copy(SimpleNamespace(open=opened), made, None)  # type: ignore[arg-type]  # all that it uses

    def one(number: int) -> None:
        item = SourceObject(f"gs://drop/{number}.csv", "1", len(content), datetime.now(UTC))
        with room.taken(memory_of(item.size, is_parsed=True)):
            copy(item, f"gs://bench-objects/{number}", landing)  # type: ignore[arg-type]  # keeps nothing

    one(-1)
    before = peak_mb()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, range(files)))
    return peak_mb() - before


def test_many_at_a_time() -> None:
    command = [sys.executable, "-c", f"import {__name__} as its; print(its.copied({AT_ONCE}, 150_000))"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert float(done.stdout.splitlines()[-1]) < MOST_MB
