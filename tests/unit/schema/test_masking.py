"""Masks: one canonical text per value, whatever the source, and NULL stays NULL."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from etl_factory.errors import SchemaError
from etl_factory.schema.masking import Masking, canonical, mask_column, masked_field

UTC_US, NAIVE_US = pa.timestamp("us", "UTC"), pa.timestamp("us")
NOON = datetime(2024, 6, 1, 12, 0, 0, 500000)
CANONICAL: dict[str, tuple[pa.Array, pa.DataType, bytes]] = {
    "an integer": (pa.array([-12]), pa.int64(), b"-12"),
    "a boolean": (pa.array([True]), pa.bool_(), b"true"),
    "a decimal": (pa.array([Decimal("1.50")]), pa.decimal128(12, 2), b"1.5"),
    "a decimal that a database prints": (pa.array(["100.10"]), pa.decimal256(76, 38), b"100.1"),
    "a whole decimal": (pa.array([Decimal("100.00")]), pa.decimal128(12, 2), b"100"),
    "a round whole decimal": (pa.array([Decimal("100")]), pa.decimal128(12, 0), b"100"),
    "no number": (pa.array(["NaN"]), pa.decimal128(12, 2), b"NaN"),
    "a date": (pa.array([date(2024, 6, 1)]), pa.date32(), b"2024-06-01"),
    "a naive moment": (pa.array([NOON], NAIVE_US), NAIVE_US, b"2024-06-01 12:00:00.5"),
    "an instant": (pa.array([NOON.replace(tzinfo=UTC)], UTC_US), UTC_US, b"2024-06-01 12:00:00.5+00"),
    "an instant that is printed": (pa.array(["2024-06-01 14:00:00.500+02"]), UTC_US, b"2024-06-01 12:00:00.5+00"),
    "infinity": (pa.array(["infinity"]), UTC_US, b"infinity"),
    "text": (pa.array([" zażółć 1.50"]), pa.string(), " zażółć 1.50".encode()),
    "empty text": (pa.array([""]), pa.string(), b""),
    "text that is none": (pa.array([b"\xff\xfe"]).view(pa.string()), pa.string(), b"\xff\xfe"),
    "bytes": (pa.array([b"\x00\xff"]), pa.binary(), b"\x00\xff"),
    "a category": (pa.array(["a"]).dictionary_encode(), pa.string(), b"a"),
    "a list": (pa.array([[1, 2]]), pa.list_(pa.int64()), b"[1,2]"),
    "a moment off the calendar": (pa.array([2**62]).view(NAIVE_US), NAIVE_US, b"4611686018427387904 timestamp[us]"),
}  # fmt: skip


@pytest.mark.parametrize(("array", "declared", "expected"), CANONICAL.values(), ids=CANONICAL)
def test_the_canonical_text(array: pa.Array, declared: pa.DataType, expected: bytes) -> None:
    assert canonical(array, declared) == [expected]


def hidden(values: list[Any], how: str, **masking: Any) -> list[Any]:
    text, bad = mask_column(pa.array(values), pa.array(values).type, Masking(how, **masking))
    assert bad is None
    return list(text.to_pylist())


def test_a_hash_is_that_of_the_text() -> None:
    assert hidden(["a", None, ""], "sha256") == [
        hashlib.sha256(b"a").hexdigest(), None, hashlib.sha256(b"").hexdigest(),
    ]  # fmt: skip
    key = b"0123456789abcdef"
    assert hidden([7, None], "hmac", key=key) == [hmac.new(key, b"7", "sha256").hexdigest(), None]
    assert "0123456789abcdef" not in repr(Masking("hmac", key=key))


def test_the_last_four_signs_are_shown_of_longer_values_only() -> None:
    values = ["", "1234", "12345", "4111111111111111", "żółwie", None]
    assert hidden(values, "last4") == ["", "****", "*2345", "************1111", "**łwie", None]
    assert hidden([b"\xff\xfe\xff\xfe\xff\xfe"], "last4") == ["*" * 6]


def test_what_is_redacted_is_told_from_what_is_missing() -> None:
    assert hidden([1, None], "redact") == ["REDACTED", None]


@pytest.mark.parametrize("typed", [True, False], ids=["typed", "spelt"])
@pytest.mark.parametrize(
    ("unit", "day", "expected"),
    [
        ("year", "2024-06-15", "2024-01-01"),
        ("quarter", "2024-06-15", "2024-04-01"),
        ("month", "0001-01-31", "0001-01-01"),
        ("week", "2024-06-16", "2024-06-10"),
        ("week", "1969-12-31", "1969-12-29"),
    ],
)
def test_dates_are_cut(unit: str, day: str, expected: str, typed: bool) -> None:
    array = pa.array([date.fromisoformat(day) if typed else day, None])
    text, bad = mask_column(array, pa.date32() if typed else None, Masking("date_trunc", unit))
    assert (text.to_pylist(), bad) == ([expected, None], None)


def test_moments_are_cut_in_utc() -> None:
    spelt = pa.array(["2024-06-01T01:30:00+02:00", "2024-06-01 01:30", "2024-06-01T23:59:59.999999Z"])
    text, bad = mask_column(spelt, None, Masking("date_trunc", "day"))
    assert text.to_pylist() == ["2024-05-31 00:00:00Z", "2024-06-01 00:00:00", "2024-06-01 00:00:00Z"]
    typed = pa.array([NOON.replace(tzinfo=UTC)], UTC_US)
    assert mask_column(typed, UTC_US, Masking("date_trunc", "hour"))[0].to_pylist() == [
        "2024-06-01 12:00:00Z"
    ]
    assert bad is None


def test_what_cannot_be_cut_is_told() -> None:
    spelt = pa.array(["2024-06-01", "secret", None, "2024-02-31", "12"])
    text, bad = mask_column(spelt, None, Masking("date_trunc", "month"))
    assert text.to_pylist() == ["2024-06-01", None, None, None, None]
    assert bad is not None
    assert bad.to_pylist() == [False, True, False, True, True]
    _, bad = mask_column(pa.array(["infinity"]), UTC_US, Masking("date_trunc", "month"))
    assert bad is not None
    assert bad.to_pylist() == [True]
    _, bad = mask_column(pa.array(["2024-06-01"]), None, Masking("date_trunc", "day"))
    assert bad is not None


def test_json_strings_are_cut_and_numbers_are_not() -> None:
    array = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['"2024-06-15"', "20240615", None]))
    text, bad = mask_column(array, None, Masking("date_trunc", "year"))
    assert text.to_pylist() == ["2024-01-01", None, None]
    assert bad is not None
    assert bad.to_pylist() == [False, True, False]


def test_a_cut_that_would_hide_nothing_is_refused() -> None:
    assert masked_field(pa.field("at", UTC_US), Masking("date_trunc", "hour")).type == UTC_US
    assert masked_field(pa.field("at", UTC_US), Masking("last4")).type == pa.string()
    with pytest.raises(SchemaError, match="leaves a DATE as it is: use week"):
        masked_field(pa.field("born", pa.date32()), Masking("date_trunc", "day"))
    with pytest.raises(SchemaError, match="'name' by date_trunc, but it is STRING"):
        masked_field(pa.field("name", pa.string()), Masking("date_trunc", "year"))
