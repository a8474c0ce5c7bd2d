"""Whoever stops reading a CSV file leaves no thread of Arrow's that waits: one that meets the end of Python hangs."""

from __future__ import annotations

import io
import time
from itertools import islice

import pytest

from etl_factory.errors import TerminalError
from etl_factory.sources.formats import _numbering, csv
from etl_factory.sources.formats._numbering import Blocks
from etl_factory.sources.specs import CsvFormat

PATIENCE = 20.0
LINES = [b"id,at", *(b"%d,2025-01-31" % number for number in range(3000))]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What begins and ends in the thread that reads blocks."""
    seen: list[str] = []
    read = Blocks.read

    def watched(blocks: Blocks, size: int = -1) -> bytes:
        seen.append("begins")
        try:
            return read(blocks, size)
        finally:
            seen.append("ends")

    monkeypatch.setattr(Blocks, "read", watched)
    monkeypatch.setattr(csv, "BLOCK_BYTES", 2000)
    monkeypatch.setattr(_numbering, "PATIENCE_SECONDS", PATIENCE)
    return seen


@pytest.mark.parametrize(
    ("batches", "long_line"),
    [(1, 0), (2, 0), (15, 0), (100, 0), (100, 700), (100, 1)],
    ids=["at once", "early", "late", "at the end", "by an error", "by an error at once"],
)
def test_nothing_is_read_once_nobody_reads_on(reads: list[str], batches: int, long_line: int) -> None:
    lines = list(LINES)
    if long_line:
        lines[long_line] += b'x"' * 3000
    found = csv.Csv(CsvFormat(type="csv", encoding="utf-8")).read(io.BytesIO(b"\n".join(lines) + b"\n"))
    try:
        for _ in islice(found, batches):
            continue
        assert not long_line
    except TerminalError as error:
        assert long_line and "longer than" in str(error)
    began = time.monotonic()
    found.close()  # type: ignore[attr-defined]  # a generator
    assert time.monotonic() - began < PATIENCE / 2, "it waited for its turn"
    so_far = list(reads)
    assert so_far.count("begins") == so_far.count("ends") > 0
    time.sleep(0.05)
    assert reads == so_far
