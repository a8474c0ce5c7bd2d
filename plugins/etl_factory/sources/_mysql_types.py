"""MySQL's types as Arrow's: the server prints every value, and only what is exact becomes a number here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

CURSORS = {"tinyint": "integer", "smallint": "integer", "mediumint": "integer", "int": "integer",
           "bigint": "integer", "date": "date", "datetime": "naive", "timestamp": "instant"}  # fmt: skip
_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint", "year")
_BYTES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
_SHAPES = ("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
           "geometrycollection")  # fmt: skip

# One value of these may be of many megabytes.
LONG = ("blob", "mediumblob", "longblob", "text", "mediumtext", "longtext", "json", *_SHAPES)


class TypedColumn(Protocol):
    """What this module needs to know of a column."""

    @property
    def data_type(self) -> str:
        """Type name without arguments."""

    @property
    def full_type(self) -> str:
        """Type with arguments, e.g. `bigint(20) unsigned`."""

    @property
    def precision(self) -> int | None:
        """Digits of a decimal."""

    @property
    def scale(self) -> int | None:
        """Fractional digits of a decimal."""


def declared_type(column: TypedColumn) -> pa.DataType:
    """Return the Arrow type of every value the column can hold; TIME is a duration here, so it is text."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    if column.data_type == "decimal":
        precision, scale = column.precision or 65, column.scale or 0
        return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
    if column.data_type == "bigint" and "unsigned" in column.full_type:
        return pa.decimal128(20, 0)
    if column.data_type in _INTEGERS or column.data_type == "bit":
        return pa.int64() if column.full_type != "bit(64)" else pa.decimal128(20, 0)
    if column.data_type in _BYTES:
        return pa.binary()
    types = {
        "float": pa.float64(),
        "double": pa.float64(),
        "date": pa.date32(),
        "datetime": pa.timestamp("us"),
        "timestamp": pa.timestamp("us", "UTC"),
        "json": pa.json_(),
    }
    return types.get(column.data_type, pa.string())


def expression(column: TypedColumn, quoted: str) -> str:
    """Return the SELECT expression that makes the server print the value exactly."""
    if column.data_type == "float":
        return f"CAST({quoted} AS DOUBLE)"
    if column.data_type == "bit":
        return f"CAST({quoted} AS UNSIGNED)"
    return f"ST_AsText({quoted})" if column.data_type in _SHAPES else quoted


def to_arrow(column: TypedColumn, values: Sequence[bytes | None]) -> pa.Array:
    """Turn printed values into Arrow: numbers and bytes as they are, all else as text for the sanitizer."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    raw = pa.array(values, pa.binary())
    if column.data_type in _BYTES:
        return raw
    text = raw.cast(pa.string())
    if column.data_type == "timestamp":
        return _utc(text)
    declared = declared_type(column)
    return text.cast(declared) if pa.types.is_integer(declared) or pa.types.is_floating(declared) else text


def _utc(text: pa.Array) -> pa.Array:
    """Mark printed TIMESTAMP values as UTC, which is the session's time zone."""
    import pyarrow.compute as pc  # noqa: PLC0415 - heavy

    return pc.binary_join_element_wise(text, "+00:00", "")
