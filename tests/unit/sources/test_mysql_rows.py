"""What the server is asked for, and how its rows become Arrow, without a server."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from etl_factory.errors import TerminalError
from etl_factory.sources import _mysql_rows
from etl_factory.sources._mysql_rows import Rows
from etl_factory.sources._mysql_snapshot import MySQLSnapshot
from etl_factory.sources._mysql_types import MySQLColumn
from etl_factory.sources.base import Selection

ID, PRICE = MySQLColumn("id", "bigint", "bigint"), MySQLColumn("price", "decimal", "decimal(9,2)", 9, 2)
AT, NOTE = MySQLColumn("at", "timestamp", "timestamp"), MySQLColumn("note", "varchar", "varchar(9)")
DOCUMENT, IMAGE = MySQLColumn("doc", "json", "longtext"), MySQLColumn("image", "blob", "blob")


class Result:
    """A driver's unbuffered result; `asked` tells how many rows were asked for each time."""

    def __init__(self, rows: Sequence[tuple[bytes | None, ...]]) -> None:
        self.rows, self.asked = list(rows), list[int]()

    def fetch_row(self, maxrows: int) -> tuple[tuple[bytes | None, ...], ...]:
        self.asked.append(maxrows)
        taken, self.rows = self.rows[:maxrows], self.rows[maxrows:]
        return tuple(taken)


def read(columns: Sequence[MySQLColumn], *rows: tuple[bytes | None, ...]) -> list[dict[str, Any]]:
    return [row for batch in Rows(columns).batches(Result(rows)) for row in batch.to_pylist()]


def test_numbers_and_times_are_asked_for_in_one_value_before_the_others() -> None:
    assert Rows([NOTE, ID, IMAGE, AT]).listed() == (
        "CONCAT_WS(',', IFNULL(`id`, 'N'), IFNULL(`at`, 'N')), `note` AS `note`, `image` AS `image`"
    )
    assert Rows([NOTE]).listed() == "`note` AS `note`"
    assert Rows([MySQLColumn("a`b", "float", "float")]).listed() == (
        "CONCAT_WS(',', IFNULL(`a``b` * 1e0, 'N'))"
    )


def test_columns_come_back_in_their_order() -> None:
    rows = [(b"1,2024-01-01 00:00:00.500000", "ż, \"x'\n".encode(), b"\x00\xff"), (b"N,N", None, None)]
    assert read([NOTE, ID, IMAGE, AT], *rows) == [
        {"note": "ż, \"x'\n", "id": 1, "image": b"\x00\xff", "at": "2024-01-01 00:00:00.500000+00:00"},
        {"note": None, "id": None, "image": None, "at": None},
    ]


def test_text_that_is_empty_is_no_null() -> None:
    assert read([NOTE, IMAGE], (b"", b"")) == [{"note": "", "image": b""}]


@pytest.mark.parametrize("printed", [(b"N", b"7", b"N"), (b"7", b"N"), (b"N",)])
def test_a_lone_column_keeps_its_nulls(printed: tuple[bytes, ...]) -> None:
    assert [row["id"] for row in read([ID], *((value,) for value in printed))] == [
        None if value == b"N" else int(value) for value in printed
    ]


def test_decimals_keep_their_digits() -> None:
    assert read([PRICE], (b"-0.10",), (b"1234567.00",)) == [{"price": "-0.10"}, {"price": "1234567.00"}]


def test_what_the_server_cut_off_is_no_null() -> None:
    with pytest.raises(TerminalError, match="max_allowed_packet: raise it, or leave columns out"):
        read([ID, NOTE], (b"1", b"a"), (None, b"b"))


@pytest.mark.parametrize("printed", [b"1,2,3", b"1", b"x,2", b"1,", b""])
def test_a_row_that_does_not_parse_is_an_error(printed: bytes) -> None:
    with pytest.raises(pa.ArrowInvalid):
        read([ID, MySQLColumn("n", "int", "int")], (b"1,2",), (printed,))


def test_a_line_break_in_a_value_would_be_noticed() -> None:
    with pytest.raises(AssertionError, match="1 rows were parsed as 2"):
        read([PRICE], (b"1.00\n2.00",))


def test_text_that_is_no_utf_8_is_an_error() -> None:
    with pytest.raises(pa.ArrowInvalid, match="UTF8"):
        read([NOTE], (b"\xff",))


def test_batches_hold_as_many_rows_as_their_columns_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_mysql_rows, "BATCH_VALUES", 9)
    result = Result([(b"%d,1.00" % number,) for number in range(12)])
    assert [batch.num_rows for batch in Rows([ID, PRICE]).batches(result)] == [5, 5, 2]


def test_long_values_are_fetched_one_by_one_until_their_size_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_mysql_rows, "BATCH_BYTES", 4000)
    result = Result([(b"x",)] * 49 + [(b"y" * 1000,)] * 30 + [(b"x",)] * 24)
    sizes = [batch.num_rows for batch in Rows([DOCUMENT]).batches(result)]
    assert result.asked[:6] == [1, 24, 24, 24, 1, 1]
    assert sizes == [73, 4, 26]


@pytest.mark.parametrize(
    ("full_type", "first"),
    [("varchar(16000)", 1), ("varchar(120)", 20_000), ("varbinary(65000)", 1), ("set('a','b')", 20_000)],
)
def test_a_column_that_can_be_long_is_taken_for_one(full_type: str, first: int) -> None:
    result = Result([])
    assert list(Rows([MySQLColumn("a", full_type.partition("(")[0], full_type)]).batches(result)) == []
    assert result.asked == [first]


@pytest.mark.parametrize("kind", ["geometrycollection", "geomcollection"])
def test_a_collection_of_shapes_is_asked_for_as_text_by_each_of_its_names(kind: str) -> None:
    assert Rows([MySQLColumn("g", kind, kind)]).listed() == "ST_AsText(`g`) AS `g`"


def test_a_read_that_is_left_closes_the_connection_before_its_result_is_freed() -> None:
    """Else the driver reads all rows that are left: of a large table, for as long as it takes."""
    events: list[str] = []

    class Unread(Result):
        def __del__(self) -> None:
            events.append("freed")

    connection = SimpleNamespace(
        query=lambda sql: None,
        use_result=lambda: Unread([(b"%d" % number,) for number in range(100_000)]),
        close=lambda: events.append("closed"),
    )
    snapshot = object.__new__(MySQLSnapshot)
    snapshot.connection, snapshot.columns, snapshot.selection = connection, [ID], Selection(table="t")
    batches = snapshot.read(None)
    next(batches)
    batches.close()  # type: ignore[attr-defined]  # it is a generator
    del batches
    assert events == ["closed", "freed"]
