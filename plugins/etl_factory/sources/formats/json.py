"""JSON Lines and JSON arrays: numbers keep every digit, nested values stay JSON."""

from __future__ import annotations

import io
import json
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import IO, Any, ClassVar

import pyarrow as pa
import simplejson

from etl_factory.errors import TerminalError
from etl_factory.schema.rows import Batch, Reject, bounded
from etl_factory.sources.formats._json_text import Parser, Window
from etl_factory.sources.formats.base import BATCH_ROWS, Format, damaged_file_errors, decompressed, is_utf8
from etl_factory.sources.formats.lattice import ColumnGuess
from etl_factory.sources.specs import JsonFormat, JsonLinesFormat

BATCH_CHARACTERS = 32 * 1024 * 1024
_KINDS = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
_ENCODER = simplejson.JSONEncoder(
    use_decimal=True, allow_nan=False, separators=(",", ":"), ensure_ascii=False
)


@dataclass(frozen=True)
class Record:
    """One record of a file: an object's values as JSON text, or what stands in its place and why it is none."""

    number: int
    value: dict[str, str | None] | None
    raw: str
    reason: str = ""


class Json(Format):
    """What both JSON formats share: records become columns of JSON values (type `arrow.json`)."""

    is_text: ClassVar[bool] = True
    has_lines: ClassVar[bool]

    def __init__(self, spec: JsonLinesFormat | JsonFormat) -> None:
        self.spec = spec

    @abstractmethod
    def records(self, text: IO[str]) -> Iterator[Record]:
        """Yield every record of the file."""

    def infer(self, stream: IO[bytes], limit: int | None = None) -> pa.Schema:
        """Guess each key's type from all records; where any value is nested all are JSON, mixed scalars are text."""
        guesses: dict[str, ColumnGuess] = {}
        for chunk in self._chunks(stream, limit):
            for name, values in _columns(chunk).items():
                guesses.setdefault(name, ColumnGuess()).see_json(values)
        return pa.schema([guess.field(name) for name, guess in guesses.items()])

    def read(self, stream: IO[bytes]) -> Iterator[Batch]:
        """Stream the records; keys that a record lacks are NULL."""
        for chunk in self._chunks(stream):
            good = [record for record in chunk if record.value is not None]
            columns = {n: pa.ExtensionArray.from_storage(pa.json_(), v) for n, v in _columns(chunk).items()}
            rows = pa.RecordBatch.from_pydict(columns) if columns else _rows_without_columns(len(good))
            rejects = tuple(self._reject(record) for record in chunk if record.value is None)
            yield Batch(rows, pa.array([record.number for record in good], pa.int64()), rejects)

    def _reject(self, record: Record) -> Reject:
        line = record.number if self.has_lines else None
        return Reject(record.number, line, "", "", record.reason, bounded(_printable(record.raw)))

    def _chunks(self, stream: IO[bytes], limit: int | None = None) -> Iterator[list[Record]]:
        """Cut the records, or the first ones, into chunks of bounded rows and characters."""
        chunk: list[Record] = []
        held = 0
        with damaged_file_errors():
            for record in islice(self.records(self._text(stream)), limit):
                chunk.append(record)
                held += len(record.raw)
                if len(chunk) == BATCH_ROWS or held >= BATCH_CHARACTERS:
                    yield chunk
                    chunk, held = [], 0
        yield chunk

    def _text(self, stream: IO[bytes]) -> IO[str]:
        """Decode; bytes that are no text stay as surrogates, so that their record, and not the file, is bad."""
        encoding = "utf-8-sig" if is_utf8(self.spec.encoding) else self.spec.encoding
        opened: Any = decompressed(stream, self.spec.compression)
        return io.TextIOWrapper(
            io.BufferedReader(opened), encoding=encoding, errors="surrogateescape", newline="\n"
        )


class JsonLines(Json):
    """One JSON object per line; a line that is none is a reject, numbered by its line, and a blank one nothing."""

    has_lines: ClassVar[bool] = True

    def records(self, text: IO[str]) -> Iterator[Record]:
        """Parse line by line."""
        parser = Parser()
        for number, line in enumerate(text, 1):
            raw = line.strip(" \t\r\n")
            if raw:
                yield _line(parser, number, raw)


def _line(parser: Parser, number: int, raw: str) -> Record:
    try:
        value, end = parser.parse(raw, 0)
    except RecursionError:
        return Record(number, None, raw, "nested too deeply")
    except simplejson.JSONDecodeError as error:
        return Record(number, None, raw, f"not JSON: {error.msg} at character {error.pos + 1}")
    return (
        _record(number, value, raw, parser)
        if end == len(raw)
        else Record(number, None, raw, "text after the object")
    )


class JsonArray(Json):
    """One JSON array of objects, streamed; text that is no such array ends the run, as nothing after it is sure."""

    has_lines: ClassVar[bool] = False

    def records(self, text: IO[str]) -> Iterator[Record]:
        """Parse element by element."""
        window, number = Window(text), 0
        if not window.peek():
            return
        self._open(window)
        while window.peek() != "]" or number:
            number += 1
            yield self._element(window, number)
            mark = window.peek()
            if mark not in (",", "]"):
                raise _no_array(number, f"{mark!r} where , or ] was expected" if mark else "the file ends")
            if mark == "]":
                break
            window.take(1)
        window.take(1)
        if window.peek():
            raise _no_array(number, f"{window.peek()!r} after the end of the array")

    def _open(self, window: Window) -> None:
        head = window.peek()
        if head != "[":
            raise TerminalError(
                f"the file begins with {_printable(head)!r}, not with the [ of a JSON array: for one object per line"
                " use format: jsonl"
            )
        window.take(1)

    def _element(self, window: Window, number: int) -> Record:
        window.peek()
        try:
            value, raw = window.value()
        except RecursionError as error:
            raise _no_array(number - 1, "the next element is nested too deeply") from error
        except simplejson.JSONDecodeError as error:
            raise _no_array(number - 1, error.msg) from error
        return _record(number, value, raw, window.parser)


def _no_array(number: int, reason: str) -> TerminalError:
    return TerminalError(
        f"not a JSON array of objects after element {number}: {reason}. Nothing of the file was loaded; for one"
        " object per line use format: jsonl"
    )


def _record(number: int, value: Any, raw: str, parser: Parser) -> Record:
    """Judge one parsed value."""
    if not isinstance(value, dict):
        return Record(
            number, None, raw, f"{_KINDS.get(type(value), 'a number')} where an object was expected"
        )
    if parser.problem:
        return Record(number, None, raw, parser.problem)
    try:
        raw.encode()
        spelt = {key: _spell(part) for key, part in value.items()}
        if "\\u" in raw:
            "".join((*spelt, *(part or "" for part in spelt.values()))).encode()
    except UnicodeEncodeError:
        return Record(number, None, raw, f"bytes or escapes that are no Unicode text: {_printable(raw)[:80]}")
    except RecursionError:
        return Record(number, None, raw, "nested too deeply")
    return Record(number, spelt, raw)


def _spell(value: Any) -> str | None:
    """Write a value as JSON; numbers plainly, so that 1e3 and 1000 are one number."""
    if isinstance(value, str):
        return json.encoder.encode_basestring(value)
    if isinstance(value, Decimal):
        return format(value, "f") if -40 < value.adjusted() < 40 else str(value)
    if isinstance(value, dict | list):
        return _ENCODER.encode(value)
    return None if value is None else str(value).lower()


def _printable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _columns(chunk: list[Record]) -> dict[str, pa.Array]:
    good = [record.value for record in chunk if record.value is not None]
    names = dict.fromkeys(name for value in good for name in value)
    return {name: pa.array([value.get(name) for value in good], pa.string()) for name in names}


def _rows_without_columns(length: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_struct_array(pa.array([{}] * length, pa.struct([])))
