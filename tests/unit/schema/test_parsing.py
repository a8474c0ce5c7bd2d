"""Columns of text are parsed as one value after the other would be, whatever stands beside it."""

from __future__ import annotations

import struct
from decimal import Context, Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_factory.schema import parsing


def any_float(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<Q", bits))[0])


finite = st.integers(0, 2**64 - 1).map(any_float).filter(lambda value: value - value == 0)
moderate = st.floats(-1e9, 1e9) | st.integers(-(10**7), 10**7).map(lambda number: number / 7)
spelt = st.builds(
    lambda value, how: how.format(value),
    finite | moderate,
    st.sampled_from(["{!r}", "{:.17g}", "{:.16g}", "{:.15e}", "{:.16e}", "{:.20e}", "{:.12f}", "{:.19f}", "+{!r}"]),
)  # fmt: skip
decimals = st.decimals(-(10**6), 10**6, allow_nan=False, places=15).map(str)
near = st.sampled_from(
    ["0.1", "0.10", "0.30000000000000004", "0.3000000000000000400", "9007199254740993", "9007199254740992", "1e-07",
     "1.00000000000000000001", "0.10000000000000001", "1e400", "1e-400", "0e10", "-0", "nan", "Infinity", "-inf",
     "0.0000000000000000", "100000000000000000000", "1e22", "1e23", "5e-324", "4.9e-324", "2.5e-010", "x", "", "1e-0",
     " 0.1 "]
)  # fmt: skip


def held(text: str) -> bool:
    """Whether a float, printed with as many digits as the text has, is the number of the text."""
    number = Decimal(text)
    value = float(number)
    if not number.is_finite():
        return True
    if value in (0, float("inf"), -float("inf")):
        return value == number
    digits = len(number.as_tuple().digits)
    return number == Decimal(repr(value)) or Context(prec=digits).create_decimal(value) == number


@settings(deadline=None, max_examples=200)
@given(st.lists(spelt | decimals | near | st.none(), max_size=8))
def test_a_float_is_a_number_only_with_all_its_digits(texts: list[str | None]) -> None:
    array = pa.array(["?", *texts, "1.5"], pa.string())[1:-1]
    values, bad = parsing.floats(array)
    misfits = [False] * len(texts) if bad is None else bad.to_pylist()

    for text, value, misfit in zip(texts, values.to_pylist(), misfits, strict=True):
        if text is None or text in ("x", "") or text.startswith("+-"):
            assert (value, misfit) == (None, text is not None)
        elif held(text):
            assert (repr(value), misfit) == (repr(float(text)), False)
        else:
            assert (value, misfit) == (None, True)


def test_numbers_beside_odd_ones_stay_as_they_are() -> None:
    text = pa.array(["7", "1.50", "x", None, "1e2", "+3", "-0.000", "8"])[1:-1]
    plain, bad = parsing.decimals(text, 29, 9)

    assert plain.to_pylist() == ["1.50", None, None, "100", "3", "-0.000"]
    assert bad is not None
    assert bad.to_pylist() == [False, True, False, False, False, False]


@pytest.mark.parametrize("text", ["true", "FALSE", "1", "0"])
def test_the_commonest_truths_are_parsed_as_among_others(text: str) -> None:
    alone, among = parsing.booleans(pa.array([text])), parsing.booleans(pa.array([text, "yes"]))

    assert (alone[1], among[1]) == (None, None)
    assert alone[0][0] == among[0][0]
