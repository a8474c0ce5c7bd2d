"""JSON that BigQuery keeps whole, and JSON that it would round, drop or refuse."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_factory.schema.documents import checked, is_exact

EXACT = [
    "null",
    "true",
    '""',
    "5",
    " 5 ",
    "-0",
    "1.0",
    "1E5",
    "1.50",
    "0.1",
    "5e-324",
    "18446744073709551615",
    "-9223372036854775808",
    '{"a":{"b":[1,"x",null]}}',
    '{"a":1,"A":2}',
    '{"a":{"k":1},"b":{"k":2}}',
    '"\\ud83d\\ude00"',
    '"\\u0000"',
    '"12345678901234567890123"',
    '{"id":"0f4e5a7b-12e4-4f5e-8e9f-0123456789ab"}',
]
BROKEN = ["", "abc", "{", "{'a':1}", "[1,]", "01", "+1", ".5", "1 2", "[" * 5000, '"a\nb"']
INEXACT = [
    "18446744073709551616",
    "-9223372036854775809",
    "9" * 5000,
    "0.12345678901234567890",
    "123456789012.12345678",
    "[1, 9007199254740993.5]",
    '{"a": -123456789.123456789012}',
    "1e400",
    "[-1e400]",
    "1e-400",
    '{"a":1e-99999999999999999999}',
    "0e99999999999999999999",
    "NaN",
    "Infinity",
    "[-Infinity]",
    '{"a":NaN}',
    '"\\ud800"',
    '{"\\udc00x":1}',
]
TWINS = ['{"a":1,"a":2}', '[{"b":{"a":1,"a":1}}]']


@pytest.mark.parametrize("text", EXACT)
def test_exact(text: str) -> None:
    assert is_exact(text)


@pytest.mark.parametrize("text", [*BROKEN, *INEXACT, *TWINS])
def test_not_exact(text: str) -> None:
    assert not is_exact(text)


def test_text_of_unknown_origin_is_parsed() -> None:
    texts = [*EXACT, None, *BROKEN, *INEXACT, *TWINS]
    values, bad = checked(pa.array(texts), trusted=False)
    assert values.to_pylist() == [*EXACT, None] + [None] * len([*BROKEN, *INEXACT, *TWINS])
    assert bad.to_pylist() == [False] * (len(EXACT) + 1) + [True] * len([*BROKEN, *INEXACT, *TWINS])


@pytest.mark.parametrize("text", INEXACT)
def test_numbers_and_letters_of_parsed_text_are_still_in_doubt(text: str) -> None:
    values, bad = checked(pa.array(["{}", text]), trusted=True)
    assert values.to_pylist() == ["{}", None]
    assert bad.to_pylist() == [False, True]


@pytest.mark.parametrize("trusted", [True, False])
def test_good_text_is_handed_on_as_it_is(trusted: bool) -> None:
    texts = pa.array([*EXACT, None])
    values, bad = checked(texts, trusted=trusted)
    assert values is texts
    assert bad is None


@given(
    st.recursive(
        st.floats() | st.integers(-(10**25), 10**25), lambda inner: st.lists(inner) | st.tuples(inner)
    )
)
def test_the_quick_look_at_trusted_text_misses_nothing(value: object) -> None:
    text = json.dumps(value)
    assert (checked(pa.array([text]), trusted=True)[1] is None) == is_exact(text)
