"""Delimited text: parsed by Arrow as text, so that no value is guessed at while reading."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import IO, ClassVar

import pyarrow as pa
import pyarrow.csv as pacsv

from etl_factory.errors import TerminalError
from etl_factory.schema.rows import Batch, Reject, bounded, first_records
from etl_factory.sources.formats.base import Format, Peekable, damaged_file_errors, decompressed, is_utf8
from etl_factory.sources.formats.lattice import ColumnGuess
from etl_factory.sources.specs import CsvFormat

BLOCK_BYTES = 8 * 1024 * 1024
HEADER_BYTES = 1024 * 1024


class Csv(Format):
    """CSV as its spec says; an unquoted empty field is NULL, a quoted one is an empty string.

    An empty line is no record, unless there is only one column: there it is a NULL. Text that is not of the
    declared encoding stays as it is, so that its row, and not the whole file, is bad.
    """

    is_text: ClassVar[bool] = True

    def __init__(self, spec: CsvFormat) -> None:
        self.spec = spec

    def infer(self, stream: IO[bytes], limit: int | None = None) -> pa.Schema:
        """Guess each column's type from all rows, or the first ones."""
        guesses: dict[str, ColumnGuess] = {}
        for batch in first_records(self.read(stream), limit):
            for name, column in zip(batch.rows.schema.names, batch.rows.columns, strict=True):
                guesses.setdefault(name, ColumnGuess()).see(column)
        return pa.schema([guess.field(name) for name, guess in guesses.items()])

    def read(self, stream: IO[bytes]) -> Iterator[Batch]:
        """Stream the records; one with too few or too many fields is a reject with its text.

        Raises TerminalError for a file that cannot be cut into records, as with a quote that is never closed.
        """
        self._check_marks()
        with damaged_file_errors():
            text = decompressed(stream, self.spec.compression)
            if not is_utf8(self.spec.encoding):
                text = pa.transcoding_input_stream(text, self.spec.encoding, "utf-8")
            source = Peekable(text)
            first, skipped = self._first_record(source)
            if first:
                yield from self._numbered(source, first, skipped)

    def _check_marks(self) -> None:
        for name in ("delimiter", "quote", "escape"):
            mark = getattr(self.spec, name)
            if not mark.isascii():
                raise TerminalError(
                    f"format.{name} is {mark!r}, but the parser takes only ASCII characters there"
                )

    def _first_record(self, source: Peekable) -> tuple[list[str], int]:
        """Return the first record, looking only, and how many lines come before it; none for an empty file."""
        lines = io.StringIO(source.peek(HEADER_BYTES).decode("utf-8-sig", errors="replace"), newline="")
        for _ in range(self.spec.skip_rows):
            lines.readline()
        reader = csv.reader(
            lines, delimiter=self.spec.delimiter, quotechar=self.spec.quote or None,
            quoting=csv.QUOTE_MINIMAL if self.spec.quote else csv.QUOTE_NONE, escapechar=self.spec.escape or None,
            doublequote=not self.spec.escape,
        )  # fmt: skip
        for blank, record in enumerate(reader):
            if record:
                self._check_first(record)
                return record, self.spec.skip_rows + (blank if self.spec.header else 0)
        return [], 0

    def _check_first(self, first: list[str]) -> None:
        names = self.spec.column_names
        if names and len(first) != len(names):
            raise TerminalError(
                f"format.column_names gives {len(names)} names, but the first record has {len(first)} fields"
            )
        if self.spec.header and any("\ufffd" in name for name in first):
            raise TerminalError(
                f"the header is not {self.spec.encoding} text: {', '.join(first)}. Set format.encoding to the file's,"
                " such as windows-1250"
            )

    def _numbered(self, source: Peekable, first: list[str], skipped: int) -> Iterator[Batch]:
        """Number the records, and see that the seal, the last record of all, comes out whole."""
        names = list(self.spec.column_names) or unique_names(first if self.spec.header else [""] * len(first))
        broken: list[pacsv.InvalidRow] = []
        numbering = _Numbering(skipped, has_header=self.spec.header)
        last = pa.RecordBatch.from_arrays([pa.array([], pa.string())] * len(names), names)
        for batch in self._reader(source, len(names), skipped, broken):
            rows = pa.RecordBatch.from_arrays(batch.columns, names=names)
            if rows.num_rows:
                yield numbering.number(last, broken)
                last = numbering.without_header(rows)
        if not last.num_rows or set(last.slice(last.num_rows - 1).to_pylist()[0].values()) != {self._seal}:
            raise TerminalError(
                f"record {numbering.next + last.num_rows - 1} opens a {self.spec.quote or self.spec.escape} that is"
                " never closed, so that the rest of the file would be one value. Nothing of it was loaded; repair"
                " it, or correct format.quote and format.escape in the source's YAML"
            )
        yield numbering.number(last.slice(0, last.num_rows - 1), broken)

    @property
    def _seal(self) -> str:
        """A value that no mark of the format can change."""
        marks = (self.spec.delimiter, self.spec.quote, self.spec.escape)
        return next(letter for letter in "ends" if letter not in marks) * 8

    def _reader(
        self, source: Peekable, width: int, skipped: int, broken: list[pacsv.InvalidRow]
    ) -> pacsv.CSVStreamingReader:
        def keep(row: pacsv.InvalidRow) -> str:
            broken.append(row)
            return "skip"

        # Columns go by position: a header that Arrow read otherwise than we do would leave its types to a guess.
        names = [f"f{position}" for position in range(width)]
        source.tail = self.spec.delimiter.join([self._seal] * width).encode() + b"\n"
        return pacsv.open_csv(
            pa.PythonFile(source, mode="r"),
            read_options=pacsv.ReadOptions(
                use_threads=False, block_size=BLOCK_BYTES, column_names=names, skip_rows=skipped,
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=self.spec.delimiter, quote_char=self.spec.quote or False, double_quote=not self.spec.escape,
                escape_char=self.spec.escape or False, newlines_in_values=True, ignore_empty_lines=width > 1,
                invalid_row_handler=keep,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), null_values=list(self.spec.null_values),
                strings_can_be_null=True, quoted_strings_can_be_null=False, check_utf8=False,
            ),
        )  # fmt: skip


class _Numbering:
    """Gives each record its number in the file, broken ones included; `skipped`: lines before the first.

    A header is read like a record, which is then dropped: Arrow, asked to skip it, skips one more for every
    NUL in it.
    """

    def __init__(self, skipped: int, *, has_header: bool) -> None:
        self.before, self.next = skipped + int(has_header), 1
        self.has_header = has_header
        self.taken: set[int] = set()

    def without_header(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Drop the header from the first batch."""
        header, self.has_header = self.has_header, False
        return rows.slice(1) if header else rows

    def number(self, rows: pa.RecordBatch, broken: list[pacsv.InvalidRow]) -> Batch:
        """Number a batch, and turn the broken rows met on the way, or ahead of it, into rejects."""
        rejects = tuple(self._reject(row) for row in broken)
        broken.clear()
        self.taken.update(reject.record for reject in rejects)
        return Batch(rows, pa.array(self._free(rows.num_rows), pa.int64()), rejects)

    def _free(self, count: int) -> range | list[int]:
        first = self.next
        if not self.taken:
            self.next += count
            return range(first, self.next)
        free: list[int] = []
        while len(free) < count:
            if self.next in self.taken:
                self.taken.remove(self.next)
            else:
                free.append(self.next)
            self.next += 1
        return free

    def _reject(self, row: pacsv.InvalidRow) -> Reject:
        reason = f"{row.actual_columns} fields where {row.expected_columns} were expected"
        return Reject(row.number - self.before, None, "", "", reason, bounded(row.text))


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
