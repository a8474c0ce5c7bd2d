"""Text is found to be of a type just where its pattern matches and the value is one, however that is found out."""

from __future__ import annotations

import re
from datetime import datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_factory.schema.casting import cast_column
from etl_factory.schema.types import Field
from etl_factory.sources.formats._fitting import Text
from etl_factory.sources.formats.lattice import TYPES

CAST_AS = {
    "int": "INT64",
    "float": "FLOAT64",
    "date": "DATE",
    "timestamp": "DATETIME",
    "instant": "TIMESTAMP",
}
numbers = st.from_regex(r"[-+]?[0-9]{0,3}[0-9]{0,20}\.?[0-9]{0,12}0{0,3}(e-?[0-9]{1,3})?", fullmatch=True)
near_numbers = st.sampled_from(
    ["0x1f", "0", "-0", "-0.0", "00", "1", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
     "1" * 29, "1" * 30, "1" * 38, "1" * 39, "0." + "1" * 9, "0." + "1" * 10, "0." + "1" * 38, "0." + "1" * 39, "nan",
     "inf", "-Infinity", "nan(1)", "1e999", "true", "FALSE", "tRue", "t", "yes", "", " ", " 1", "1 ", "1\n", "é"]
)  # fmt: skip
clocks = st.sampled_from(
    ["", "T10", " 10", "T10:00", " 23:59", "T24:00", "T10:00:00", " 10:00:60", "T10:00:00.1", "T10:00:00.123456",
     "T10:00:00.1234567", " 1:00", "t10:00", "T10:00:00.", "T1000", "-10:00", "\n"]
)  # fmt: skip
zones = st.sampled_from(
    ["", "", "Z", "z", "+00", "-05:30", "+0530", "+24", "+00:60", "-23:59", " UTC", "+5", " "]
)
days = st.dates().map(str) | st.sampled_from(
    ["0000-01-01", "0001-01-01", "9999-12-31", "2025-02-29", "2024-02-29", "2025-1-1", "20250101", " 2025-01-01",
     "12025-01-01", "2025/01/01", "2025-13-01"]
)  # fmt: skip
moments = st.builds("{}{}{}".format, days, clocks, zones)
texts = st.lists(numbers | near_numbers, min_size=1, max_size=3) | st.lists(moments, min_size=1, max_size=3)


@settings(deadline=None, max_examples=100)
@given(texts)
@pytest.mark.parametrize("name", TYPES)
def test_text_fits_a_type_by_its_pattern_and_its_value(name: str, values: list[str]) -> None:
    pattern, type_ = TYPES[name]
    text = pa.array(["7", *values, "x"], pa.string())[1:-1]
    expected = all(
        re.search(pattern.replace("(?i:", "(?:").replace("$", r"\Z"), v, re.ASCII | re.I) for v in values
    )
    if expected and name in CAST_AS:
        expected = cast_column(text, text.type, Field("a", CAST_AS[name]))[1] is None

    assert Text(text).fits(name, pattern, type_) == expected


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)), st.sampled_from("T "))
def test_moments_are_found(moment: datetime, mark: str) -> None:
    pattern, type_ = TYPES["timestamp"]

    assert Text(pa.array([moment.isoformat(mark)])).fits("timestamp", pattern, type_)
