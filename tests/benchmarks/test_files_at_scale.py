"""Large and many files are taken without local copies, by few requests, and in little memory.

The full sizes are run by hand: see files_at_scale.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from files_at_scale import MOST_BYTES, excess, free_port, scale
from generated_s3 import WIDTH, Files

from edge import edge_of

pytestmark = pytest.mark.stack
LARGE = Files(1, 120_000_000 // WIDTH)
MANY = Files(120, 5)


def test_a_large_file_is_streamed(stack: Mapping[str, str], tmp_path: Path) -> None:
    """The copy takes less memory than the file has bytes, so that the file is never held."""
    with scale(LARGE, stack, tmp_path, free_port()) as made:
        copied = made.step("extract")
        cleaned = made.step("sanitize")

    assert excess("extract", copied, 100_000_000) == []
    assert excess("sanitize", cleaned, MOST_BYTES) == []
    assert cleaned["left"]["rows_staged"] == LARGE.lines


def test_many_files_take_one_request_each(stack: Mapping[str, str], tmp_path: Path) -> None:
    """One to read and one to write when an object is copied, and one in each of sanitize's two passes."""
    with (
        edge_of(stack["STORAGE_EMULATOR_HOST"]) as landing,
        scale(MANY, {**stack, "STORAGE_EMULATOR_HOST": landing.url}, tmp_path, free_port()) as made,
        edge_of(f"http://127.0.0.1:{made.port}") as store,
    ):
        made.port = int(store.url.rpartition(":")[2])
        copied = made.step("extract")
        writes, reads = len(landing.seen), len(store.seen)
        cleaned = made.step("sanitize")
        again = len(landing.seen) - writes

    assert [excess(*step) for step in (("extract", copied), ("sanitize", cleaned))] == [[], []]
    assert cleaned["left"]["rows_staged"] == MANY.objects * MANY.lines
    assert (writes <= MANY.objects + 10, reads <= MANY.objects + 2, again <= 2 * MANY.objects + 10) == (
        True, True, True,
    ), (writes, reads, again)  # fmt: skip
