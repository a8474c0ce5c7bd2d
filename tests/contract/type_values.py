"""Types and edge values beyond those of `table_systems`: only the suite at the destination loads them."""

from __future__ import annotations

import pyarrow as pa
from table_systems import Column

from etl_factory.schema.types import raw_json

NAN, INFINITE = float("nan"), float("inf")
NINES = "9" * 38


def text(sql_type: str, *values: tuple[str, str]) -> Column:
    """Return a column that is read as the text that the server prints."""
    return Column(sql_type, pa.string(), values)


POSTGRES = {
    "single_odd": Column("real", pa.float32(), (("'NaN'", NAN), ("'-0'", -0.0), ("1.17549435e-38", 2.0**-126))),
    "double_odd": Column(
        "double precision",
        pa.float64(),
        (("'NaN'", NAN), ("'-Infinity'", -INFINITE), ("1.7976931348623157e308", 1.7976931348623157e308)),
    ),
    "numeric_full": Column(
        "numeric(38,9)", pa.decimal128(38, 9), ((f"-{NINES[:29]}.{NINES[:9]}", f"-{NINES[:29]}.{NINES[:9]}"),)
    ),
    "numeric_30": Column("numeric(30,0)", pa.decimal128(30, 0), ((NINES[:30], NINES[:30]),)),
    "numeric_76": Column("numeric(76,38)", pa.decimal256(76, 38), ((f"{NINES}.{NINES}", f"{NINES}.{NINES}"),)),
    "numeric_39": Column("numeric(39,0)", pa.decimal256(39, 0), ((f"1{NINES}", f"1{NINES}"),)),
    "numeric_free": Column(
        "numeric",
        pa.decimal256(76, 38),
        (
            ("-12345678901234567890.123456789012345678", "-12345678901234567890.123456789012345678"),
            ("0.10", "0.10"),
            ("'-Infinity'", "-Infinity"),
            (f"0.{'0' * 38}1", f"0.{'0' * 38}1"),
            (f"1{NINES}", f"1{NINES}"),
        ),
    ),
    "nan_of_scale": Column("numeric(5,2)", pa.decimal128(5, 2), (("0.01", "0.01"), ("'NaN'", "NaN"))),
    "cash_odd": text("money", ("'-92233720368547758.08'", "-$92,233,720,368,547,758.08")),
    "free_char": text("bpchar", ("'ab  '", "ab  ")),
    "odd_words": text(
        "text",
        ("E'\\ufeffe\\u0301 \\U0010FFFF'", "\ufeffe\u0301 \U0010ffff"),
        ("E'\\u2028\\x01\\x7f\\r\\n'", "\u2028\x01\x7f\r\n"),
        ("'NULL'", "NULL"),
        ("E'\\\\N'", "\\N"),
    ),
    "clocks": text("timetz(3)", ("'24:00:00-15:59'", "24:00:00-15:59"), ("'00:00:00.1+00'", "00:00:00.1+00")),
    "spans": text(
        "interval",
        ("'178000000 years'", "P178000000Y"),
        ("'-1 year -2 mons +3 days -04:05:06.789'", "P-1Y-2M3DT-4H-5M-6.789S"),
        ("'0'", "PT0S"),
    ),
    "big_range": text("int8range", ("'[1,)'", "[1,)"), ("'(,)'", "(,)")),
    "number_range": text("numrange", ("'(0.50,1.5]'", "(0.50,1.5]")),
    "local_range": text("tsrange", ("'[2024-01-01 10:00,infinity)'", '["2024-01-01 10:00:00",infinity)')),
    "moment_range": text(
        "tstzrange", ("'[2024-06-01 12:00+02,2024-06-02 00:00Z)'",
                      '["2024-06-01 10:00:00+00","2024-06-02 00:00:00+00")')
    ),
    "day_range": text("daterange", ("'[2024-01-01,2024-12-31]'", "[2024-01-01,2025-01-01)")),
    "ranges": text("int4multirange", ("'{[1,3),[5,8)}'", "{[1,3),[5,8)}")),
    "mac_8": text("macaddr8", ("'08:00:2b:01:02:03:04:05'", "08:00:2b:01:02:03:04:05")),
    "search": text("tsquery", ("'fat & !rat'", "'fat' & !'rat'")),
    "line": text("line", ("'{1,-1,0.5}'", "{1,-1,0.5}")),
    "segment": text("lseg", ("'[(0,0),(1,2)]'", "[(0,0),(1,2)]")),
    "box": text("box", ("'((1,2),(0,0))'", "(1,2),(0,0)")),
    "path": text("path", ("'((0,0),(1,1),(2,0))'", "((0,0),(1,1),(2,0))")),
    "polygon": text("polygon", ("'((0,0),(1,1),(2,0))'", "((0,0),(1,1),(2,0))")),
    "circle": text("circle", ("'<(1,2),0.1>'", "<(1,2),0.1>")),
    "log_place": text("pg_lsn", ("'16/B374D848'", "16/B374D848")),
    "nested_nulls": text(
        "integer[]", ("'{{1,NULL},{NULL,4}}'", "{{1,NULL},{NULL,4}}"), ("'[2:3]={1,2}'", "[2:3]={1,2}")
    ),
    "numerics": text("numeric[]", ("'{NaN,1.10,NULL}'", "{NaN,1.10,NULL}")),
    "moments": text(
        "timestamptz[]", ("'{infinity,2024-06-01 12:00+02}'", '{infinity,"2024-06-01 10:00:00+00"}')
    ),
    "flags": text("boolean[]", ("'{t,NULL,f}'", "{t,NULL,f}")),
    "blobs": text("bytea[]", ("ARRAY['\\x00ff'::bytea]", '{"\\\\x00ff"}')),
    "documents": text("json[]", ("""ARRAY['{"a": 1.10}'::json]""", '{"{\\"a\\": 1.10}"}')),
    "moods": text("mood[]", ("ARRAY['so so','fine']::mood[]", '{"so so",fine}')),
    "pairs_of": text("pair[]", ("ARRAY[ROW(1,'x y'),NULL]::pair[]", '{"(1,\\"x y\\")",NULL}')),
    "kept_whole": text("whole", ("ROW(ROW(1,'x'),ARRAY['a',NULL])", '("(1,x)","{a,NULL}")')),
    "labelled": text("label", ("'ab'", "ab")),
    "odd_document": Column(
        "json",
        raw_json(),
        (
            ('\'[0.1, 5e-324, true, null, "\\u017c", {"a": {"b": []}}]\'',
             '[0.1, 5e-324, true, null, "\\u017c", {"a": {"b": []}}]'),
            ("'\"text\"'", '"text"'),
            ("'{\"a\": 1, \"a\": 2}'", '{"a": 1, "a": 2}'),
            ("'[0.1234567890123456789]'", "[0.1234567890123456789]"),
            ("'[18446744073709551616]'", "[18446744073709551616]"),
            ("'[1e400]'", "[1e400]"),
            ("'[\"\\ud800\"]'", '["\\ud800"]'),
        ),
    ),
}  # fmt: skip
# Values that no BigQuery column of their column's type holds, as they are read: their rows are quarantined.
POSTGRES_ASIDE = {
    "any_number": ("NaN", "Infinity", f"1{'0' * 50}.000100"),
    "numeric_free": ("-Infinity", f"0.{'0' * 38}1", f"1{NINES}"),
    "nan_of_scale": ("NaN",),
    "odd_document": (
        '{"a": 1, "a": 2}', "[0.1234567890123456789]", "[18446744073709551616]", "[1e400]", '["\\ud800"]',
    ),
    "day": ("infinity", "0044-03-15 BC"),
    "local": ("-infinity", "20240-01-01 00:00:00"),
    "moment": ("infinity",),
}  # fmt: skip
MYSQL = {
    "least": Column("tinyint", pa.int64(), (("-128", -128),)),
    "tiny_unsigned": Column("tinyint unsigned", pa.int64(), (("255", 255),)),
    "small_signed": Column("smallint", pa.int64(), (("-32768", -32768),)),
    "medium_unsigned": Column("mediumint unsigned", pa.int64(), (("16777215", 16777215),)),
    "whole_signed": Column("int", pa.int64(), (("-2147483648", -(2**31)),)),
    "truth": Column("bool", pa.int64(), (("TRUE", 1), ("127", 127))),
    "bit_8": Column("bit(8)", pa.int64(), (("255", 255),)),
    "bit_63": Column("bit(63)", pa.int64(), ((str(2**63 - 1), 2**63 - 1),)),
    "decimal_full": Column(
        "decimal(38,9)", pa.decimal128(38, 9), ((f"-{NINES[:29]}.{NINES[:9]}", f"-{NINES[:29]}.{NINES[:9]}"),)
    ),
    "decimal_30": Column("decimal(30,0)", pa.decimal128(30, 0), ((NINES[:30], NINES[:30]),)),
    "decimal_tiny": Column("decimal(30,30)", pa.decimal128(30, 30), ((f"0.{NINES[:30]}", f"0.{NINES[:30]}"),)),
    "decimal_65": Column("decimal(65,0)", pa.decimal256(65, 0), ((f"{NINES}{NINES[:27]}", f"{NINES}{NINES[:27]}"),)),
    "single_odd": Column("float", pa.float64(), (("-3.40282347e38", -3.4028234663852886e38),)),
    "double_odd": Column("double", pa.float64(), (("2.2250738585072014e-308", 2.2250738585072014e-308), ("-0.0", 0.0))),
    "day_odd": Column("date", pa.date32(), (("'0001-01-01'", "0001-01-01"),)),
    "local_odd": Column(
        "datetime(6)",
        pa.timestamp("us"),
        (
            ("'9999-12-31 23:59:59.999999'", "9999-12-31 23:59:59.999999"),
            ("'0001-01-01'", "0001-01-01 00:00:00.000000"),
        ),
    ),
    "milliseconds": Column(
        "datetime(3)", pa.timestamp("us"), (("'2024-03-31 02:30:00.5'", "2024-03-31 02:30:00.500"),)
    ),
    "moment_odd": Column(
        "timestamp(6) NULL",
        pa.timestamp("us", "UTC"),
        (
            ("'1970-01-01 00:00:01'", "1970-01-01 00:00:01.000000+00:00"),
            ("'2038-01-19 03:14:07.999999'", "2038-01-19 03:14:07.999999+00:00"),
        ),
    ),
    "span_odd": text("time", ("'838:59:59'", "838:59:59"), ("'-00:00:01'", "-00:00:01")),
    "vintage_odd": Column("year", pa.int64(), (("0", 0),)),
    "latin_2": text("varchar(20) CHARACTER SET latin2", ("'łódź'", "łódź")),
    "windows": text("varchar(20) CHARACTER SET cp1250", ("'žluť €'", "žluť €")),
    "wide_letters": text("varchar(20) CHARACTER SET utf16", ("'ż🐬'", "ż🐬")),
    "two_bytes": text("varchar(20) CHARACTER SET ucs2", ("'żω'", "żω")),
    "seven_bits": text("varchar(20) CHARACTER SET ascii COLLATE ascii_bin", ("'a '", "a ")),
    "any_case": text("varchar(20) COLLATE utf8mb4_general_ci", ("'ẞß'", "ẞß")),
    "tiny_words": text("tinytext", ("'a'", "a")),
    "medium_words": text("mediumtext", ("'a\\0b'", "a\0b")),
    "long_words": text(
        "longtext",
        ("'\ufeffe\u0301\u2028\\r\\n'", "\ufeffe\u0301\u2028\r\n"),
        ("'NULL'", "NULL"),
        ("'\\\\N'", "\\N"),
    ),
    "tiny_bytes": Column("tinyblob", pa.binary(), (("x'00ff'", b"\x00\xff"),)),
    "some_bytes": Column("blob", pa.binary(), (("x''", b""),)),
    "medium_bytes": Column("mediumblob", pa.binary(), (("x'c328'", b"\xc3\x28"),)),
    "no_mood": text("enum('fine')", ("'wrong'", "")),
    "odd_document": Column(
        "json",
        raw_json(),
        (
            ("'[0.1, 2.50, \"\\\\u017c\", null, {\"a\": []}]'", '[0.1, 2.50, "\\u017c", null, {"a": []}]'),
            ("'{\"a\": 1, \"a\": 2}'", '{"a": 1, "a": 2}'),
            ("'[0.1234567890123456789]'", "[0.1234567890123456789]"),
            ("'[18446744073709551616]'", "[18446744073709551616]"),
        ),
    ),
    "line": text("linestring", ("ST_GeomFromText('LINESTRING(0 0,1 1.5)')", "LINESTRING(0 0,1 1.5)")),
    "area": text("polygon", ("ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')", "POLYGON((0 0,1 0,1 1,0 0))")),
    "places": text("multipoint", ("ST_GeomFromText('MULTIPOINT(0 0,1 1)')", "MULTIPOINT(0 0,1 1)")),
    "lines": text("multilinestring", ("ST_GeomFromText('MULTILINESTRING((0 0,1 1))')", "MULTILINESTRING((0 0,1 1))")),
    "areas": text(
        "multipolygon",
        ("ST_GeomFromText('MULTIPOLYGON(((0 0,1 0,1 1,0 0)))')", "MULTIPOLYGON(((0 0,1 0,1 1,0 0)))"),
    ),
    "shapes": text(
        "geometrycollection",
        ("ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1))')", "GEOMETRYCOLLECTION(POINT(1 1))"),
    ),
    "any_shape": text("geometry", ("ST_GeomFromText('POINT(0.1 -1e-7)')", "POINT(0.1 -0.0000001)")),
    "key": text("uuid", ("'123e4567-e89b-12d3-a456-426655440000'", "123e4567-e89b-12d3-a456-426655440000")),
    "host": text("inet6", ("'fe80::1'", "fe80::1")),
}  # fmt: skip
MYSQL_ASIDE = {
    "odd_document": ('{"a": 1, "a": 2}', "[0.1234567890123456789]", "[18446744073709551616]"),
    "day": ("0000-00-00", "2024-00-10"),
    "local": ("0000-00-00 00:00:00", "2024-02-00 00:00:00"),
    "moment": ("0000-00-00 00:00:00+00:00",),
}
# BigQuery's BIGNUMERIC has 38 whole and 38 fractional digits, the local one's 20 and 18: config makes these text.
TOO_WIDE_HERE = {
    "postgres": ("wide", "numeric_30", "numeric_76"),
    "mysql": ("wide", "decimal_30", "decimal_tiny"),
}
MORE = {"postgres": POSTGRES, "mysql": MYSQL}
ASIDE = {"postgres": POSTGRES_ASIDE, "mysql": MYSQL_ASIDE}
SET_UP = {
    "postgres": (
        "CREATE TYPE whole AS (one pair, tags text[])",
        "CREATE DOMAIN label AS varchar(5) CHECK (value <> '')",
    ),
    "mysql": (),
}
