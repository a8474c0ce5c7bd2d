"""JSON Lines, and JSON objects in an array or one after the other: numbers keep every digit."""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import IO, Any, ClassVar

import pyarrow as pa
import simplejson

from etl_factory.errors import TerminalError
from etl_factory.schema.rows import Batch, numbered
from etl_factory.sources.formats._json_batches import batch_of, chunked
from etl_factory.sources.formats._json_blocks import Lines, blocks, parseable
from etl_factory.sources.formats._json_records import Record, line_record, printable, record
from etl_factory.sources.formats._json_shape import Shape
from etl_factory.sources.formats._json_text import Parser, Window
from etl_factory.sources.formats._json_typed import as_wanted
from etl_factory.sources.formats.base import Format, damaged_file_errors, decompressed, is_utf8
from etl_factory.sources.formats.kept import Kept, handed_out
from etl_factory.sources.formats.lattice import ColumnGuess
from etl_factory.sources.specs import JsonFormat, JsonLinesFormat

# Bytes that are not halved any further.
ONE_BY_ONE = 128 * 1024
Guesses = dict[str, ColumnGuess | Shape]


class Json(Format):
    """What both JSON formats share: records become columns of JSON values (type `arrow.json`)."""

    is_text: ClassVar[bool] = True

    def __init__(self, spec: JsonLinesFormat | JsonFormat) -> None:
        self.spec = spec
        self._kept = Kept()

    @abstractmethod
    def records(self, text: IO[str]) -> Iterator[Record]:
        """Yield every record of the file."""

    def infer(self, stream: IO[bytes], limit: int | None = None) -> pa.Schema:
        """Guess each key's type from all records; mixed scalars are text, and what has no shape is JSON."""
        guesses: Guesses = {}
        self._kept.begin() if limit is None else self._kept.forget()
        for chunk in self._chunks(stream, limit):
            self._see(chunk, guesses)
        return _guessed(guesses)

    def keep(self, name: str) -> None:
        """Keep the records that were inferred from last, unless they are too many."""
        self._kept.name(name)

    def again(self, name: str, wanted: pa.Schema) -> Iterator[Batch] | None:
        """Stream what was kept, in the wanted types; None too where a value does not fit its type."""
        batches = self._kept.take(name)
        if batches is None:
            return None
        for place, batch in enumerate(batches):
            rows = batch.rows if batch.keys is not None else as_wanted(batch.rows, wanted)
            if rows is None:
                return None
            batches[place] = replace(batch, rows=rows)
        return handed_out(batches)

    def guess(self, batches: Iterable[Batch]) -> pa.Schema:
        """Guess as `infer` does, from records that were read before; a column that is masked by now is text."""
        guesses: Guesses = {}
        for batch in batches:
            for name, values in zip(batch.rows.schema.names, batch.rows.columns, strict=True):
                guesses.setdefault(name, self._no_guess()).see_values(values)
        return _guessed(guesses)

    def _see(self, chunk: list[Record], guesses: Guesses) -> None:
        found = batch_of(chunk)
        for name, values in zip(found.rows.schema.names, found.rows.columns, strict=True):
            guesses.setdefault(name, self._no_guess()).see_json(values.storage)
        self._kept.add(found)

    def _no_guess(self) -> ColumnGuess | Shape:
        return Shape() if self.spec.nested == "record" else ColumnGuess()

    def read(self, stream: IO[bytes]) -> Iterator[Batch]:
        """Stream the records; keys that a record lacks are NULL."""
        for chunk in self._chunks(stream):
            yield batch_of(chunk)

    def _chunks(self, stream: IO[bytes], limit: int | None = None) -> Iterator[list[Record]]:
        with damaged_file_errors():
            yield from chunked(islice(self.records(self._text(stream)), limit))

    def _text(self, stream: IO[bytes]) -> IO[str]:
        """Decode; bytes that are no text stay as surrogates, so that their record, and not the file, is bad."""
        encoding = "utf-8-sig" if is_utf8(self.spec.encoding) else self.spec.encoding
        opened: Any = decompressed(stream, self.spec.compression)
        return io.TextIOWrapper(
            io.BufferedReader(opened), encoding=encoding, errors="surrogateescape", newline="\n"
        )


class JsonLines(Json):
    """One JSON object per line; a line that is none is a reject, numbered by its line, and a blank one nothing."""

    def records(self, text: IO[str]) -> Iterator[Record]:
        """Parse line by line."""
        return _records_of(text, 1)

    def infer(self, stream: IO[bytes], limit: int | None = None) -> pa.Schema:
        """Guess as for any JSON; blocks of lines that are of the types guessed so far are parsed as such."""
        if limit is not None or not is_utf8(self.spec.encoding):
            return super().infer(stream, limit)
        guesses: Guesses = {}
        self._kept.begin()
        for found in self._pieces(stream, lambda lines: self._seen(lines, guesses)):
            if isinstance(found, list):
                self._see(found, guesses)
        return _guessed(guesses)

    def read_as(self, stream: IO[bytes], wanted: pa.Schema) -> Iterator[Batch]:
        """Stream the records; blocks of lines that are of the wanted types come in them."""
        types = parseable(wanted)
        if types is None or not is_utf8(self.spec.encoding):
            yield from self.read(stream)
            return
        for found in self._pieces(stream, lambda lines: _taken(lines, types, wanted)):
            yield batch_of(found) if isinstance(found, list) else found

    def _seen(self, lines: Lines, guesses: Guesses) -> Batch | None:
        """Parse lines as the guesses say, and narrow these; None where a value is of another type."""
        types = [pa.field(name, guess.parsed) for name, guess in guesses.items() if guess.parsed is not None]
        if not types or len(types) < len(guesses):
            return None
        rows = lines.parsed(pa.schema(types))
        if rows is None:
            return None
        for name, values in zip(rows.schema.names, rows.columns, strict=True):
            guesses[name].see_parsed(values)
        found = numbered(rows, lines.number)
        own = lines.own(rows) if self._kept.keeps else None
        if own is None:
            self._kept.forget()
        else:
            self._kept.add(replace(found, rows=own))
        return found

    def _pieces(
        self, stream: IO[bytes], parse: Callable[[Lines], Batch | None]
    ) -> Iterator[Batch | list[Record]]:
        """Parse blocks, halved around the lines where that is not possible, which are parsed one by one."""
        with damaged_file_errors():
            for lines in blocks(decompressed(stream, self.spec.compression)):
                yield from _piece(lines, parse)


def _piece(lines: Lines, parse: Callable[[Lines], Batch | None]) -> Iterator[Batch | list[Record]]:
    found = parse(lines)
    if found is not None:
        yield found
    elif len(lines.text) <= ONE_BY_ONE or len(lines.halves) == 1:
        text = lines.text.decode(errors="surrogateescape")
        yield from chunked(_records_of(io.StringIO(text, newline="\n"), lines.number))
    else:
        for half in lines.halves:
            yield from _piece(half, parse)


def _taken(lines: Lines, types: pa.Schema, wanted: pa.Schema) -> Batch | None:
    """Parse lines into the wanted types; None where one does not fit.

    As in any reading of JSON, the columns are those that some line has.
    """
    parsed = lines.parsed(types)
    own = None if parsed is None else lines.own(parsed)
    rows = None if own is None else as_wanted(own, wanted)
    return None if rows is None else numbered(rows, lines.number)


def _records_of(text: IO[str], first: int) -> Iterator[Record]:
    parser = Parser()
    found = (line_record(parser, number, line) for number, line in enumerate(text, first))
    return (one for one in found if one)


def _guessed(guesses: Guesses) -> pa.Schema:
    return pa.schema([guess.field(name) for name, guess in guesses.items()])


class JsonObjects(Json):
    """One array of objects, or objects one after the other; what is neither ends the run, as nothing after is sure."""

    def records(self, text: IO[str]) -> Iterator[Record]:
        """Parse element by element."""
        window = Window(text)
        head = window.peek()
        if head == "[":
            yield from self._array(window)
        elif head == "{":
            yield from self._sequence(window)
        elif head:
            raise TerminalError(
                f"the file begins with {printable(head)!r}, not with the [ of a JSON array or the {{ of an object: for"
                " one object per line use format: jsonl"
            )

    def _array(self, window: Window) -> Iterator[Record]:
        number = 0
        window.take(1)
        while window.peek() != "]" or number:
            number += 1
            yield self._element(window, number)
            mark = window.peek()
            if mark not in (",", "]"):
                found = f"{mark!r} where , or ] was expected" if mark else "the file ends"
                raise _no_objects(window, number, found)
            if mark == "]":
                break
            window.take(1)
        window.take(1)
        if window.peek():
            raise _no_objects(window, number, f"{window.peek()!r} after the end of the array")

    def _sequence(self, window: Window) -> Iterator[Record]:
        number = 0
        while window.peek():
            number += 1
            yield self._element(window, number)

    def _element(self, window: Window, number: int) -> Record:
        window.peek()
        try:
            value, raw = window.value()
        except RecursionError as error:
            raise _no_objects(window, number - 1, "the next element is nested too deeply") from error
        except simplejson.JSONDecodeError as error:
            raise _no_objects(window, number - 1, error.msg) from error
        found = record(number, None, value, raw, window.parser.problem)
        return found if found.value is not None else replace(found, line=window.line - raw.count("\n"))


def _no_objects(window: Window, number: int, reason: str) -> TerminalError:
    return TerminalError(
        f"not JSON objects, in an array or one after the other, after element {number} (line {window.line}):"
        f" {reason}. Nothing of the file was loaded; for one object per line use format: jsonl"
    )
