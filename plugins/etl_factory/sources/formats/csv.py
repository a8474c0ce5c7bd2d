"""Delimited text: parsed by Arrow as text, so that no value is guessed at while reading."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from etl_factory.errors import TerminalError
from etl_factory.landing.ahead import ahead
from etl_factory.schema.date_formats import DateFormat
from etl_factory.schema.rows import Batch, first_records
from etl_factory.schema.spelling import Spelling
from etl_factory.sources.formats._encodings import utf8
from etl_factory.sources.formats._foreign import refuse_foreign
from etl_factory.sources.formats._heads import Head, read_head
from etl_factory.sources.formats._numbering import Blocks, Numbering
from etl_factory.sources.formats._records import Cutter
from etl_factory.sources.formats.base import Peekable, Seen, Spelt, damaged_file_errors, peekable
from etl_factory.sources.formats.lattice import ColumnGuess, declared_field
from etl_factory.sources.specs import CsvFormat

BLOCK_BYTES = 8 * 1024 * 1024
KIND_BYTES = 64 * 1024


class Csv(Spelt):
    """CSV as its spec says; an unquoted empty field is NULL, a quoted one is an empty string.

    An empty line is no record, unless there is only one column: there it is a NULL. Text that is not of the
    declared encoding stays as it is, so that its row, and not the whole file, is bad. A record of up to
    `BLOCK_BYTES` is always read; one that is longer may be refused, and one of twice that is.
    """

    def __init__(self, spec: CsvFormat) -> None:
        self.spec = spec
        dates = {column: DateFormat(text) for column, text in spec.dates.items()}
        self.spelling = Spelling(spec.decimal, spec.thousands, dates)

    def look(self, stream: IO[bytes], limit: int | None = None) -> Generator[Seen, None, None]:
        """Stream the rows, or the first ones, with what they show; a format of dates leaves nothing to guess."""
        with damaged_file_errors():
            opened = self._opened(stream)
            if opened is None:
                return
            head, records = opened
            guesses = {name: ColumnGuess() for name in head.names if name not in self.spelling.dates}
            batches = self._batches(head, records)
            with ahead(batches) if limit is None else nullcontext(first_records(batches, limit)) as coming:
                for batch in coming:
                    for name, guess in guesses.items():
                        guess.see(_values(batch.rows, name, head), self.spelling)
                    names = [name for name in head.names if _is_column(name, head, guesses)]
                    yield Seen(batch, self._shown(names, guesses))

    def read(self, stream: IO[bytes]) -> Iterator[Batch]:
        """Stream the records; one with too few or too many fields is a reject with its text.

        Raises TerminalError for a file that cannot be cut into records, as with a quote that is never closed.
        """
        with damaged_file_errors():
            opened = self._opened(stream)
            if opened is not None:
                yield from self._batches(*opened)

    def look_at(self, batches: Iterator[Batch]) -> Generator[Seen, None, None]:
        """Pass records that were read before, with what they show."""
        guesses: dict[str, ColumnGuess] = {}
        names: dict[str, None] = {}
        for batch in batches:
            for name, values in zip(batch.rows.schema.names, batch.rows.columns, strict=True):
                names[name] = None
                if name not in self.spelling.dates:
                    guesses.setdefault(name, ColumnGuess()).see(values, self.spelling)
            yield Seen(batch, self._shown(names, guesses))

    def _shown(self, names: Collection[str], guesses: Mapping[str, ColumnGuess]) -> pa.Schema:
        return pa.schema([self._field(name, guesses) for name in names])

    def _field(self, name: str, guesses: Mapping[str, ColumnGuess]) -> pa.Field:
        guess = guesses.get(name)
        return guess.field(name) if guess else declared_field(name, self.spelling.dates[name].kind)

    def _opened(self, stream: IO[bytes]) -> tuple[Head, Peekable] | None:
        """Return what stands above the records, and the records in UTF-8; None for an empty file."""
        self._check_marks()
        findings: list[str] = []
        source = peekable(stream, self.spec.compression)
        refuse_foreign(source.peek(KIND_BYTES))
        text = utf8(source, self.spec.encoding, findings.append)
        opened = read_head(text, self.spec, findings.append)
        self.findings = tuple(findings)
        return opened

    def _check_marks(self) -> None:
        for name in ("delimiter", "quote", "escape"):
            mark = getattr(self.spec, name)
            if not mark.isascii():
                raise TerminalError(
                    f"format.{name} is {mark!r}, but the parser takes only ASCII characters there"
                )

    def _batches(self, head: Head, records: Peekable) -> Generator[Batch, None, None]:
        """Number the records, and see that the seal, the last record of all, comes out whole."""
        seal = _seal(head.cutter)
        line = head.cutter.delimiter.join([seal] * len(head.names)) + b"\n"
        blocks = Blocks(records, line, line)
        numbering = Numbering(blocks, head.lines)
        held: Batch | None = None
        first = 1  # the line above the records
        with _reader(blocks, head, self.spec, numbering) as reader:
            for columns in _read_on(reader, numbering):
                batch = _part(numbering.number(pa.RecordBatch.from_arrays(columns, names=head.names)), first)
                first = 0
                if batch.rows.num_rows:
                    if held:
                        yield held
                    held = batch
                if held and blocks.follows:  # the seal is in a later one
                    yield held
                    held = None
        if held is None or not _is_seal(held.rows, seal):
            raise TerminalError(_never_closed(numbering, head.cutter))
        yield _part(held, 0, held.rows.num_rows - 1)


def _is_column(name: str, head: Head, guesses: dict[str, ColumnGuess]) -> bool:
    is_last = head.spare and name == head.names[-1]
    return not is_last or name not in guesses or not guesses[name].is_empty


def _values(rows: pa.RecordBatch, name: str, head: Head) -> pa.Array:
    """Return a column's values; of the one that delimiters at the ends of lines make, those that are filled."""
    values = rows.column(head.names.index(name))
    if not head.spare or name != head.names[-1]:
        return values
    return values.filter(pc.not_equal(pc.binary_length(values), 0))


def _part(batch: Batch, first: int, count: int | None = None) -> Batch:
    """Leave rows out of a batch at its ends: those that we put around the file's own."""
    rows, records = batch.rows.slice(first, count), batch.records.slice(first, count)
    return Batch(rows, records, batch.rejects, batch.line_offset)


def _seal(cutter: Cutter) -> bytes:
    """Return a value that no mark of the format can change."""
    marks = cutter.delimiter + cutter.quote + cutter.escape
    return next(letter for letter in (b"e", b"n", b"d", b"s") if letter not in marks) * 8


def _is_seal(rows: pa.RecordBatch, seal: bytes) -> bool:
    last = (column.slice(rows.num_rows - 1).cast(pa.binary()) for column in rows.columns)
    return all(value[0].as_py() == seal for value in last)


def _never_closed(numbering: Numbering, cutter: Cutter) -> str:
    mark = (cutter.quote or cutter.escape).decode()
    return (
        f"{numbering.latest} opens a {mark} that is never closed, so that the rest of the file would be one value."
        " Nothing of it was loaded; repair it, or correct format.quote and format.escape in the source's YAML"
    )


def _read_on(reader: pacsv.CSVStreamingReader, numbering: Numbering) -> Iterator[list[pa.Array]]:
    """Yield the columns of each block; a record that spans more than two of them is too long."""
    try:
        for batch in reader:
            yield batch.columns
    except pa.ArrowInvalid as error:
        if "straddling object" not in str(error):
            raise
        raise TerminalError(
            f"{numbering.upcoming} is longer than {BLOCK_BYTES} bytes, or opens a quote that is never closed. Nothing"
            " of the file was loaded; repair it, or correct format.quote and format.escape in the source's YAML"
        ) from error


@contextmanager
def _reader(
    blocks: Blocks, head: Head, spec: CsvFormat, numbering: Numbering
) -> Iterator[pacsv.CSVStreamingReader]:
    """Open Arrow's reader. At the end nothing of it runs: a thread of its own that outlives Python hangs or aborts."""
    reader = None
    try:
        reader = _arrow_reader(blocks, head, spec, numbering)
        yield reader
    finally:
        blocks.stop()
        with suppress(pa.ArrowInvalid):  # in what nobody asks for any more
            deque(reader or (), maxlen=0)
        blocks.settle()


def _arrow_reader(
    blocks: Blocks, head: Head, spec: CsvFormat, numbering: Numbering
) -> pacsv.CSVStreamingReader:
    # Columns go by position: a header that Arrow read otherwise than we do would leave its types to a guess.
    names = [f"f{position}" for position in range(len(head.names))]
    return pacsv.open_csv(
        pa.PythonFile(blocks, mode="r"),
        read_options=pacsv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, column_names=names),
        parse_options=pacsv.ParseOptions(
            delimiter=head.cutter.delimiter.decode(), quote_char=spec.quote or False, double_quote=not spec.escape,
            escape_char=spec.escape or False, newlines_in_values=True, ignore_empty_lines=len(names) > 1,
            invalid_row_handler=numbering.keep,
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), null_values=list(spec.null_values),
            strings_can_be_null=True, quoted_strings_can_be_null=False, check_utf8=False,
        ),
    )  # fmt: skip
