"""Rows on their way to staging, and the ones that cannot go there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

RAW_LIMIT = 64 * 1024


@dataclass(frozen=True)
class Reject:
    """One row that goes to quarantine: where it stood, which column, its raw value and why.

    `record` counts from 1 in its file or part; `line` is None where lines mean nothing;
    `row` is the raw row as text, bounded by `bounded`.
    """

    record: int
    line: int | None
    column: str
    value: str
    reason: str
    row: str


@dataclass(frozen=True)
class Batch:
    """Rows in file order with their record numbers (int64, from 1), and the records that were no rows."""

    rows: pa.RecordBatch
    records: pa.Array
    rejects: tuple[Reject, ...] = ()


def bounded(text: str) -> str:
    """Cut a raw value at 64 Ki characters, saying how long it was."""
    return text if len(text) <= RAW_LIMIT else f"{text[:RAW_LIMIT]}… ({len(text)} characters)"
