"""What the server is asked for, and how its rows become Arrow, without a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest

from etl_factory.errors import TerminalError
from etl_factory.sources import _mysql_rows
from etl_factory.sources._mysql_rows import Rows
from etl_factory.sources._mysql_types import MySQLColumn

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
        "CONCAT_WS(',', IFNULL(`id`, ''), IFNULL(`at`, '')), `note` AS `note`, `image` AS `image`"
    )
    assert Rows([NOTE]).listed() == "`note` AS `note`"
    assert Rows([MySQLColumn("a`b", "float", "float")]).listed() == (
        "CONCAT_WS(',', IFNULL(CAST(`a``b` AS DOUBLE), ''))"
    )


def test_columns_come_back_in_their_order() -> None:
    rows = [(b"1,2024-01-01 00:00:00.500000", "ż, \"x'\n".encode(), b"\x00\xff"), (b",", None, None)]
    assert read([NOTE, ID, IMAGE, AT], *rows) == [
        {"note": "ż, \"x'\n", "id": 1, "image": b"\x00\xff", "at": "2024-01-01 00:00:00.500000+00:00"},
        {"note": None, "id": None, "image": None, "at": None},
    ]


def test_text_that_is_empty_is_no_null() -> None:
    assert read([NOTE, IMAGE], (b"", b"")) == [{"note": "", "image": b""}]


@pytest.mark.parametrize("printed", [(b"", b"7", b""), (b"7", b""), (b"",), (b"", b"")])
def test_a_lone_column_keeps_its_nulls(printed: tuple[bytes, ...]) -> None:
    assert [row["id"] for row in read([ID], *((value,) for value in printed))] == [
        int(value) if value else None for value in printed
    ]


def test_decimals_keep_their_digits() -> None:
    assert read([PRICE], (b"-0.10",), (b"1234567.00",)) == [{"price": "-0.10"}, {"price": "1234567.00"}]


def test_what_the_server_cut_off_is_no_null() -> None:
    with pytest.raises(TerminalError, match="max_allowed_packet: raise it, or leave columns out"):
        read([ID, NOTE], (b"1", b"a"), (None, b"b"))


@pytest.mark.parametrize("printed", [b"1,2,3", b"1", b"x,2"])
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


def test_a_few_long_values_are_fetched_at_a_time_and_one_once_they_are_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_mysql_rows, "BATCH_BYTES", 4000)
    monkeypatch.setattr(_mysql_rows, "LONG_BYTES", 2400)
    result = Result([(b"x",)] * 48 + [(b"y" * 1000,)] * 30 + [(b"x",)] * 24)
    sizes = [batch.num_rows for batch in Rows([DOCUMENT]).batches(result)]
    assert result.asked[:5] == [24, 24, 24, 1, 1]
    assert sizes == [72, 4, 26]
    assert sum(sizes) == 102
