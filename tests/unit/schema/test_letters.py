"""Plain numbers are measured as a pattern would tell, whatever stands beside them in memory."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_factory.schema.letters import Digits, measured

PLAIN = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?", re.ASCII)
letters = st.text("0019.-", max_size=4) | st.sampled_from(["1e5", "é", " 1", "1 ", "+1", "/", ":", "1\n"])
numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,3})?", fullmatch=True)


def by_pattern(values: list[str | None]) -> Digits | None:
    given = [value for value in values if value is not None]
    if not all(PLAIN.fullmatch(value) for value in given):
        return None
    parts = [value.removeprefix("-").partition(".") for value in given]
    return Digits(
        max((len(whole) for whole, _, _ in parts), default=0),
        max((len(rest) for _, _, rest in parts), default=0),
        "-0" in given,
    )


@settings(deadline=None)
@given(st.lists(numbers | st.none()) | st.lists(numbers | letters | st.none(), max_size=6))
def test_numbers_are_measured_as_a_pattern_tells(values: list[str | None]) -> None:
    inside = pa.array(["7.7", "x", *values, "y"], pa.string())[2:-1]

    assert measured(pa.array(values, pa.string())) == measured(inside) == by_pattern(values)


@pytest.mark.parametrize(
    "value", ["", "-", ".", "1.", ".5", "-.5", "1.2.3", "1-2", "--1", "01", "-01", "00", "-"]
)
def test_what_is_no_plain_number_is_not_measured(value: str) -> None:
    assert measured(pa.array(["1.5", value])) is measured(pa.array([value, "1.5"])) is None
