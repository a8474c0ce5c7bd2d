"""UUIDs become text, a column at a time, exactly as Python spells each."""

from __future__ import annotations

from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_factory.schema.uuids import spelt_uuids

MAYBE = st.lists(st.one_of(st.none(), st.uuids()))


def column(values: list[UUID | None]) -> pa.Array:
    return pa.array([value and value.bytes for value in values], pa.binary(16))


@given(MAYBE, st.integers(0, 5))
def test_each_value_is_spelt_as_python_does(values: list[UUID | None], skipped: int) -> None:
    found = spelt_uuids(pa.ExtensionArray.from_storage(pa.uuid(), column(values)).slice(skipped))

    found.validate(full=True)
    assert found.type == pa.string()
    assert found.to_pylist() == [value and str(value) for value in values[skipped:]]


@pytest.mark.parametrize("values", [[], [None], [None, None, UUID(int=0), UUID(int=2**128 - 1)]])
def test_the_bare_bytes_are_spelt_too(values: list[UUID | None]) -> None:
    assert spelt_uuids(column(values)).to_pylist() == [value and str(value) for value in values]
