"""MySQL's types as Arrow's: the server prints every value, and only what is exact becomes a number here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from etl_factory.schema.types import raw_json
from etl_factory.windows import CursorKind

if TYPE_CHECKING:
    import pyarrow as pa

CURSORS: dict[str, CursorKind] = {
           "tinyint": "integer", "smallint": "integer", "mediumint": "integer", "int": "integer",
           "bigint": "integer", "date": "date", "datetime": "naive", "timestamp": "instant"}  # fmt: skip
_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint", "year")
# Types whose printed values hold no comma and no letter: digits, signs, points, colons, spaces, and the e of a double.
PLAIN = (*_INTEGERS, "bit", "decimal", "float", "double", "date", "datetime", "timestamp", "time")
_BYTES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
_SHAPES = ("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
           "geometrycollection", "geomcollection")  # fmt: skip

# One value of these may be of many megabytes.
LONG = ("blob", "mediumblob", "longblob", "text", "mediumtext", "longtext", "json", *_SHAPES)


@dataclass(frozen=True)
class MySQLColumn:
    """One column: `data_type` as in the catalogue (`bigint`), `full_type` with its arguments."""

    name: str
    data_type: str
    full_type: str
    precision: int | None = None
    scale: int | None = None


def declared_type(column: MySQLColumn) -> pa.DataType:
    """Return the Arrow type of every value the column can hold; TIME is a duration here, so it is text."""
    import pyarrow as pa

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
        "json": raw_json(),
    }
    return types.get(column.data_type, pa.string())


def length(column: MySQLColumn) -> int:
    """Return how many characters or bytes a value has at most, of a type that cannot hold megabytes."""
    declared = re.fullmatch(r"(?:var)?(?:char|binary)\((\d+)\).*", column.full_type)
    # A SET names all that it can hold.
    return int(declared[1]) if declared else max(len(column.full_type), 64)


def expression(column: MySQLColumn, name: str) -> str:
    """Return the SELECT expression that makes the server print the value exactly."""
    if column.data_type == "float":
        return f"{name} * 1e0"  # as a double; MySQL casts to that from 8.0.17 on
    if column.data_type == "bit":
        return f"CAST({name} AS UNSIGNED)"
    return f"ST_AsText({name})" if column.data_type in _SHAPES else name


def quoted(name: str) -> str:
    """Quote an identifier."""
    return "`" + name.replace("`", "``") + "`"


def to_arrow(column: MySQLColumn, printed: pa.Array) -> pa.Array:
    """Return printed values, of bytes or parsed already, as they are handed on: text for the sanitizer, but for
    numbers and bytes.

    Raises:
        pyarrow.ArrowInvalid: text is no UTF-8.
    """
    import pyarrow as pa

    if column.data_type in _BYTES or not (
        pa.types.is_binary(printed.type) or pa.types.is_string(printed.type)
    ):
        return printed
    text = printed.cast(pa.string())
    return _utc(text) if column.data_type == "timestamp" else text


def _utc(text: pa.Array) -> pa.Array:
    """Mark printed TIMESTAMP values as UTC, which is the session's time zone."""
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(text, "+00:00", "")


def described(column: tuple[Any, ...], *, unsigned: bool, is_bytes: bool) -> MySQLColumn:
    """Read a result column's protocol type; its length tells a decimal's digits and a bit field's width."""
    from MySQLdb.constants import FIELD_TYPE

    names = {getattr(FIELD_TYPE, name): name for name in dir(FIELD_TYPE) if name.isupper()}
    protocol = {"TINY": "tinyint", "SHORT": "smallint", "INT24": "mediumint", "LONG": "int",
                "LONGLONG": "bigint", "NEWDECIMAL": "decimal", "FLOAT": "float", "DOUBLE": "double",
                "DATE": "date", "YEAR": "year", "NEWDATE": "date", "DATETIME": "datetime",
                "TIMESTAMP": "timestamp", "TIME": "time", "BIT": "bit", "JSON": "json",
                "GEOMETRY": "geometry"}  # fmt: skip
    name, code, _, _, precision, scale, _ = column
    kind = protocol.get(names.get(code, ""), "")
    if not kind:
        kind = "blob" if is_bytes else "text"
    digits = precision - (1 if scale else 0) - (0 if unsigned else 1) if kind == "decimal" else None
    full_type = f"bit({precision})" if kind == "bit" else f"{kind}{' unsigned' if unsigned else ''}"
    return MySQLColumn(name, kind, full_type, digits, scale)
