"""JSON Lines and JSON arrays: numbers keep every digit, nested values stay JSON."""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import IO, Any, ClassVar

import ijson
import pyarrow as pa
import simplejson

from etl_factory.errors import TerminalError
from etl_factory.schema.rows import Batch, Reject, bounded
from etl_factory.sources.formats.base import BATCH_ROWS, Format, Peekable, damaged_file_errors, decompressed
from etl_factory.sources.formats.lattice import NUMBERS, ColumnGuess, merge_types
from etl_factory.sources.specs import JsonFormat, JsonLinesFormat

_KINDS = {
    bool: ("bool",),
    int: NUMBERS,
    Decimal: NUMBERS,
    str: ("date", "timestamp", "instant"),
}


@dataclass(frozen=True)
class Record:
    """One record of a file: an object, or what stands in its place and why it is none."""

    number: int
    value: dict[str, Any] | None
    raw: str = ""
    reason: str = ""


class Json(Format):
    """What both JSON formats share: records become columns of spelt values."""

    is_text: ClassVar[bool] = True

    def __init__(self, spec: JsonLinesFormat | JsonFormat) -> None:
        self.spec = spec

    @abstractmethod
    def records(self, stream: IO[bytes]) -> Iterator[Record]:
        """Yield every record of the file."""

    def infer(self, stream: IO[bytes]) -> pa.Schema:
        """Guess each key's type from all records; nested values are JSON, mixed scalars text."""
        types: dict[str, pa.DataType] = {}
        for chunk in self._chunks(stream):
            for name, values in _columns(chunk).items():
                types[name] = merge_types(types.get(name, pa.null()), _guess(values))
        return pa.schema([pa.field(name, type_) for name, type_ in types.items()])

    def read(self, stream: IO[bytes]) -> Iterator[Batch]:
        """Stream the records; keys that a record lacks are NULL."""
        for chunk in self._chunks(stream):
            good = [record for record in chunk if record.value is not None]
            columns = {
                name: pa.array(map(_spell, values), pa.string()) for name, values in _columns(chunk).items()
            }
            rows = pa.RecordBatch.from_pydict(columns) if columns else _rows_without_columns(len(good))
            rejects = tuple(
                Reject(record.number, record.number, "", "", record.reason, bounded(record.raw))
                for record in chunk
                if record.value is None
            )
            yield Batch(rows, pa.array([record.number for record in good], pa.int64()), rejects)

    def _chunks(self, stream: IO[bytes]) -> Iterator[list[Record]]:
        chunk: list[Record] = []
        with damaged_file_errors():
            for record in self.records(decompressed(stream, self.spec.compression)):
                chunk.append(record)
                if len(chunk) == BATCH_ROWS:
                    yield chunk
                    chunk = []
        yield chunk


class JsonLines(Json):
    """One JSON object per line; a line that is none is a reject."""

    def records(self, stream: IO[bytes]) -> Iterator[Record]:
        """Parse line by line."""
        encoding = "utf-8-sig" if self.spec.encoding.lower() == "utf-8" else self.spec.encoding
        text = io.TextIOWrapper(io.BufferedReader(stream), encoding=encoding, newline="\n")  # type: ignore[type-var]  # a NativeFile reads
        for number, line in enumerate(text, 1):
            if line.strip():
                yield _parse(number, line)


class JsonArray(Json):
    """One JSON array of objects, streamed."""

    def records(self, stream: IO[bytes]) -> Iterator[Record]:
        """Parse element by element; text that is no JSON array ends the run, since nothing after it is sure."""
        number, source = 0, Peekable(stream)
        head = source.peek(64).removeprefix(b"\xef\xbb\xbf").lstrip()
        if not head:
            return
        if not head.startswith(b"["):
            raise TerminalError(
                f"the file begins with {head[:1].decode(errors='replace')!r}, not with the [ of a JSON array: for"
                " one object per line use format: jsonl"
            )
        try:
            for number, value in enumerate(ijson.items(source, "item", use_float=False), 1):
                if isinstance(value, dict):
                    yield Record(number, value)
                else:
                    yield Record(
                        number, None, str(value), f"{type(value).__name__} where an object was expected"
                    )
        except (ijson.JSONError, ijson.IncompleteJSONError) as error:
            raise TerminalError(
                f"not a JSON array of objects after element {number}: {error}. Nothing of the file was loaded; for"
                " one object per line use format: jsonl"
            ) from error


def _parse(number: int, line: str) -> Record:
    try:
        value = simplejson.loads(line, use_decimal=True, object_pairs_hook=_no_twins)
    except ValueError as error:
        return Record(number, None, line.rstrip("\n"), f"not JSON: {error}")
    if not isinstance(value, dict):
        return Record(number, None, line.rstrip("\n"), f"{type(value).__name__} where an object was expected")
    return Record(number, value)


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _columns(chunk: list[Record]) -> dict[str, list[Any]]:
    good = [record.value for record in chunk if record.value is not None]
    names = dict.fromkeys(name for value in good for name in value)
    return {name: [value.get(name) for value in good] for name in names}


def _guess(values: list[Any]) -> pa.DataType:
    kinds = {type(value) for value in values if value is not None}
    if kinds & {dict, list}:
        return pa.json_()
    candidates = [_KINDS[kind] for kind in kinds]
    if not kinds:
        return pa.null()
    if any(names != candidates[0] for names in candidates):
        return pa.string()
    guess = ColumnGuess(candidates[0])
    guess.see(pa.array(map(_spell, values), pa.string()))
    return guess.type


def _spell(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return format(value, "f") if -40 < value.adjusted() < 40 else str(value)
    return simplejson.dumps(value, use_decimal=True, ensure_ascii=False, separators=(",", ":"))


def _rows_without_columns(length: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_struct_array(pa.array([{}] * length, pa.struct([])))
