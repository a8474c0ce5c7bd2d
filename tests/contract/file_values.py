"""Types and edge values of each file format: (value as it is in the file, value as it must be published)."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal as D
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from table_systems import Column

NAN, INFINITE = float("nan"), float("inf")
LEAST, MOST = -(2**63), 2**63 - 1
EARLY, LATE = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)
UUID = bytes(range(16))


def same(type_: pa.DataType, *values: Any) -> Column:
    """Return a column whose values are published as they are."""
    return Column(str(type_), type_, tuple((value, value) for value in values))


def told(type_: pa.DataType, *values: tuple[Any, Any]) -> Column:
    """Return a column whose values are published in another type, or not at all."""
    return Column(str(type_), type_, values)


PARQUET = {
    "truth": same(pa.bool_(), True, False),
    "int_8": same(pa.int8(), -128),
    "int_16": same(pa.int16(), 32767),
    "int_32": same(pa.int32(), -(2**31)),
    "int_64": same(pa.int64(), LEAST, MOST),
    "uint_8": same(pa.uint8(), 255),
    "uint_16": same(pa.uint16(), 65535),
    "uint_32": same(pa.uint32(), 2**32 - 1),
    "uint_64": same(pa.uint64(), 2**64 - 1),
    "float_16": same(pa.float16(), 0.5),
    "float_32": told(pa.float32(), (0.1, 0.10000000149011612), (NAN, NAN)),
    "float_64": same(pa.float64(), 5e-324, -0.0, NAN, -INFINITE),
    "decimal_9_2": same(pa.decimal128(9, 2), D("-1234567.89")),
    "decimal_full": same(pa.decimal128(38, 9), D(f"{'9' * 29}.{'9' * 9}")),
    "decimal_256": same(pa.decimal256(76, 38), D("-12345678901234567890.123456789012345678")),
    "decimal_76": told(pa.decimal256(76, 0), (D("9" * 76), "9" * 76)),
    "words": same(pa.string(), "zażółć 🐘", "", "\ufeffe\u0301\u2028\r\n\0", "NULL"),
    "long_words": same(pa.large_string(), "ż"),
    "few_words": same(pa.dictionary(pa.int32(), pa.string()), "a", "b"),
    "bytes": same(pa.binary(), b"\x00\xff", b""),
    "long_bytes": same(pa.large_binary(), b"\xc3\x28"),
    "fixed_bytes": same(pa.binary(4), b"\x00\x01\x02\x03"),
    "key": told(pa.uuid(), (UUID, "00010203-0405-0607-0809-0a0b0c0d0e0f")),
    "day": told(
        pa.date32(), (date(1, 1, 1), "0001-01-01"), (date(9999, 12, 31), "9999-12-31"), (2932897, "+10000-01-01")
    ),
    "day_64": told(pa.date64(), (date(2024, 2, 29), "2024-02-29")),
    "clock_ms": same(pa.time32("ms"), time(23, 59, 59, 999000)),
    "clock_us": same(pa.time64("us"), time(23, 59, 59, 999999)),
    "clock_ns": told(pa.time64("ns"), (1_000, "00:00:00.000001"), (1, "1 ns")),
    "local_ms": same(pa.timestamp("ms"), datetime(2024, 3, 31, 2, 30, 0, 123000)),
    "local_us": same(pa.timestamp("us"), EARLY, LATE),
    "local_ns": told(pa.timestamp("ns"), (1_000, "1970-01-01 00:00:00.000001"), (1, "1 ns")),
    "moment_us": told(
        pa.timestamp("us", "UTC"),
        (datetime(2024, 6, 1, 10, 0, 0, 1, UTC), "2024-06-01 10:00:00.000001+00:00"),
        (253402300800_000000, "the year 10000"),
        (-62135596800_000001, "the year 0"),
    ),
    "moment_zone": told(
        pa.timestamp("ms", "Europe/Warsaw"), (datetime(2024, 6, 1, 10, tzinfo=UTC), "2024-06-01 10:00:00+00:00")
    ),
    "document": told(
        pa.json_(), ('{"a": 1.10, "b": [null]}', '{"a": 1.10, "b": [null]}'), ("{", "no JSON"),
        ('{"a": 1, "a": 2}', "a key twice"),
    ),
    "list": told(pa.list_(pa.int64()), ([1, None, MOST], f"[1,null,{MOST}]"), ([], "[]")),
    "lists": told(pa.list_(pa.list_(pa.string())), ([["a", None], None, []], '[["a",null],null,[]]')),
    "long_list": told(pa.large_list(pa.date32()), ([date(2024, 2, 29)], '["2024-02-29"]')),
    "fixed_list": told(pa.list_(pa.bool_(), 2), ([True, None], "[true,null]")),
    "struct": told(
        pa.struct([("n", pa.decimal128(9, 2)), ("w", pa.list_(pa.struct([("x", pa.string())])))]),
        ({"n": D("1.50"), "w": [{"x": "ż"}, {"x": None}]}, '{"n":1.50,"w":[{"x":"ż"},{"x":null}]}'),
    ),
    "map": told(pa.map_(pa.string(), pa.int64()), ([("k", 1), ("l", None)], '[["k",1],["l",null]]')),
    "floats": told(pa.list_(pa.float64()), ([0.1], "[0.1]"), ([NAN], "no JSON number")),
}  # fmt: skip
PARQUET_ASIDE = {
    "day": ("+10000-01-01",), "clock_ns": ("1 ns",), "local_ns": ("1 ns",), "old_moment": ("1 ns",),
    "moment_us": ("the year 10000", "the year 0"), "document": ("no JSON", "a key twice"),
    "floats": ("no JSON number",),
}  # fmt: skip
INT96 = {
    "old_moment": told(
        pa.timestamp("ns"), (1_000, "1970-01-01 00:00:00.000001+00:00"), (1, "1 ns"),
    ),
    "ancient_moment": told(pa.timestamp("us"), (EARLY, f"{EARLY}+00:00"), (LATE, f"{LATE}+00:00")),
}  # fmt: skip
JSON = {
    "whole": told(pa.int64(), ("9223372036854775807", MOST), ("-1", -1)),
    "wide": told(pa.decimal128(38, 9), ("18446744073709551615", 2**64 - 1), ("0.1", D("0.1"))),
    "wider": told(pa.decimal256(76, 38), ("12345678901234567890.123456789012345678",) * 2),
    "huge": told(pa.string(), ("9" * 40 + ".5", "9" * 40 + ".5"), ("1e400", "1E+400")),
    "power": told(pa.float64(), ("1e300", 1e300), ("0.5", 0.5)),
    "truth": told(pa.bool_(), ("true", True), ("false", False)),
    "words": told(
        pa.string(), ('"za\\u017c\\n\\""', 'zaż\n"'), ('""', ""), ('"\\ud83d\\udc18"', "🐘"), ('"\\ud800"', "half"),
    ),
    "digits": told(pa.string(), ('"007"', "007"), ('"1"', "1")),
    "mixed": told(pa.string(), ("1", "1"), ('"a"', "a"), ("true", "true")),
    "day": told(pa.date32(), ('"2024-02-29"', "2024-02-29")),
    "local": told(pa.timestamp("us"), ('"2024-03-31T02:30:00.5"', "2024-03-31 02:30:00.500000")),
    "moment": told(pa.timestamp("us", "UTC"), ('"2024-06-01T12:00:00+02:00"', "2024-06-01 10:00:00+00:00")),
    "nested": told(
        pa.json_(), ('{"a": [1, 2.50, null]}', '{"a": [1, 2.50, null]}'), ("5", "5"),
        ("[0.1234567890123456789]", "rounded"), ('{"b": 1, "b": 2}', "a key twice"),
    ),
}  # fmt: skip
JSON_ASIDE = {"words": ("half",), "nested": ("rounded", "a key twice")}
CSV = {
    "whole": told(pa.int64(), ("9223372036854775807", MOST), ("-1", -1)),
    "wide": told(pa.decimal128(38, 9), ("12345678901234567890", 12345678901234567890), ("0.10", D("0.1"))),
    "wider": told(pa.decimal256(76, 38), ("12345678901234567890.123456789012345678",) * 2),
    "zeros": told(pa.string(), ("007", "007"), ("1", "1")),
    "power": told(pa.float64(), ("1e300", 1e300), ("nan", NAN)),
    "truth": told(pa.bool_(), ("true", True), ("FALSE", False)),
    "words": told(pa.string(), ('"a,b\n""c"""', 'a,b\n"c"'), ("żółć 🐘", "żółć 🐘"), (" padded ", " padded ")),
    "day": told(pa.date32(), ("2024-02-29", "2024-02-29"), ("9999-12-31", "9999-12-31")),
    "no_day": told(pa.string(), ("2025-02-30", "2025-02-30")),
    "local": told(pa.timestamp("us"), ("2024-03-31 02:30:00.123456", "2024-03-31 02:30:00.123456")),
    "moment": told(pa.timestamp("us", "UTC"), ("2024-06-01T12:00:00+02:00", "2024-06-01 10:00:00+00:00")),
    "declared": told(pa.int64(), ("+007", 7), ("7.5", "7.5"), ("9223372036854775808", "9223372036854775808")),
    "declared_day": told(pa.date32(), ("2025-01-31", "2025-01-31"), ("2025-02-30", "2025-02-30")),
    "declared_clock": told(pa.time64("us"), ("23:59:59.999999", "23:59:59.999999"), ("24:00", "24:00")),
}  # fmt: skip
CSV_ASIDE = {
    "declared": ("7.5", "9223372036854775808"), "declared_day": ("2025-02-30",), "declared_clock": ("24:00",),
}  # fmt: skip
CSV_TYPES = {"declared": "INT64", "declared_day": "DATE", "declared_clock": "TIME"}


def cells(of: Column, length: int) -> list[Any]:
    """Return a column's values as they are in the file, NULL beyond the last."""
    return [value for value, _ in of.values] + [None] * (length - len(of.values))


def parquet_file(columns: Mapping[str, Column], first: int = 0, **options: Any) -> bytes:
    """Write the columns, with an `id` that counts from `first`."""
    length = max(len(of.values) for of in columns.values())
    arrays = {name: _array(cells(of, length), of.declared) for name, of in columns.items()}
    stream = io.BytesIO()
    pq.write_table(pa.table({"id": pa.array(range(first, first + length)), **arrays}), stream, **options)
    return stream.getvalue()


def _array(values: list[Any], type_: pa.DataType) -> pa.Array:
    """Build an array; numbers stand for moments that Python has not."""
    if isinstance(type_, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(type_, pa.array(values, type_.storage_type))
    return pa.array(values, type_)


def json_file(columns: Mapping[str, Column]) -> bytes:
    """Write one object per line, in which a column beyond its last value is missing."""
    length = max(len(of.values) for of in columns.values())
    given = {name: cells(of, length) for name, of in columns.items()}
    lines = (
        ", ".join(
            f"{json.dumps(name)}: {values[i]}" for name, values in given.items() if values[i] is not None
        )
        for i in range(length)
    )
    return "".join(f'{{"id": {i}, {line}}}\n' for i, line in enumerate(lines)).encode()


def csv_file(columns: Mapping[str, Column]) -> bytes:
    """Write delimited text; an empty field is NULL."""
    length = max(len(of.values) for of in columns.values())
    given = [cells(of, length) for of in columns.values()]
    head = ",".join(("id", *columns))
    rows = (",".join((str(i), *(values[i] or "" for values in given))) for i in range(length))
    return "\r\n".join((head, *rows, "")).encode()
