"""Every value is staged exactly as it is, or marked: tables of values by type, and round trips of any value."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_factory.errors import SchemaError
from etl_factory.schema.casting import cast_column
from etl_factory.schema.types import Field, field_of, raw_json, staged_arrow

MISFIT = object()
D = Decimal
UTC_MOMENT = pa.timestamp("us", "UTC")
ALL = (
    "STRING", "BYTES", "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", "BOOL", "DATE", "DATETIME", "TIME", "TIMESTAMP",
    "JSON",
)  # fmt: skip


def cast(array: pa.Array, type_: str, declared: pa.DataType | None = None) -> list[Any]:
    """Cast an array; a value that does not fit shows as MISFIT."""
    field = Field("a", type_)
    values, bad = cast_column(array, declared or array.type, field)
    assert values.type == staged_arrow(field)
    assert len(values) == len(array)
    flags = bad.to_pylist() if bad is not None else [False] * len(array)
    assert None not in flags
    assert all(value is None for value, is_bad in zip(values.to_pylist(), flags, strict=True) if is_bad)
    return [MISFIT if is_bad else value for value, is_bad in zip(values.to_pylist(), flags, strict=True)]


TEXT = {
    "INT64": [
        ("5", 5), (" 5 ", 5), ("+5", 5), ("-0", 0), ("007", 7), ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)), ("9223372036854775808", MISFIT), ("0x10", MISFIT), ("1.0", MISFIT),
        ("1e3", MISFIT), ("", MISFIT), ("1_000", MISFIT), ("1 000", MISFIT), ("٣", MISFIT), ("--5", MISFIT),
        ("nan", MISFIT),
    ],
    "FLOAT64": [
        ("1.5", 1.5), (" 1.5", 1.5), ("+1.5", 1.5), ("-.5e1", -5.0), ("5.", 5.0), ("0.1", 0.1), ("1e-7", 1e-7),
        ("0.10000000000000000555", 0.1), ("5e-324", 5e-324), ("1.7976931348623157e308", 1.7976931348623157e308),
        ("inf", math.inf), ("-Infinity", -math.inf), ("0.30000000000000004", 0.30000000000000004),
        ("9007199254740992", 9007199254740992.0), ("9007199254740993", MISFIT), ("1e400", MISFIT),
        ("-1e400", MISFIT), ("1e-400", MISFIT), ("123456789012345678901234.5", MISFIT), ("1" * 310, MISFIT),
        ("0x1p3", MISFIT), ("1,5", MISFIT), ("", MISFIT), ("infinite", MISFIT),
    ],
    "NUMERIC": [
        ("1.5", D("1.5")), ("1e5", D(100000)), ("1e-9", D("1e-9")), (" 5 ", D(5)), (".5", D("0.5")), ("5.", D(5)),
        ("+5", D(5)), ("9" * 29 + "." + "9" * 9, D("9" * 29 + "." + "9" * 9)), ("0" * 60 + "5", D(5)),
        ("1.50000000000", D("1.5")), ("0e999999999", D(0)), ("1e-10", MISFIT), ("1" * 30, MISFIT),
        ("1E+999999999", MISFIT), ("1e99999999999", MISFIT), ("1" * 100, MISFIT), ("NaN", MISFIT), ("inf", MISFIT),
        ("٣", MISFIT), ("", MISFIT), ("1,5", MISFIT),
    ],
    "BIGNUMERIC": [
        ("1.50", "1.50"), ("1e37", "1" + "0" * 37), ("1e-38", "0." + "0" * 37 + "1"),
        ("9" * 38 + "." + "9" * 38, "9" * 38 + "." + "9" * 38), ("+5", "5"), ("1e38", MISFIT), ("1e-39", MISFIT),
        ("1" * 39, MISFIT), ("NaN", MISFIT), ("x", MISFIT),
    ],
    "BOOL": [
        ("true", True), ("T", True), ("YES", True), ("y", True), ("1", True), (" f ", False), ("no", False),
        ("0", False), ("False", False), ("on", MISFIT), ("", MISFIT), ("2", MISFIT), ("nein", MISFIT),
    ],
    "DATE": [
        ("2025-01-31", date(2025, 1, 31)), (" 2025-01-31 ", date(2025, 1, 31)), ("0001-01-01", date(1, 1, 1)),
        ("9999-12-31", date(9999, 12, 31)), ("2024-02-29", date(2024, 2, 29)), ("2025-02-29", MISFIT),
        ("0000-01-01", MISFIT), ("10000-01-01", MISFIT), ("-0001-01-01", MISFIT), ("20250131", MISFIT),
        ("31.01.2025", MISFIT), ("2025-01-31T00:00", MISFIT), ("0000-00-00", MISFIT), ("infinity", MISFIT),
    ],
    "DATETIME": [
        ("2025-01-31 10:00", datetime(2025, 1, 31, 10)),
        ("2025-01-31T10:00:00.123456", datetime(2025, 1, 31, 10, 0, 0, 123456)),
        ("2025-01-31", datetime(2025, 1, 31)),
        ("0001-01-01 00:00:00", datetime(1, 1, 1)),
        ("9999-12-31 23:59:59.999999", datetime(9999, 12, 31, 23, 59, 59, 999999)),
        ("2025-01-31 10:00Z", MISFIT), ("2025-01-31 10:00:00+01", MISFIT), ("2025-01-31 24:00:00", MISFIT),
        ("2025-01-31 10:00:60", MISFIT), ("2025-01-31 10:00:00.1234567", MISFIT), ("0000-01-01 00:00", MISFIT),
        ("infinity", MISFIT),
    ],
    "TIMESTAMP": [
        ("2025-01-31 10:00Z", datetime(2025, 1, 31, 10, tzinfo=UTC)),
        ("2025-01-31T10:00:00.5+01:00", datetime(2025, 1, 31, 9, 0, 0, 500000, tzinfo=UTC)),
        ("2025-01-31 10:00:00+01", datetime(2025, 1, 31, 9, tzinfo=UTC)),
        ("2025-01-31 10:00:00-0130", datetime(2025, 1, 31, 11, 30, tzinfo=UTC)),
        ("0001-01-01 00:00:00+00", datetime(1, 1, 1, tzinfo=UTC)),
        ("2025-01-31 10:00:00", MISFIT), ("0001-01-01 00:00:00+05", MISFIT), ("9999-12-31 23:59:59-05", MISFIT),
        ("2025-01-31 10:00+25:99", MISFIT), ("now", MISFIT),
    ],
    "TIME": [
        ("10:00", time(10)), ("23:59:59.999999", time(23, 59, 59, 999999)), ("00:00:00", time(0)),
        ("24:00", MISFIT), ("10:00:60", MISFIT), ("1:00", MISFIT), ("10:00:00.1234567", MISFIT), ("-01:00", MISFIT),
        ("838:59:59", MISFIT), ("", MISFIT),
    ],
    "STRING": [("", ""), ("abc", "abc"), ("a\x00b", "a\x00b"), ("żółć", "żółć"), ("007", "007")],
    "BYTES": [("", b""), ("ż", b"\xc5\xbc")],
    "GEOGRAPHY": [("POINT(1 2)", "POINT(1 2)")],
}  # fmt: skip


@pytest.mark.parametrize(
    ("type_", "text", "value"), [(type_, text, value) for type_, rows in TEXT.items() for text, value in rows]
)
@pytest.mark.parametrize("spelling", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_text(type_: str, text: str, value: Any, spelling: pa.DataType) -> None:
    assert cast(pa.array([text, None], spelling), type_) == [value, None]


def test_nan_is_a_float_of_its_own() -> None:
    values = cast(pa.array(["NaN", "nan"]), "FLOAT64")
    assert all(math.isnan(value) for value in values)


@pytest.mark.parametrize("type_", sorted(TEXT))
def test_a_misfit_spoils_no_neighbour(type_: str) -> None:
    """All values of the table at once, thrice over, so that halves and quarters hold both kinds."""
    rows = TEXT[type_] * 3
    assert cast(pa.array([text for text, _ in rows]), type_) == [value for _, value in rows]


NUMBERS = [
    (pa.array([2**63 - 1, -5]), "NUMERIC", [D(2**63 - 1), D(-5)]),
    (pa.array([2**63 - 1]), "BIGNUMERIC", ["9223372036854775807"]),
    (pa.array([2**53, 2**53 + 1, -(2**63)]), "FLOAT64", [float(2**53), MISFIT, MISFIT]),
    (pa.array([1, 0, 2, -1]), "BOOL", [True, False, MISFIT, MISFIT]),
    (pa.array([2**63 - 1]), "JSON", ["9223372036854775807"]),
    (pa.array([2**64 - 1, 1], pa.uint64()), "INT64", [MISFIT, 1]),
    (pa.array([2**64 - 1], pa.uint64()), "NUMERIC", [D(2**64 - 1)]),
    (pa.array([2**64 - 1], pa.uint64()), "STRING", ["18446744073709551615"]),
    (pa.array([True, False]), "INT64", [1, 0]),
    (pa.array([True, False]), "JSON", ["true", "false"]),
    (pa.array([2.0, 0.5, 1e300, math.nan, math.inf]), "INT64", [2, MISFIT, MISFIT, MISFIT, MISFIT]),
    (
        pa.array([0.1, 1e300, 1e-300, 1e20, math.nan, -math.inf]),
        "NUMERIC",
        [D("0.1"), MISFIT, MISFIT, D(10**20), MISFIT, MISFIT],
    ),
    (pa.array([0.1, 1e37, 1e39, math.nan]), "BIGNUMERIC", ["0.1", "1" + "0" * 37, MISFIT, MISFIT]),
    (pa.array([0.1, math.nan, math.inf, 1e300]), "JSON", ["0.1", MISFIT, MISFIT, "1e+300"]),
    (pa.array([1.5], pa.float16()), "FLOAT64", [1.5]),
    (pa.array([0.1], pa.float32()), "FLOAT64", [0.10000000149011612]),
    (pa.array([D("1.50"), D("2.00")], pa.decimal128(5, 2)), "INT64", [MISFIT, 2]),
    (pa.array([D("1.50")], pa.decimal128(5, 2)), "NUMERIC", [D("1.50")]),
    (pa.array([D("1.5"), D("0.1234567891")], pa.decimal128(20, 10)), "NUMERIC", [D("1.5"), MISFIT]),
    (pa.array([D("1e60"), D(7)], pa.decimal256(70, 0)), "NUMERIC", [MISFIT, D(7)]),
    (pa.array([D("1e37"), D("1e38")], pa.decimal256(70, 0)), "BIGNUMERIC", ["1" + "0" * 37, MISFIT]),
    (pa.array([D("1e-38")], pa.decimal256(76, 38)), "BIGNUMERIC", ["0." + "0" * 37 + "1"]),
    (pa.array([D("1e-38"), D(0)], pa.decimal256(76, 38)), "STRING", ["0." + "0" * 37 + "1", "0." + "0" * 38]),
    (pa.array([D(12000)], pa.decimal128(5, -3)), "STRING", ["12000"]),
    (pa.array([D(12000)], pa.decimal128(5, -3)), "NUMERIC", [D(12000)]),
    (pa.array([D("0.1"), D("0.12345678901234567890")], pa.decimal128(30, 20)), "FLOAT64", [0.1, MISFIT]),
    (
        pa.array([D("0.5"), D("0.12345678901234567890")], pa.decimal128(21, 20)),
        "JSON",
        ["0.5" + "0" * 19, MISFIT],
    ),
    (pa.array([1, 0, 1], pa.int8()), "STRING", ["1", "0", "1"]),
]


@pytest.mark.parametrize(("array", "type_", "values"), NUMBERS)
def test_numbers(array: pa.Array, type_: str, values: list[Any]) -> None:
    assert cast(array, type_) == values


LAST, BEYOND = 253402300799, 253402300800
MOMENTS = [
    (
        pa.array([1, -1], pa.timestamp("s")),
        "DATETIME",
        [datetime(1970, 1, 1, 0, 0, 1), datetime(1969, 12, 31, 23, 59, 59)],
    ),
    (pa.array([1], pa.timestamp("ms")), "DATETIME", [datetime(1970, 1, 1, 0, 0, 0, 1000)]),
    (pa.array([1000, 1500], pa.timestamp("ns")), "DATETIME", [datetime(1970, 1, 1, 0, 0, 0, 1), MISFIT]),
    (
        pa.array([1], pa.timestamp("s", "Europe/Warsaw")),
        "TIMESTAMP",
        [datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)],
    ),
    (
        pa.array([1000, 1], pa.timestamp("ns", "+05:30")),
        "TIMESTAMP",
        [datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC), MISFIT],
    ),
    (
        pa.array([LAST, BEYOND], pa.timestamp("s", "UTC")),
        "TIMESTAMP",
        [datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), MISFIT],
    ),
    (pa.array([BEYOND * 1000, 2**62], pa.timestamp("ms")), "DATETIME", [MISFIT, MISFIT]),
    (pa.array([2**63 - 1, -(2**63)], UTC_MOMENT), "TIMESTAMP", [MISFIT, MISFIT]),
    (pa.array([-62135596800, -62135596801], pa.timestamp("s")), "DATETIME", [datetime(1, 1, 1), MISFIT]),
    (pa.array([BEYOND, 0], pa.timestamp("s")), "STRING", [MISFIT, "1970-01-01 00:00:00"]),
    (pa.array([1_500_000], UTC_MOMENT), "STRING", ["1970-01-01 00:00:01.5+00"]),
    (pa.array([0, 86400, 86401], pa.timestamp("s")), "DATE", [date(1970, 1, 1), date(1970, 1, 2), MISFIT]),
    (pa.array([2932896, 2932897, -719163], pa.date32()), "DATE", [date(9999, 12, 31), MISFIT, MISFIT]),
    (pa.array([2932897], pa.date32()), "STRING", [MISFIT]),
    (pa.array([date(2025, 1, 31)]), "DATETIME", [datetime(2025, 1, 31)]),
    (pa.array([date(2025, 1, 31)], pa.date64()), "DATE", [date(2025, 1, 31)]),
    (pa.array([86399, 86400, -1], pa.time32("s")), "TIME", [time(23, 59, 59), MISFIT, MISFIT]),
    (pa.array([1000, 1001], pa.time64("ns")), "TIME", [time(0, 0, 0, 1), MISFIT]),
    (pa.array([86400], pa.time32("s")), "STRING", [MISFIT]),
    (pa.array([time(10, 0, 1)]), "STRING", ["10:00:01.000000"]),
]


@pytest.mark.parametrize(("array", "type_", "values"), MOMENTS)
def test_moments(array: pa.Array, type_: str, values: list[Any]) -> None:
    assert cast(array, type_) == values


REFUSED = [
    (pa.int64(), ("BYTES", "DATE", "DATETIME", "TIMESTAMP", "TIME")),
    (pa.float64(), ("BOOL", "BYTES", "DATE", "DATETIME", "TIMESTAMP", "TIME")),
    (pa.decimal128(5, 2), ("BOOL", "BYTES", "DATE", "TIMESTAMP")),
    (pa.bool_(), ("FLOAT64", "NUMERIC", "BIGNUMERIC", "BYTES", "DATE")),
    (pa.binary(), ("INT64", "NUMERIC", "BOOL", "DATE", "TIMESTAMP")),
    (pa.date32(), ("INT64", "NUMERIC", "BOOL", "TIMESTAMP", "TIME", "BYTES", "JSON")),
    (pa.timestamp("us"), ("INT64", "TIMESTAMP", "TIME", "JSON")),
    (UTC_MOMENT, ("INT64", "DATETIME", "DATE", "TIME", "JSON")),
    (pa.time64("us"), ("INT64", "DATE", "DATETIME", "TIMESTAMP")),
    (pa.list_(pa.int64()), ("INT64", "NUMERIC", "BYTES", "BOOL", "DATE")),
    (pa.duration("s"), ("INT64", "STRING", "TIME")),
    (pa.string(), ("RECORD",)),
]


@pytest.mark.parametrize(("arrow", "type_"), [(arrow, type_) for arrow, types in REFUSED for type_ in types])
def test_a_cast_that_no_value_survives_is_refused(arrow: pa.DataType, type_: str) -> None:
    field = Field("a", type_)
    with pytest.raises(
        SchemaError, match=f"column 'a' holds .* values, which cannot become {field.ddl}: correct"
    ):
        cast_column(pa.nulls(1, arrow), arrow, field)


@pytest.mark.parametrize("type_", ALL)
def test_null_stays_null(type_: str) -> None:
    assert cast(pa.nulls(3), type_) == [None, None, None]
    assert cast(pa.nulls(3, pa.string()), type_) == [None, None, None]
    assert cast(pa.nulls(0, pa.string()), type_) == []


@pytest.mark.parametrize("arrow", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(3)], ids=str)
def test_bytes_are_text_only_if_they_are_utf8(arrow: pa.DataType) -> None:
    array = pa.array([b"abc", b"a\xffc", None], arrow)
    assert cast(array, "STRING") == ["abc", MISFIT, None]
    assert cast(array, "BYTES") == [b"abc", b"a\xffc", None]


@pytest.mark.parametrize("type_", ["STRING", "JSON", "INT64"])
def test_text_that_is_not_utf8_is_a_misfit(type_: str) -> None:
    broken = pa.array([b"1", b"\xff", None]).view(pa.string())
    assert cast(broken, type_) == [1 if type_ == "INT64" else "1", MISFIT, None]


def test_what_wraps_values_is_unwrapped() -> None:
    assert cast(pa.array(["1", "x", None, "1"]).dictionary_encode(), "INT64") == [1, MISFIT, None, 1]
    assert cast(pa.RunEndEncodedArray.from_arrays([2, 3], [7, 8]), "NUMERIC") == [D(7), D(7), D(8)]
    uuids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(range(16)), None], pa.binary(16)))
    assert cast(uuids, "STRING") == ["00010203-0405-0607-0809-0a0b0c0d0e0f", None]


def test_nested_values_are_spelt_with_all_their_digits() -> None:
    row = {"n": D("1.50"), "i": 2**60, "s": 'ż"', "b": b"\x00", "d": date(2025, 1, 31), "l": [None, True]}
    text = '{"n":1.50,"i":1152921504606846976,"s":"ż\\"","b":"AA==","d":"2025-01-31","l":[null,true]}'
    assert cast(pa.array([row, None]), "STRING") == [text, None]
    assert cast(pa.array([row, None]), "JSON") == [text, None]
    assert cast(pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), "JSON") == ['[["k",1]]']


def test_nested_numbers_that_json_would_round() -> None:
    wide = pa.array([[D("0.12345678901234567890")], [D("0.50000000000000000000")]])
    assert cast(wide, "JSON") == [MISFIT, "[0.50000000000000000000]"]
    assert cast(wide, "STRING") == ["[0.12345678901234567890]", "[0.50000000000000000000]"]
    assert cast(pa.array([[math.nan], [1.5]]), "JSON") == [MISFIT, "[1.5]"]


def test_nested_dates_beyond_the_calendar() -> None:
    days = pa.array([[0], [2932897], [1]], pa.list_(pa.int32())).cast(pa.list_(pa.date32()))
    assert cast(days, "JSON") == ['["1970-01-01"]', MISFIT, '["1970-01-02"]']


def values_of_a_json_file(*texts: str | None) -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.json_(), pa.array(texts, pa.string()))


def test_a_string_of_a_json_file_is_no_number() -> None:
    array = values_of_a_json_file('"5"', "5", '{"a":1}', None, '"a\\u00e9\\"b"')
    assert cast(array, "JSON") == ['"5"', "5", '{"a":1}', None, '"a\\u00e9\\"b"']
    assert cast(array, "STRING") == ["5", "5", '{"a":1}', None, 'aé"b']
    assert cast(array, "INT64") == [5, 5, MISFIT, None, MISFIT]


def test_a_json_column_of_a_database_is_text_as_it_is() -> None:
    assert cast(pa.array(['"5"', '{"a": 1}']), "STRING", pa.json_()) == ['"5"', '{"a": 1}']
    assert cast(pa.array(['"5"', '{"a": 1}']), "JSON", pa.json_()) == ['"5"', '{"a": 1}']


def test_moments_are_spelt_alike_whether_the_source_printed_them_or_not() -> None:
    """A source prints its moments only where a batch holds one that is none; text must not change for that."""
    printed = ["2024-06-01 10:00:00+00", "0001-01-01 00:00:00.000001+00", "2024-06-01 10:00:00.1+00"]
    native = pa.array(printed).cast(UTC_MOMENT)
    assert cast(native, "STRING") == printed
    assert cast(pa.array([*printed, "infinity"]), "STRING", UTC_MOMENT) == [*printed, "infinity"]
    local = [text.removesuffix("+00") for text in printed]
    assert cast(pa.array(local).cast(pa.timestamp("us")), "STRING") == local
    odd = ["2024-06-01 10:00:00.500", "20240-01-01 00:00:00", "0000-00-00 00:00:00", None]
    assert cast(pa.array(odd), "STRING", pa.timestamp("us")) == ["2024-06-01 10:00:00.5", *odd[1:]]


def test_a_key_that_stands_twice_in_kept_json() -> None:
    texts = [
        '{"a": 1, "b": {"a": 2}}',
        '{"a": 1, "\\u0061": 1}',
        '[{"a": {"b": 1, "b": 1}}]',
        '[{"a": 1}, {"a": 1}]',
    ]
    assert cast(pa.array(texts), "JSON", raw_json()) == [texts[0], MISFIT, MISFIT, texts[3]]
    assert cast(pa.array(texts), "STRING", raw_json()) == texts


SAME = [
    pa.array([1, None]),
    pa.array([1.5, math.inf]),
    pa.array([True, None]),
    pa.array(["a", "ż", None]),
    pa.array([b"\xff", None]),
    pa.array([date(2025, 1, 31)]),
    pa.array([time(10)]),
    pa.array([datetime(2025, 1, 31)], pa.timestamp("us")),
    pa.array([datetime(2025, 1, 31, tzinfo=UTC)], UTC_MOMENT),
    pa.array([D("1.5")], pa.decimal128(38, 9)),
]


@pytest.mark.parametrize("array", SAME, ids=lambda array: str(array.type))
def test_what_fits_already_is_not_copied(array: pa.Array) -> None:
    values, bad = cast_column(array, array.type, field_of(pa.field("a", array.type), "a"))
    assert bad is None
    assert values.buffers()[-1].address == array.buffers()[-1].address


numeric = st.decimals(
    allow_nan=False, allow_infinity=False, places=9, min_value=-(10**29) + 1, max_value=10**29 - 1
)
moments = st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31, 23, 59, 59, 999999))
spelt = {
    "INT64": (st.integers(-(2**63), 2**63 - 1), str),
    "NUMERIC": (numeric, str),
    "FLOAT64": (st.floats(allow_nan=False), repr),
    "BOOL": (st.booleans(), str),
    "DATE": (st.dates(), str),
    "DATETIME": (moments, lambda moment: moment.isoformat()),
    "TIMESTAMP": (moments.map(lambda moment: moment.replace(tzinfo=UTC)), lambda moment: moment.isoformat()),
    "TIME": (st.times(), lambda clock: clock.isoformat()),
    "STRING": (st.text(), str),
}


@pytest.mark.parametrize("type_", sorted(spelt))
@given(data=st.data())
def test_what_is_spelt_comes_back(type_: str, data: st.DataObject) -> None:
    values, spell = spelt[type_]
    drawn = data.draw(st.lists(st.none() | values, max_size=5))
    texts = [None if value is None else spell(value) for value in drawn]
    assert cast(pa.array(texts, pa.string()), type_) == drawn


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False)))
def test_any_number_is_staged_exactly_or_marked(numbers: list[Decimal]) -> None:
    texts = pa.array([str(number) for number in numbers], pa.string())
    for type_ in ("NUMERIC", "BIGNUMERIC"):
        for number, value in zip(numbers, cast(texts, type_), strict=True):
            assert value is MISFIT or D(value) == number


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20)))
def test_a_float_shows_every_digit_that_was_written(numbers: list[Decimal]) -> None:
    texts = pa.array([str(number) for number in numbers], pa.string())
    for number, value in zip(numbers, cast(texts, "FLOAT64"), strict=True):
        if len(number.as_tuple().digits) <= 15 and abs(number.adjusted()) < 300:
            assert value == float(number)
        elif value is not MISFIT:
            assert value == float(number)
            digits = max(len(number.as_tuple().digits), 1)
            assert D(repr(value)) == number or D(f"{D(value):.{digits - 1}e}") == number


@given(st.lists(st.none() | st.text() | st.integers() | st.floats() | st.booleans()), st.sampled_from(ALL))
def test_no_text_breaks_a_cast(values: list[Any], type_: str) -> None:
    texts = [None if value is None else str(value) for value in values]
    done = cast(pa.array(texts, pa.string()), type_)
    assert [value is None for value in done] == [text is None for text in texts]
