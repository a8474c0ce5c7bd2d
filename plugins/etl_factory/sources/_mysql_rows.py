"""Rows of MySQL as Arrow: what holds no free text comes as one value per row, which Arrow parses by column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
        most = min(BATCH_ROWS, BATCH_VALUES // len(self.columns) + 1)
        few = min(most, self._few())
        step = most if few == most else 1
        rows: list[tuple[Any, ...]] = []
        size = 0
        while fetched := result.fetch_row(maxrows=step):
            rows += fetched
            if few < most:
                read = sum(map(len, filter(None, chain.from_iterable(fetched))))
                size += read
                step = (
                    few if read * few < BATCH_BYTES * step else 1
                )  # would a few rows like these be too many?
            if len(rows) >= most or size >= BATCH_BYTES:
                del fetched
                yield self._taken(rows)
                size = 0
        if rows:
            yield self._taken(rows)

    def _few(self) -> int:
        """Return how many rows can be fetched at once while nobody knows their size."""
        if any(column.data_type in LONG for column in self.others):
            return LONG_ROWS
        widest = 4 * sum(length(column) for column in self.others)  # a character of utf8mb4 has up to 4 bytes
        return max(LONG_ROWS, FETCH_BYTES // (widest + 1))

    def _taken(self, rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
        """Convert rows and forget them: none is held while the batch is worked on and the next ones come."""
        batch = self._batch(rows)
        rows.clear()
        return batch

    def _batch(self, rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
        import pyarrow as pa

        values = list(zip(*rows, strict=True))
        arrays = self._parsed(values.pop(0)) if self.plain else {}
        for column, printed in zip(self.others, values, strict=True):
            arrays[column.name] = pa.array(printed, pa.binary())
        return pa.RecordBatch.from_arrays(
            [to_arrow(column, arrays[column.name]) for column in self.columns],
            names=[column.name for column in self.columns],
        )

    def _parsed(self, lines: tuple[bytes | None, ...]) -> dict[str, pa.Array]:
        import pyarrow as pa
        from pyarrow import csv

        # https://dev.mysql.com/doc/refman/8.4/en/string-functions.html: such a function returns NULL.
        if None in lines:
            raise TerminalError(
                "the numbers and dates of one row are longer together than the server's max_allowed_packet:"
                " raise it, or leave columns out with `columns: {exclude: [...]}`"
            )
        text = b"\n".join(lines) + b"\n"  # type: ignore[arg-type]  # no None is among them
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


def _parsed_as(column: MySQLColumn) -> pa.DataType:
    import pyarrow as pa

    declared = declared_type(column)
    number = pa.types.is_integer(declared) or pa.types.is_floating(declared)
    return declared if number else pa.string()
