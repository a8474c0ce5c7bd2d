"""A run with a row limit reads no more than that of a table, and copies no more objects than it can need."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from etl_factory.landing.manifest import PlannedObject
from etl_factory.sources.base import TableSnapshot
from etl_factory.transfers.sampling import first_objects, first_rows
from etl_factory.windows import CursorKind, Window

NOW = datetime(2025, 6, 1, tzinfo=UTC)
SCHEMA = pa.schema([("id", pa.int64())])


class Batches(TableSnapshot):
    """A table of integers in batches of three, which tells how many batches were asked for."""

    schema, now = SCHEMA, NOW

    def __init__(self, rows: int) -> None:
        self.rows, self.given = rows, 0

    def cursor_kind(self) -> CursorKind:
        return "integer"

    def greatest(self) -> int | None:
        return self.rows

    def count(self, window: Window | None) -> int:
        return self.rows

    def read(self, window: Window | None) -> Iterator[pa.RecordBatch]:
        for start in range(0, self.rows, 3):
            self.given += 1
            yield pa.record_batch({"id": range(start, min(start + 3, self.rows))}, SCHEMA)


@pytest.mark.parametrize(
    ("limit", "count", "batches"), [(1, 1, 1), (3, 3, 1), (4, 4, 2), (8, 8, 3), (9, 8, 3), (100, 8, 3)]
)
def test_no_more_rows_are_read_than_asked_for(limit: int, count: int, batches: int) -> None:
    table = Batches(8)
    sample = first_rows(table, limit)

    read = [row["id"] for batch in sample.read(None) for row in batch.to_pylist()]

    assert read == list(range(count))
    assert sample.count(None) == count
    assert table.given == batches


def test_a_sample_is_of_its_tables_schema_clock_and_cursor() -> None:
    table = Batches(8)
    sample = first_rows(table, 2)

    assert (sample.schema, sample.now, sample.settled) == (table.schema, table.now, table.settled)
    assert (sample.cursor_kind(), sample.greatest()) == ("integer", 8)


def test_without_a_limit_the_snapshot_itself_is_read() -> None:
    table = Batches(8)

    assert first_rows(table, None) is table


@pytest.mark.parametrize(("limit", "count"), [(None, 3), (2, 2), (5, 3)])
def test_no_more_objects_are_copied_than_rows_are_asked_for(limit: int | None, count: int) -> None:
    listed = tuple(PlannedObject(f"s3://b/{name}", "v1", 1, NOW.isoformat()) for name in "abc")

    assert first_objects(listed, limit) == listed[:count]
