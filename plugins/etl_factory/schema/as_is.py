"""Says which Parquet columns BigQuery loads as the very values that cleaning would write, and what a footer proves.

Only what BigQuery's documentation names, and the same for every writer, is loaded as it is:
https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-parquet#parquet_conversions
It names compressions, but no encodings: those are taken that every version of the format has.
A footer's greatest and least value bound all others. Nothing in it shows that text is UTF-8, not even its writer's
name: DuckDB, arrow-rs (https://github.com/apache/datafusion-comet/pull/5310) and arrow2, which Polars began as
(https://github.com/jorgecarleitao/arrow2/pull/510), pass on what Arrow hands them, and Arrow reads files unchecked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.parquet as pq

from etl_factory.schema.casting import cast_column
from etl_factory.schema.sanitize import EXACT
from etl_factory.schema.types import Field, scalar_type

# https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-parquet#input_file_requirements
_COLUMNS = 100  # with more, pages of the usual size may be too much for it
_COMPRESSIONS = frozenset({"UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD"})
_ENCODINGS = frozenset({"PLAIN", "PLAIN_DICTIONARY", "RLE_DICTIONARY", "RLE", "BIT_PACKED"})
# How a column may be stored, by what it is published as, and the type that its bounds in the footer have.
_STORED: dict[str, dict[str, pa.DataType | None]] = {
    "BOOL": {"BOOLEAN None": None},
    "INT64": {
        "INT32 None": None, "INT32 Int 8 True": None, "INT32 Int 16 True": None, "INT32 Int 32 True": None,
        "INT64 None": None, "INT64 Int 64 True": None,
    },
    "FLOAT64": {"FLOAT None": None, "DOUBLE None": None},
    "NUMERIC": {"INT32 Decimal": None, "INT64 Decimal": None, "FIXED_LEN_BYTE_ARRAY Decimal": None},
    "BYTES": {"BYTE_ARRAY None": None, "FIXED_LEN_BYTE_ARRAY None": None},
    "STRING": {"BYTE_ARRAY String": None},
    "DATE": {"INT32 Date": pa.date32()},
    "TIME": {"INT64 Time microseconds": pa.time64("us")},
    "DATETIME": {"INT64 Timestamp False microseconds": pa.timestamp("us")},
    "TIMESTAMP": {
        "INT64 Timestamp True microseconds": pa.timestamp("us", "UTC"),
        "INT64 Timestamp True milliseconds": pa.timestamp("ms", "UTC"),
    },
}  # fmt: skip


def is_loadable(footer: pq.FileMetaData) -> bool:
    """Whether BigQuery can read a file's pages, which must all be in it, and are of at least one row."""
    if footer.num_columns > _COLUMNS:
        return False
    chunks = (chunk for place in range(footer.num_columns) for chunk in chunks_of(footer, place))
    groups = sum(footer.row_group(number).num_rows for number in range(footer.num_row_groups))
    return 0 < footer.num_rows == groups and all(map(_is_readable, chunks))


def chunks_of(footer: pq.FileMetaData, place: int) -> Iterable[pq.ColumnChunkMetaData]:
    """Yield what a footer says of the column at a place, row group by row group."""
    return (footer.row_group(number).column(place) for number in range(footer.num_row_groups))


def loads_as_is(column: pq.ColumnSchema, type_: pa.DataType, field: Field) -> bool:
    """Whether BigQuery makes of a column's values what cleaning makes of them, which takes them for `type_`."""
    is_kept = not field.is_nested and scalar_type(type_, field.name) == field.type
    return is_kept and _stored(column) in _STORED.get(field.type, {})


def is_proven(column: pq.ColumnSchema, chunks: Iterable[pq.ColumnChunkMetaData], field: Field) -> bool:
    """Whether a footer shows that all values of a column, which `loads_as_is`, are ones of BigQuery's."""
    if field.type in EXACT:
        return True
    type_ = _STORED[field.type][_stored(column)]
    return type_ is not None and all(_is_bounded(chunk, type_, field) for chunk in chunks)


def _is_readable(chunk: pq.ColumnChunkMetaData) -> bool:
    is_here = not chunk.file_path
    return is_here and chunk.compression in _COMPRESSIONS and _ENCODINGS.issuperset(chunk.encodings)


def _stored(column: pq.ColumnSchema) -> str:
    """Spell how the file itself says that a column is stored, whatever Arrow's own notes in it say."""
    logical = json.loads(column.logical_type.to_json())
    if logical["Type"] == "Time":
        del logical["isAdjustedToUTC"]  # a time of day is the same in any zone
    told = ("Type", "bitWidth", "isSigned", "isAdjustedToUTC", "timeUnit")
    return " ".join([column.physical_type, *(str(logical[key]) for key in told if key in logical)])


def _is_bounded(chunk: pq.ColumnChunkMetaData, type_: pa.DataType, field: Field) -> bool:
    """Tell whether the least and the greatest value are BigQuery's, and so all between them."""
    held = chunk.statistics
    if held is None or not held.has_min_max:
        return held is not None and held.has_null_count and held.null_count == chunk.num_values
    numbers = pa.array([held.min_raw, held.max_raw], pa.int32() if type_.bit_width == 32 else pa.int64())
    return cast_column(numbers.view(type_), type_, field)[1] is None
