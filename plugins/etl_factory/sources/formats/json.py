"""JSON Lines, and JSON objects in an array or one after the other: numbers keep every digit."""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from itertools import islice
from typing import IO, Any

import pyarrow as pa
import simplejson

from etl_factory.errors import TerminalError
from etl_factory.landing.abreast import abreast
from etl_factory.schema.rows import Batch, numbered
from etl_factory.sources.formats._json_batches import batch_of, chunked
from etl_factory.sources.formats._json_blocks import Lines, blocks, parseable
from etl_factory.sources.formats._json_records import Record, line_record, printable, record
from etl_factory.sources.formats._json_shape import Shape
from etl_factory.sources.formats._json_text import Parser, Window
from etl_factory.sources.formats._json_typed import as_wanted
from etl_factory.sources.formats.base import Seen, Spelt, damaged_file_errors, decompressed, is_utf8
from etl_factory.sources.formats.lattice import ColumnGuess
from etl_factory.sources.specs import JsonFormat, JsonLinesFormat

# Bytes that are not halved any further.
ONE_BY_ONE = 128 * 1024
# Blocks that are parsed at once: more take more memory, and what follows them is slower by then.
ABREAST = min(4, max(2, pa.cpu_count()))
Guesses = dict[str, ColumnGuess | Shape]


class Json(Spelt):
    """What both JSON formats share: records become columns of JSON values (type `arrow.json`)."""

    def __init__(self, spec: JsonLinesFormat | JsonFormat) -> None:
        self.spec = spec

    @abstractmethod
    def records(self, text: IO[str]) -> Iterator[Record]:
        """Yield every record of the file."""

    def look(self, stream: IO[bytes], limit: int | None = None) -> Generator[Seen, None, None]:
        """Stream the records, or the first ones; of a key, mixed scalars are text, and what has no shape is JSON."""
        return self.look_at(batch_of(chunk) for chunk in self._chunks(stream, limit))

    def look_at(self, batches: Iterator[Batch]) -> Generator[Seen, None, None]:
        """Pass records that were read before, with what they show; a column that is masked by now is text."""
        guesses: Guesses = {}
        for batch in batches:
            yield self._seen(batch, guesses)

    def taken_as(self, batch: Batch, wanted: pa.Schema) -> Batch | None:
        """Return a batch in the wanted types; None where a value does not fit its type."""
        if batch.keys is not None:  # they were parsed one by one, and have the types of `read`
            return batch
        rows = as_wanted(batch.rows, wanted)
        return None if rows is None else replace(batch, rows=rows)

    def _seen(self, batch: Batch, guesses: Guesses) -> Seen:
        for name, values in zip(batch.rows.schema.names, batch.rows.columns, strict=True):
            guesses.setdefault(name, self._no_guess()).see_values(values)
        return Seen(batch, _shown(guesses))

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

    def look(self, stream: IO[bytes], limit: int | None = None) -> Generator[Seen, None, None]:
        """Look as at any JSON; blocks of lines that are of the types seen so far are parsed as such."""
        if limit is not None or not is_utf8(self.spec.encoding):
            yield from super().look(stream, limit)
            return
        guesses: Guesses = {}

        def parse(lines: Lines) -> Batch | None:
            return _parsed(lines, _types(guesses))

        with damaged_file_errors():
            found = blocks(decompressed(stream, self.spec.compression))
            for lines in islice(found, 1):  # they are few, and show the types of the others
                yield from self._seen_all(_pieces(lines, parse), guesses)
            asked = ((lines, _types(guesses)) for lines in found)
            for lines, types, batch in abreast(asked, _parsed_as, ABREAST):
                is_late = types != _types(guesses)  # the lines before have shown others meanwhile
                if batch is not None and not is_late:
                    yield self._seen_lines(batch, guesses)
                else:
                    pieces = _pieces(lines, parse) if is_late else _halved(lines, parse)
                    yield from self._seen_all(pieces, guesses)

    def _seen_all(self, batches: Iterator[Batch], guesses: Guesses) -> Iterator[Seen]:
        for batch in batches:
            yield self._seen_lines(batch, guesses)

    def _seen_lines(self, batch: Batch, guesses: Guesses) -> Seen:
        if batch.keys is not None:  # they were parsed one by one
            return self._seen(batch, guesses)
        for name, values in zip(batch.rows.schema.names, batch.rows.columns, strict=True):
            guesses[name].see_parsed(values)
        return Seen(batch, _shown(guesses))

    def read_as(self, stream: IO[bytes], wanted: pa.Schema) -> Iterator[Batch]:
        """Stream the records; blocks of lines that are of the wanted types come in them."""
        types = parseable(wanted)
        if types is None or not is_utf8(self.spec.encoding):
            yield from self.read(stream)
            return

        def taken(lines: Lines) -> Batch | None:
            batch = _parsed(lines, types)
            return None if batch is None else self.taken_as(batch, wanted)

        with damaged_file_errors():
            found = blocks(decompressed(stream, self.spec.compression))
            for batches in abreast(found, lambda lines: list(_pieces(lines, taken)), ABREAST):
                yield from batches


def _pieces(lines: Lines, parse: Callable[[Lines], Batch | None]) -> Iterator[Batch]:
    """Parse lines at once, or in halves around those where that is not possible, which are parsed one by one."""
    batch = parse(lines)
    if batch is not None:
        yield batch
    else:
        yield from _halved(lines, parse)


def _halved(lines: Lines, parse: Callable[[Lines], Batch | None]) -> Iterator[Batch]:
    if len(lines.text) > ONE_BY_ONE and len(lines.halves) > 1:
        for half in lines.halves:
            yield from _pieces(half, parse)
    else:
        text = io.StringIO(lines.text.decode(errors="surrogateescape"), newline="\n")
        yield from map(batch_of, chunked(_records_of(text, lines.number)))


def _parsed_as(asked: tuple[Lines, pa.Schema | None]) -> tuple[Lines, pa.Schema | None, Batch | None]:
    lines, types = asked
    return lines, types, _parsed(lines, types)


def _parsed(lines: Lines, types: pa.Schema | None) -> Batch | None:
    """Parse lines as values of these types; None where one is of another.

    As in any reading of JSON, the columns are those that some line has.
    """
    rows = None if types is None else lines.parsed(types)
    own = None if rows is None else lines.own(rows)
    return None if own is None else numbered(own, lines.number)


def _types(guesses: Guesses) -> pa.Schema | None:
    """Return the types that more values may be parsed as; None where only single lines can be."""
    types = [pa.field(name, guess.parsed) for name, guess in guesses.items() if guess.parsed is not None]
    return pa.schema(types) if types and len(types) == len(guesses) else None


def _records_of(text: IO[str], first: int) -> Iterator[Record]:
    parser = Parser()
    found = (line_record(parser, number, line) for number, line in enumerate(text, first))
    return (one for one in found if one)


def _shown(guesses: Guesses) -> pa.Schema:
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
