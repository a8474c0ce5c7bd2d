"""A row is kept exactly as it was read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from etl_factory.schema import raw
from etl_factory.schema.types import raw_json

ARRAYS = {
    "text that is no UTF-8": pa.array([b"a\xff\x00"], pa.binary()).view(pa.string()),
    "a null": pa.array([None], pa.string()),
    "an integer": pa.array([2**63 - 1], pa.int64()),
    "a decimal": pa.array([Decimal("1.50")], pa.decimal128(38, 2)),
    "a float": pa.array([float("inf")], pa.float64()),
    "bytes": pa.array([b"\x00\xff"], pa.binary()),
    "a day beyond the calendar": pa.array([3_000_000], pa.int32()).view(pa.date32()),
    "a moment in nanoseconds": pa.array([1], pa.timestamp("ns", "UTC")),
    "JSON in which a key stands twice": pa.ExtensionArray.from_storage(
        raw_json(), pa.array(['{"a":1,"a":2}'], pa.large_string())
    ),
    "nested values": pa.array([[{"at": datetime(2025, 1, 1, tzinfo=UTC), "on": date(1, 1, 1)}]]),
}


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_every_value_comes_back_as_it_was(array: pa.Array) -> None:
    declared = pa.schema([pa.field("v", pa.decimal256(76, 38), metadata={"k": "v"})])
    row, found = raw.unpack(raw.pack(pa.RecordBatch.from_arrays([array], ["v"]), declared) or b"")

    assert row.schema.metadata is None
    assert row.column(0).type == array.type
    assert [buffer and buffer.to_pybytes()[:16] for buffer in row.column(0).buffers()] or array.null_count
    assert str(row.column(0)) == str(array)
    assert found.equals(declared, check_metadata=True)


def test_one_row_of_a_batch_carries_no_other() -> None:
    batch = pa.RecordBatch.from_pydict({"v": ["x" * 10_000, "short"]})
    packed = raw.pack(batch.slice(1, 1), batch.schema)

    assert packed is not None
    assert b"xxxx" not in packed
    assert raw.unpack(packed)[0].to_pylist() == [{"v": "short"}]


def test_a_row_that_is_too_long_is_not_kept() -> None:
    batch = pa.RecordBatch.from_pydict({"v": ["x" * raw.LONGEST]})
    assert raw.pack(batch, batch.schema) is None
