"""Rows of MySQL as Arrow: what holds no free text comes as one value per row, which Arrow parses by column."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from etl_factory.errors import TerminalError
from etl_factory.sources._mysql_types import (
    LONG,
    PLAIN,
    MySQLColumn,
    declared_type,
    expression,
    length,
    quoted,
    to_arrow,
)

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_BYTES, BATCH_ROWS, BATCH_VALUES = 4 * 1024 * 1024, 20_000, 320_000
# Long values come without a warning, and are held twice while they are converted.
FETCH_BYTES, LONG_ROWS = 16 * 1024 * 1024, 24
NULL = "N"


class Rows:
    """Ask for columns, and turn the rows that come into record batches of bounded size, in the columns' order.

    Numbers, dates and times are joined by commas on the server, in one value per row: the driver makes a Python
    object of every value, which costs more than all else. Their printed forms hold no comma, and are no `N`, which
    stands for NULL; nothing does not, since to a MariaDB with EMPTY_STRING_IS_NULL it is a NULL itself. Text and
    bytes come as values of their own.
    """

    def __init__(self, columns: Sequence[MySQLColumn]) -> None:
        self.columns = columns
        self.plain = [column for column in columns if column.data_type in PLAIN]
        self.others = [column for column in columns if column.data_type not in PLAIN]

    def listed(self) -> str:
        """Return the list of a SELECT."""
        named = (f"{expression(c, quoted(c.name))} AS {quoted(c.name)}" for c in self.others)
        return ", ".join([*([self._joined()] if self.plain else []), *named])

    def _joined(self) -> str:
        printed = (f"IFNULL({expression(column, quoted(column.name))}, '{NULL}')" for column in self.plain)
        return f"CONCAT_WS(',', {', '.join(printed)})"

    def batches(self, result: Any) -> Iterator[pa.RecordBatch]:
        """Convert the rows of an unbuffered result as they come.

        Raises:
            TerminalError: a row's numbers and dates together are longer than the server lets a value be.
        """
        fetch = _Fetch(result, min(BATCH_ROWS, BATCH_VALUES // len(self.columns) + 1), self._few())
        while (batch := self._next(fetch)) is not None:
            yield batch

    def _next(self, fetch: _Fetch) -> pa.RecordBatch | None:
        """Return the next rows converted: none is left when Python looks for cycles again."""
        with _uncollected():
            return self._converted(fetch)

    def _converted(self, fetch: _Fetch) -> pa.RecordBatch | None:
        rows = fetch.rows()
        return self._batch(rows) if rows else None

    def _few(self) -> int:
        """Return how many rows can be fetched at once while nobody knows their size."""
        if any(column.data_type in LONG for column in self.others):
            return LONG_ROWS
        widest = 4 * sum(length(column) for column in self.others)  # a character of utf8mb4 has up to 4 bytes
        return max(LONG_ROWS, FETCH_BYTES // (widest + 1))

    def _batch(self, rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
        import pyarrow as pa

        values = _by_column(rows)
        arrays = self._parsed(values.pop(0)) if self.plain else {}
        for column, printed in zip(self.others, values, strict=True):
            arrays[column.name] = pa.array(printed, pa.binary())
        return pa.RecordBatch.from_arrays(
            [to_arrow(column, arrays[column.name]) for column in self.columns],
            names=[column.name for column in self.columns],
        )

    def _parsed(self, lines: Sequence[bytes | None]) -> dict[str, pa.Array]:
        import pyarrow as pa
        from pyarrow import csv

        try:
            text = b"\n".join([*lines, b""])  # type: ignore[list-item]  # a None is what the join refuses
        except TypeError:
            if None not in lines:
                raise
            # https://dev.mysql.com/doc/refman/8.4/en/string-functions.html: such a function returns NULL.
            raise TerminalError(
                "the numbers and dates of one row are longer together than the server's max_allowed_packet:"
                " raise it, or leave columns out with `columns: {exclude: [...]}`"
            ) from None
        names = [column.name for column in self.plain]
        table = csv.read_csv(
            pa.BufferReader(text),
            csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=names),
            csv.ParseOptions(quote_char=False, escape_char=False, ignore_empty_lines=False),
            csv.ConvertOptions(
                null_values=[NULL],
                strings_can_be_null=True,
                column_types={column.name: _parsed_as(column) for column in self.plain},
            ),
        )
        if table.num_rows != len(lines):
            raise AssertionError(f"{len(lines)} rows were parsed as {table.num_rows}")
        return {name: pa.concat_arrays(table.column(name).chunks) for name in names}


def _by_column(rows: list[tuple[Any, ...]]) -> list[Sequence[Any]]:
    if len(rows[0]) == 1:  # half of the time that zip takes for them
        return [[value for (value,) in rows]]
    return list(zip(*rows, strict=True))


class _Fetch:
    """Takes rows of an unbuffered result: at most `most`, and `few` at once while nobody knows their size."""

    def __init__(self, result: Any, most: int, few: int) -> None:
        self.result, self.most, self.few = result, most, min(most, few)
        self.step = most if self.few == most else 1

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the next rows, none at the end; they hold little more than BATCH_BYTES."""
        rows: list[tuple[Any, ...]] = []
        size = 0
        while len(rows) < self.most and size < BATCH_BYTES:
            fetched = self.result.fetch_row(maxrows=self.step)
            if not fetched:
                break
            rows += fetched
            if self.few < self.most:
                read = sum(map(len, filter(None, chain.from_iterable(fetched))))
                size += read
                # If a few more like them were too many, the next ones come one by one.
                self.step = self.few if read * self.few < BATCH_BYTES * self.step else 1
        return rows


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep Python from looking for cycles among rows, which have none.

    It looks through all objects of the process each time that enough new ones were kept for a while, and all rows of
    a table are such: with Airflow loaded that takes twice as long as reading them.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _parsed_as(column: MySQLColumn) -> pa.DataType:
    import pyarrow as pa

    declared = declared_type(column)
    number = pa.types.is_integer(declared) or pa.types.is_floating(declared)
    return declared if number else pa.string()
