"""PostgreSQL's types as Arrow's: how each column is read, exactly, and what it is declared to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from etl_factory.schema.types import raw_json
from etl_factory.windows import CursorKind

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class PostgresColumn:
    """One column of a relation: `oid` of its base type, `modifier` as in pg_attribute.atttypmod, `own` oid of its type.

    The two differ for a domain.
    """

    name: str
    oid: int
    modifier: int
    type_name: str
    own: int


class OtherColumnError(Exception):
    """A value came as another type than its column was listed with; the message names the column."""


NUMERIC, JSON, JSONB, UUID = 1700, 114, 3802, 2950
TEMPORAL = {1082: "date", 1114: "timestamp", 1184: "timestamptz"}
# Types that ADBC reads exactly, as measured; any other is cast to text by the server. A UUID is spelt here.
_EXACT = {16: "bool", 21: "int16", 23: "int32", 20: "int64", 700: "float", 701: "double",
          25: "string", 1043: "string", 17: "binary", UUID: "string"}  # fmt: skip
# How the server sends values of types that all have the same width, as numpy names it.
FIXED = {16: ">u1", 21: ">i2", 23: ">i4", 20: ">i8", 700: ">f4", 701: ">f8",
         1082: ">i4", 1114: ">i8", 1184: ">i8"}  # fmt: skip
# char(n), whose cast to text drops trailing blanks, and inet, whose cast adds a mask: printed instead.
_CAST_DIFFERS = (1042, 869)
CURSORS: dict[int, CursorKind] = {
    20: "integer",
    21: "integer",
    23: "integer",
    1082: "date",
    1114: "naive",
    1184: "instant",
}


def declared_type(column: PostgresColumn) -> pa.DataType:
    """Return the Arrow type of every value the column can hold."""
    import pyarrow as pa

    if column.oid == NUMERIC:
        return _numeric(column.modifier)
    if column.oid in (JSON, JSONB):
        return raw_json() if column.oid == JSON else pa.json_()
    if column.oid in TEMPORAL:
        return {1082: pa.date32(), 1114: pa.timestamp("us"), 1184: pa.timestamp("us", "UTC")}[column.oid]
    return (
        getattr(pa, {"bool": "bool_", "float": "float32", "double": "float64"}.get(n, n))()
        if (n := _EXACT.get(column.oid))
        else pa.string()
    )


def _numeric(modifier: int) -> pa.DataType:
    """Decode numeric(p, s): modifier - 4 holds p in its upper 16 bits and s, signed, in its lower 11."""
    import pyarrow as pa

    if modifier < 4:
        return pa.decimal256(76, 38)
    precision = (modifier - 4) >> 16
    scale = (((modifier - 4) & 0x7FF) ^ 1024) - 1024
    if scale < 0:
        precision, scale = precision - scale, 0
    precision = max(precision, scale)
    if precision <= 38:
        return pa.decimal128(precision, scale)
    return pa.decimal256(precision, scale) if precision <= 76 else pa.string()


def expression(column: PostgresColumn, quoted: str, *, temporal_as_text: bool) -> str:
    """Return the SELECT expression that reads the column without changing a value."""
    if column.oid == NUMERIC:
        return f"{quoted}::text"
    if column.oid in TEMPORAL:
        return f"{quoted}::text" if temporal_as_text else quoted
    if column.oid in _CAST_DIFFERS:
        return f"CASE WHEN {quoted} IS NOT NULL THEN format('%s', {quoted}) END"
    return quoted if column.oid in _EXACT else f"{quoted}::text"
