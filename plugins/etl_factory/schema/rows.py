"""Rows on their way to staging, and the ones that cannot go there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

RAW_LIMIT = 64 * 1024
ARRAY_BYTES = 1024  # what an array takes beside its values


@dataclass(frozen=True)
class Reject:
    """One row that goes to quarantine: where it stood, which column, its raw value and why.

    `record` counts from 1 in its file or part; `line` is None where lines mean nothing;
    `row` is the raw row as text, bounded by `bounded`. `key` holds the raw values of its primary key as JSON, and
    `raw` a table's row exactly as it was read (see schema.raw), None where it cannot be kept.
    """

    record: int
    line: int | None
    column: str
    value: str
    reason: str
    row: str
    key: str | None = None
    raw: bytes | None = None


@dataclass(frozen=True)
class Batch:
    """Rows in file order with their record numbers (int64, from 1), and the records that were no rows.

    `line_offset` is what makes a record's line of its number; None where lines mean nothing or are not known.
    `keys` are each row's own columns in its own order; None where all rows have those of the batch.
    """

    rows: pa.RecordBatch
    records: pa.Array
    rejects: tuple[Reject, ...] = ()
    line_offset: int | None = None
    keys: Sequence[Collection[str]] | None = None

    def names(self, index: int) -> list[str]:
        """Return the columns that a row has, in its order."""
        names = self.rows.schema.names
        return names if self.keys is None else [name for name in self.keys[index] if name in names]

    def line(self, record: int) -> int | None:
        """Return the line on which a record stands, None where it is not known."""
        return None if self.line_offset is None else record + self.line_offset

    @property
    def nbytes(self) -> int:
        """About how much memory the batch takes."""
        arrays = self.rows.nbytes + self.records.nbytes + (self.rows.num_columns + 1) * ARRAY_BYTES
        return int(arrays) + sum(len(reject.row) for reject in self.rejects)

    def __len__(self) -> int:
        return len(self.records) + len(self.rejects)

    def first(self, limit: int) -> Batch:
        """Return the first records, in the order of their numbers, broken ones counted."""
        if len(self) <= limit:
            return self
        numbers = sorted([*self.records.to_pylist(), *(reject.record for reject in self.rejects)])
        end = numbers[limit]
        kept = sum(number < end for number in self.records.to_pylist())
        rejects = tuple(reject for reject in self.rejects if reject.record < end)
        rows, records = self.rows.slice(0, kept), self.records.slice(0, kept)
        return Batch(rows, records, rejects, self.line_offset, self.keys and self.keys[:kept])


def numbered(rows: pa.RecordBatch, first: int) -> Batch:
    """Return rows that are records one after the other, `first` and those behind it."""
    import numpy as np

    return Batch(rows, as_records(np.arange(first, first + rows.num_rows, dtype=np.int64)))


def as_records(numbers: np.ndarray) -> pa.Array:
    """Return NumPy's int64 as Arrow's; `pa.array` would import pandas, to see whether they are its own."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers)])


def first_records(batches: Iterator[Batch], limit: int | None) -> Iterator[Batch]:
    """Pass no more than the first `limit` records, None all; of nothing, pass the columns."""
    if limit is None:
        yield from batches
        return
    for batch in batches:
        cut = batch.first(limit)
        yield cut
        limit -= len(cut)
        if not limit:
            return


def bounded(text: str) -> str:
    """Cut a raw value at 64 Ki characters, saying how long it was."""
    return text if len(text) <= RAW_LIMIT else f"{text[:RAW_LIMIT]}… ({len(text)} characters)"
