"""Delimited text: parsed by Arrow as text, so that no value is guessed at while reading."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import IO, ClassVar

import pyarrow as pa
import pyarrow.csv as pacsv

from etl_factory.errors import TerminalError
from etl_factory.schema.rows import Batch, Reject, bounded
from etl_factory.sources.formats.base import Format, Peekable, damaged_file_errors, decompressed
from etl_factory.sources.formats.lattice import ColumnGuess
from etl_factory.sources.specs import CsvFormat

BLOCK_BYTES = 8 * 1024 * 1024
HEADER_BYTES = 1024 * 1024


class Csv(Format):
    """CSV as its spec says; an unquoted empty field is NULL, a quoted one is an empty string."""

    is_text: ClassVar[bool] = True

    def __init__(self, spec: CsvFormat) -> None:
        self.spec = spec

    def infer(self, stream: IO[bytes]) -> pa.Schema:
        """Guess each column's type from all rows."""
        guesses: dict[str, ColumnGuess] = {}
        for batch in self.read(stream):
            for name, column in zip(batch.rows.schema.names, batch.rows.columns, strict=True):
                guesses.setdefault(name, ColumnGuess()).see(column)
        return pa.schema([pa.field(name, guess.type) for name, guess in guesses.items()])

    def read(self, stream: IO[bytes]) -> Iterator[Batch]:
        """Stream the records; one with too few or too many fields is a reject with its text."""
        with damaged_file_errors():
            source = Peekable(decompressed(stream, self.spec.compression))
            header = self._header(source)
            if header:
                yield from self._batches(source, header)

    def _header(self, source: Peekable) -> list[str]:
        """Return the raw column names, looking only; empty for a file without any record."""
        text = source.peek(HEADER_BYTES).decode(self._encoding, errors="ignore")
        lines = io.StringIO(text, newline="")
        for _ in range(self.spec.skip_rows):
            lines.readline()
        reader = csv.reader(
            lines, delimiter=self.spec.delimiter, quotechar=self.spec.quote or None,
            quoting=csv.QUOTE_MINIMAL if self.spec.quote else csv.QUOTE_NONE, escapechar=self.spec.escape or None,
        )  # fmt: skip
        first = next((row for row in reader if row), [])
        if self.spec.column_names and len(first) not in (0, len(self.spec.column_names)):
            raise TerminalError(
                f"format.column_names gives {len(self.spec.column_names)} names, but the first record has"
                f" {len(first)} fields"
            )
        return first

    @property
    def _encoding(self) -> str:
        return (
            "utf-8-sig"
            if self.spec.encoding.lower().replace("_", "-") in ("utf-8", "utf8")
            else self.spec.encoding
        )

    def _batches(self, source: Peekable, header: list[str]) -> Iterator[Batch]:
        broken: list[pacsv.InvalidRow] = []

        def keep(row: pacsv.InvalidRow) -> str:
            broken.append(row)
            return "skip"

        given = header if self.spec.header else [f"f{i}" for i in range(len(header))]
        reader = pacsv.open_csv(
            pa.PythonFile(source, mode="r"),
            read_options=pacsv.ReadOptions(
                use_threads=False, block_size=BLOCK_BYTES, encoding=self.spec.encoding, skip_rows=self.spec.skip_rows,
                autogenerate_column_names=not self.spec.header,
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=self.spec.delimiter, quote_char=self.spec.quote or False, double_quote=not self.spec.escape,
                escape_char=self.spec.escape or False, newlines_in_values=True, invalid_row_handler=keep,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types={name: pa.string() for name in given}, null_values=list(self.spec.null_values),
                strings_can_be_null=True, quoted_strings_can_be_null=False,
            ),
        )  # fmt: skip
        names = list(self.spec.column_names) or unique_names(
            header if self.spec.header else [""] * len(header)
        )
        numbering = _Numbering(first=2 if self.spec.header else 1)
        for batch in reader:
            rows = pa.RecordBatch.from_arrays(batch.columns, names=names)
            yield numbering.number(rows, broken)
        yield numbering.number(
            pa.RecordBatch.from_arrays([pa.array([], pa.string())] * len(names), names), broken
        )


class _Numbering:
    """Gives each record its number in the file, broken ones included; `first` is the first record's row."""

    def __init__(self, first: int) -> None:
        self.first, self.next = first, 1

    def number(self, rows: pa.RecordBatch, broken: list[pacsv.InvalidRow]) -> Batch:
        """Number a batch, and turn the broken rows met on the way into rejects."""
        taken, broken[:] = list(broken), []
        rejects = [self._reject(row, index) for index, row in enumerate(taken)]
        numbers = {reject.record for reject in rejects}
        records: list[int] = []
        while len(records) < rows.num_rows:
            if self.next not in numbers:
                records.append(self.next)
            self.next += 1
        self.next = max([self.next, *(number + 1 for number in numbers)])
        return Batch(rows, pa.array(records, pa.int64()), tuple(rejects))

    def _reject(self, row: pacsv.InvalidRow, index: int) -> Reject:
        number = row.number - self.first + 1 if row.number else self.next + index
        reason = f"{row.actual_columns} fields where {row.expected_columns} were expected"
        return Reject(number, row.number, "", "", reason, bounded(row.text))


def unique_names(header: list[str]) -> list[str]:
    """Name every column: an empty header is `column_<n>`, a repeated one gets `_2`, `_3` and so on."""
    names: list[str] = []
    for position, given in enumerate(header, 1):
        base = given.strip() or f"column_{position}"
        name, number = base, 1
        while name in names:
            number += 1
            name = f"{base}_{number}"
        names.append(name)
    return names
