"""Apache Parquet: the footer declares the schema, row groups stream.

INT96, in which Spark and Hive write moments, counts nanoseconds of any day, more than Arrow's 64 bits hold: it is
read in microseconds, and the digits below are looked at apart. It is an instant, as BigQuery itself takes it.
https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-parquet#parquet_conversions
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as t

from etl_factory.errors import TerminalError
from etl_factory.schema.rows import Batch, numbered
from etl_factory.schema.types import is_json
from etl_factory.sources.formats.base import BATCH_ROWS, Format, damaged_file_errors
from etl_factory.sources.specs import ParquetFormat


class Parquet(Format):
    """Parquet, whose values have exact types already."""

    is_text: ClassVar[bool] = False

    def __init__(self, spec: ParquetFormat) -> None:
        self.spec = spec

    def infer(self, stream: IO[bytes], limit: int | None = None) -> pa.Schema:
        """Return the footer's schema."""
        with damaged_file_errors():
            file = _opened(stream, "us")
            old = _int96(file)
            return pa.schema([_declared(field, old) for field in file.schema_arrow])

    def read(self, stream: IO[bytes]) -> Iterator[Batch]:
        """Stream the rows."""
        number = 0
        with damaged_file_errors():
            for rows in _batches(stream):
                yield numbered(_unparsed(rows), number + 1)
                number += rows.num_rows


def _opened(stream: IO[bytes], unit: str) -> pq.ParquetFile:
    return pq.ParquetFile(stream, coerce_int96_timestamp_unit=unit)


def _int96(file: pq.ParquetFile) -> frozenset[str]:
    """Name the columns that are INT96, or have it inside."""
    columns = (file.schema.column(i) for i in range(len(file.schema)))
    return frozenset(leaf.path.split(".")[0] for leaf in columns if leaf.physical_type == "INT96")


def _declared(field: pa.Field, old: frozenset[str]) -> pa.Field:
    is_instant = field.name in old and t.is_timestamp(field.type)
    return field.remove_metadata().with_type(_instant(field.type) if is_instant else field.type)


def _instant(type_: pa.DataType) -> pa.DataType:
    return pa.timestamp("us", type_.tz or "UTC")


def _batches(stream: IO[bytes]) -> Iterator[pa.RecordBatch]:
    file = _opened(stream, "us")
    old = _int96(file)
    whole = file.iter_batches(batch_size=BATCH_ROWS)
    if not old:
        yield from whole
        return
    finer = _opened(stream, "ns").iter_batches(batch_size=BATCH_ROWS, columns=sorted(old))
    for rows, fine in zip(whole, finer, strict=True):
        arrays = [
            _exact(name, column, fine.column(name)) if name in old else column
            for name, column in zip(rows.schema.names, rows.columns, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, names=rows.schema.names)


def _exact(name: str, column: pa.Array, fine: pa.Array) -> pa.Array:
    """Return instants, spelt with all nine digits where one has more than six, so that it is no TIMESTAMP."""
    if not t.is_timestamp(column.type):
        if any(pc.any(pc.greater(below, 0)).as_py() for below in _digits_below(column, fine)):
            raise TerminalError(
                f"column {name!r} holds INT96 moments finer than a microsecond inside a nested value, which BigQuery"
                " cannot hold: write them as INT64 microseconds, or leave the column out with columns.exclude"
            )
        return column
    (below,) = _digits_below(column, fine)
    if not pc.any(pc.greater(below, 0)).as_py():
        return column.view(_instant(column.type))
    spelt = column.view(pa.timestamp("us")).cast(pa.string())
    digits = pc.utf8_lpad(below.cast(pa.string()), 3, "0")
    ends = pc.if_else(pc.greater(below, 0), digits, "")
    return pc.binary_join_element_wise(spelt, ends, "+00:00", "")


def _digits_below(column: pa.Array, fine: pa.Array) -> Iterator[pa.Array]:
    """Yield how many nanoseconds each INT96 moment has below its microsecond; both products overflow alike."""
    if t.is_timestamp(column.type) and column.type.unit != fine.type.unit:
        yield pc.subtract(fine.view(pa.int64()), pc.multiply(column.view(pa.int64()), 1000))
    elif t.is_map(column.type):
        yield from _digits_below(column.keys, fine.keys)
        yield from _digits_below(column.items, fine.items)
    elif t.is_struct(column.type):
        for one, other in zip(column.flatten(), fine.flatten(), strict=True):
            yield from _digits_below(one, other)
    elif t.is_nested(column.type):
        yield from _digits_below(column.flatten(), fine.flatten())


def _unparsed(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Hand out JSON as the bytes it is in the file, since nobody has parsed them yet."""
    columns = [
        column.storage.cast(pa.binary()) if is_json(column.type) else column for column in rows.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=rows.schema.names)
