"""Types guessed from spelt values, and the join of several files' types."""

from __future__ import annotations

import itertools

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_factory.schema.casting import cast_column
from etl_factory.schema.types import field_of
from etl_factory.sources.formats.lattice import ColumnGuess, join_types, merge_schemas

NUMERIC, BIGNUMERIC = pa.decimal128(38, 9), pa.decimal256(76, 38)
MOMENT, INSTANT = pa.timestamp("us"), pa.timestamp("us", "UTC")

GUESSES = [
    ([], pa.null()),
    ([None, None], pa.null()),
    (["true", "FALSE", "True"], pa.bool_()),
    (["true", "yes"], pa.string()),
    (["1", "0"], pa.int64()),
    (["0", "-1", "9223372036854775807", None], pa.int64()),
    (["9223372036854775808"], NUMERIC),
    (["1", "1.5"], NUMERIC),
    (["9" * 29 + "." + "9" * 9], NUMERIC),
    (["9" * 30], BIGNUMERIC),
    (["0." + "1" * 10], BIGNUMERIC),
    (["9" * 38 + "." + "9" * 38, "1"], BIGNUMERIC),
    (["9" * 39], pa.string()),
    (["0." + "1" * 39], pa.string()),
    (["1e5"], pa.float64()),
    (["1.5", "2e-7", "3", "NaN", "-inf"], pa.float64()),
    (["1e5", "0.12345678901234567890"], pa.string()),
    (["1e400"], pa.string()),
    (["1e5", "9007199254740993"], pa.string()),
    (["007"], pa.string()),
    (["+5"], pa.string()),
    ([" 5"], pa.string()),
    (["1,5"], pa.string()),
    (["5."], pa.string()),
    (["0x10"], pa.string()),
    ([""], pa.string()),
    (["1", ""], pa.string()),
    (["2025-01-31", "2024-02-29"], pa.date32()),
    (["2025-02-31"], pa.string()),
    (["0000-01-01"], pa.string()),
    (["2025-1-5"], pa.string()),
    (["20250131"], pa.int64()),
    (["2025-01-31 10:00", "2025-01-31T10:00:00.123456"], MOMENT),
    (["2025-01-31 24:00"], pa.string()),
    (["2025-02-31 10:00"], pa.string()),
    (["2025-01-31 10:00:00.1234567"], pa.string()),
    (
        ["2025-01-31 10:00Z", "2025-01-31T10:00:00+01:00", "2025-01-31 10:00:00-0130", "2025-01-31 10:00+02"],
        INSTANT,
    ),
    (["0001-01-01 00:00+05"], pa.string()),
    (["2025-01-31", "2025-01-31 10:00"], pa.string()),
    (["2025-01-31 10:00", "2025-01-31 10:00Z"], pa.string()),
    (["1", "x"], pa.string()),
    (["x"], pa.string()),
]


def guess(values: list[str | None]) -> pa.Field:
    column = ColumnGuess()
    column.see(pa.array(values, pa.string()))
    return column.field("a")


@pytest.mark.parametrize(("values", "type_"), GUESSES)
def test_guesses(values: list[str | None], type_: pa.DataType) -> None:
    assert guess(values).type == type_


@pytest.mark.parametrize(("values", "type_"), [row for row in GUESSES if len(row[0]) > 1])
def test_a_guess_is_the_same_however_values_are_spread(values: list[str | None], type_: pa.DataType) -> None:
    for order in itertools.islice(itertools.permutations(values), 6):
        column = ColumnGuess()
        for value in order:
            column.see(pa.array([value], pa.string()))
        assert column.field("a").type == type_
        assert merge_schemas([pa.schema([guess([value])]) for value in order]).field("a").type == type_


def test_text_that_is_not_utf8_says_nothing() -> None:
    column = ColumnGuess()
    column.see(pa.array([b"1", b"\xff", None]).view(pa.string()))
    assert column.field("a").type == pa.int64()


@given(
    st.lists(
        st.none()
        | st.text("0123456789.-+eE: TZ", max_size=25)
        | st.datetimes().map(str)
        | st.floats().map(str)
    )
)
def test_every_value_that_a_guess_has_seen_is_of_its_type(values: list[str | None]) -> None:
    field = guess(values)
    array = pa.array(values, pa.string())
    staged, bad = cast_column(array, field.type, field_of(field, "a"))
    assert bad is None
    assert staged.null_count == array.null_count


JOINS = [
    (pa.int8(), pa.int64(), pa.int64()),
    (pa.int32(), pa.uint32(), pa.int64()),
    (pa.uint64(), pa.int8(), pa.decimal128(20, 0)),
    (pa.int64(), pa.decimal128(10, 2), pa.decimal128(22, 2)),
    (pa.decimal128(10, 2), pa.decimal128(5, 4), pa.decimal128(12, 4)),
    (pa.decimal128(38, 0), pa.decimal128(38, 9), pa.decimal256(47, 9)),
    (pa.decimal256(76, 0), pa.decimal128(38, 9), pa.string()),
    (pa.decimal128(5, -3), pa.int8(), pa.decimal128(20, 0)),
    (pa.float32(), pa.float64(), pa.float64()),
    (pa.int32(), pa.float32(), pa.float64()),
    (pa.int64(), pa.float64(), pa.string()),
    (pa.decimal128(5, 2), pa.float64(), pa.string()),
    (pa.string(), pa.large_string(), pa.string()),
    (pa.string(), pa.dictionary(pa.int32(), pa.string_view()), pa.string()),
    (pa.dictionary(pa.int8(), pa.int32()), pa.int64(), pa.int64()),
    (pa.run_end_encoded(pa.int32(), pa.date32()), pa.date32(), pa.date32()),
    (pa.binary(), pa.binary(16), pa.binary()),
    (pa.binary(), pa.string(), pa.string()),
    (pa.date32(), pa.date64(), pa.date32()),
    (pa.date32(), pa.timestamp("ms"), pa.timestamp("ms")),
    (pa.date32(), INSTANT, pa.string()),
    (pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("ns")),
    (pa.timestamp("ms", "Europe/Warsaw"), pa.timestamp("us", "UTC"), pa.timestamp("us", "UTC")),
    (pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.string()),
    (pa.time32("s"), pa.time64("us"), pa.time64("ns")),
    (pa.list_(pa.int64()), pa.struct([("a", pa.int8())]), pa.json_()),
    (pa.json_(), pa.list_(pa.int8()), pa.json_()),
    (pa.json_(), pa.string(), pa.string()),
    (pa.uuid(), pa.string(), pa.string()),
    (pa.uuid(), pa.list_(pa.int8()), pa.string()),
    (pa.bool_(), pa.int8(), pa.string()),
    (pa.string(), pa.int64(), pa.string()),
]


@pytest.mark.parametrize(("one", "other", "joined"), JOINS, ids=[f"{a} | {b}" for a, b, _ in JOINS])
def test_joins_hold_the_values_of_both(one: pa.DataType, other: pa.DataType, joined: pa.DataType) -> None:
    assert join_types(one, other) == join_types(other, one) == joined
    assert join_types(one, one) == join_types(one, one)


def test_schemas_merge_by_name_in_order_of_appearance() -> None:
    one = pa.schema([("a", pa.int32()), ("b", pa.null())])
    other = pa.schema([("c", pa.string()), ("b", pa.bool_()), ("a", pa.int64())])
    assert merge_schemas([one, other]) == pa.schema(
        [("a", pa.int64()), ("b", pa.bool_()), ("c", pa.string())]
    )
    assert merge_schemas([]) == pa.schema([])


def test_guesses_of_json_files_merge() -> None:
    def of(*values: str | None) -> pa.Schema:
        column = ColumnGuess()
        column.see_json(pa.array(values, pa.string()))
        return pa.schema([column.field("a")])

    assert merge_schemas([of("1"), of("{}"), of(None)]).field("a").type == pa.json_()
    assert merge_schemas([of("1"), of('"1"')]).field("a").type == pa.string()
    assert merge_schemas([of("1"), of("1.5"), of(None)]).field("a").type == NUMERIC
    assert merge_schemas([of('"2025-01-31"'), of('"x"'), of('"2025-01-31"')]).field("a").type == pa.string()


def test_a_column_of_nulls_takes_the_other_files_type() -> None:
    nulls = pa.schema([pa.field("a", pa.dictionary(pa.int32(), pa.null()))])
    numbers = pa.schema([pa.field("a", pa.int64())])

    assert merge_schemas([nulls, numbers]) == merge_schemas([numbers, nulls]) == numbers
