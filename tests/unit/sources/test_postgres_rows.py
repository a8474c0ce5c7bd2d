"""What the server is asked for, and how the records that it sends are taken apart, without a server."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from etl_factory.sources._postgres_records import Records
from etl_factory.sources._postgres_rows import MOST_VALUES, Rows
from etl_factory.sources._postgres_types import FIXED, OtherColumnError, PostgresColumn, declared_type

INTEGERS = {21: ("h", 16), 23: ("i", 32), 20: ("q", 64)}
MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))
VALUES: dict[int, Any] = {
    16: True, 21: 1, 23: 1, 20: 1, 700: 1.5, 701: 1.5, 1082: date(2025, 6, 1), 1114: datetime(2025, 6, 1),
    1184: datetime(2025, 6, 1, tzinfo=UTC),
}  # fmt: skip
FLOATS = {700: ("f", 32), 701: ("d", 64)}


def column(oid: int, name: str = "c", own: int | None = None) -> PostgresColumn:
    return PostgresColumn(name, oid, -1, "", oid if own is None else own)


def values(oid: int) -> st.SearchStrategy[Any]:
    """Return values of a type as Python has them."""
    if oid in INTEGERS:
        bits = INTEGERS[oid][1]
        return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if oid in FLOATS:
        return st.floats(width=FLOATS[oid][1])  # type: ignore[arg-type]  # its stubs want literal widths
    kinds: dict[int, st.SearchStrategy[Any]] = {16: st.booleans(), 1082: st.dates(), 1114: MOMENTS}
    return kinds.get(oid, MOMENTS.map(lambda moment: moment.replace(tzinfo=UTC)))


def sent(oid: int, value: Any) -> bytes:
    """Write a value as the server's send function does, by documents of its own."""
    if oid == 16:
        return b"\x01" if value else b"\x00"
    if oid == 1082:
        return struct.pack(">i", (value - date(2000, 1, 1)).days)
    if isinstance(value, datetime):
        passed = value.replace(tzinfo=None) - datetime(2000, 1, 1)
        return struct.pack(">q", (passed.days * 86400 + passed.seconds) * 10**6 + passed.microseconds)
    return struct.pack(">" + (INTEGERS | FLOATS)[oid][0], value)


def record(oids: list[int], row: tuple[Any, ...], own: list[int] | None = None) -> bytes:
    packed = struct.pack(">i", len(oids))
    for oid, value, type_ in zip(oids, row, own or oids, strict=True):
        packed += struct.pack(">I", type_)
        packed += (
            struct.pack(">i", -1) if value is None else struct.pack(">i", len(s := sent(oid, value))) + s
        )
    return packed


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[int], list[tuple[Any, ...]]]:
    oids = draw(st.lists(st.sampled_from(sorted(FIXED)), min_size=1, max_size=6))
    whole = draw(st.booleans())
    cells = [values(oid) if whole else st.none() | values(oid) for oid in oids]
    return oids, draw(st.lists(st.tuples(*cells), max_size=20))


@settings(deadline=None)  # the first example imports Arrow
@given(tables(), st.integers(0, 3))
@example(([700, 701], [(-0.0, float("nan"))]), 0)
def test_records_are_taken_apart_exactly(
    table: tuple[list[int], list[tuple[Any, ...]]], skipped: int
) -> None:
    oids, rows = table
    array = pa.array([record(oids, row) for row in rows], pa.binary())[skipped:]
    columns = [column(oid) for oid in oids]
    arrays = Records(columns).arrays(array)
    for at, of in enumerate(columns):
        arrays[at].validate(full=True)
        expected = pa.array([row[at] for row in rows[skipped:]], declared_type(of))
        assert arrays[at].type == expected.type
        # Bytes tell apart what compares as equal, and NaN from none; where a NULL is they do not count.
        assert arrays[at].is_valid().equals(expected.is_valid())
        assert [repr(v) for v in arrays[at].to_pylist()] == [repr(v) for v in expected.to_pylist()]


@pytest.mark.parametrize("listed", sorted(FIXED))
@pytest.mark.parametrize("others", [[], [None], [1, None]])
def test_records_of_other_types_are_refused(listed: int, others: list[int | None]) -> None:
    """A table may be replaced by another one after its columns were listed."""
    for came in set(FIXED) - {listed}:
        rows = [record([23, came], (1, VALUES[came])), *(record([23, came], (one, None)) for one in others)]
        with pytest.raises(OtherColumnError, match="second"):
            Records([column(23, "first"), column(listed, "second")]).arrays(pa.array(rows, pa.binary()))


@pytest.mark.parametrize(("count", "name"), [(1, "c0"), (3, "c2")])
def test_records_of_more_or_fewer_columns_are_refused(count: int, name: str) -> None:
    rows = [record([23, 20], (1, None)), record([23, 20], (1, 2))]
    columns = [column(of, f"c{n}") for n, of in enumerate((23, 20, 21)[:count])]
    with pytest.raises(OtherColumnError, match=name):
        Records(columns).arrays(pa.array(rows, pa.binary()))


@pytest.mark.parametrize("row", [(7,), (None,)])
@pytest.mark.parametrize("own", [90_001, 2**32 - 1])
def test_a_domain_is_sent_by_its_own_oid(own: int, row: tuple[int | None]) -> None:
    array = pa.array([record([23], row, [own])], pa.binary())
    assert Records([column(23, own=own)]).arrays(array)[0].to_pylist() == list(row)
    with pytest.raises(OtherColumnError):
        Records([column(23)]).arrays(array)


def test_few_columns_are_asked_for_as_they_are() -> None:
    columns = [column(23, "id"), column(1700, "price"), column(1184, 'a"t')]
    rows = Rows(columns, temporal_as_text=False)
    assert rows.listed() == '"id" AS "id", "price"::text AS "price", "a""t" AS "a""t"'
    assert Rows(columns, temporal_as_text=True).listed().endswith('"a""t"::text AS "a""t"')


def test_values_of_fixed_width_are_asked_for_as_one_record_where_there_are_very_many() -> None:
    texts = [column(25, f"t{n}") for n in range(MOST_VALUES - 1)]
    columns = [texts[0], column(20, "id"), *texts[1:], column(1184, "at")]
    listed = Rows(columns, temporal_as_text=False).listed()
    assert listed.startswith('record_send(ROW("id", "at")), "t0" AS "t0", "t1" AS "t1"')
    as_text = Rows(columns, temporal_as_text=True).listed()
    assert as_text.startswith('record_send(ROW("id")), "t0"')
    assert as_text.endswith('"at"::text AS "at"')


def test_a_batch_comes_back_in_the_order_of_the_columns() -> None:
    texts = [column(25, f"t{n}") for n in range(MOST_VALUES - 1)]
    columns = [texts[0], column(20, "id"), *texts[1:], column(1184, "at")]
    moment = datetime(2025, 6, 1, tzinfo=UTC)
    read = pa.RecordBatch.from_arrays(
        [pa.array([record([20, 1184], (7, moment))]), *(pa.array([of.name]) for of in texts)],
        names=["record_send", *(of.name for of in texts)],
    )
    row = Rows(columns, temporal_as_text=False).batch(read).to_pylist()[0]
    assert list(row) == [of.name for of in columns]
    assert row == {of.name: of.name for of in texts} | {"id": 7, "at": moment}
