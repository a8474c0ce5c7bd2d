"""Parses blocks of JSON Lines with Arrow's own parser, wherever that is as exact as ours for single lines.

Arrow takes a line at its word where every value is of the type that is asked for: it refuses a key that stands twice
or is not asked for, a number that does not fit, broken escapes. What it would take too lightly is looked at here:
two objects on a line, letters that are no UTF-8, the digits of all numbers that are no INT64, NaN and Infinity.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as t
from pyarrow.json import ParseOptions, ReadOptions, read_json

from etl_factory.schema.types import is_json
from etl_factory.sources.formats._json_numbers import quoted, spelt
from etl_factory.sources.formats._json_typed import as_json

BLOCK = 8 * 1024 * 1024
HEAD = 64 * 1024
READ = 1024 * 1024  # so that their memory is used again, while that of larger ones is mapped anew each time
IN_CACHE = 128 * 1024
_FEED, _RETURN, _OPENS, _CLOSES = b"\n\r{}"
_NO_FEEDS = np.empty(0, np.int64)
_EXACT = (pa.null(), pa.bool_(), pa.int64(), pa.float64(), pa.string())
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Lines:
    """Whole lines of a file; `number` is that of the first."""

    number: int
    text: bytes

    @cached_property
    def count(self) -> int:
        """How many lines they are."""
        return len(self._feeds) + (not self.text.endswith(b"\n"))

    @cached_property
    def _feeds(self) -> npt.NDArray[np.int64]:
        """Where the line feeds are."""
        letters = np.frombuffer(self.text, np.uint8)
        starts = range(0, len(letters), IN_CACHE)
        found = [(letters[at : at + IN_CACHE] == _FEED).nonzero()[0] + at for at in starts]
        return np.concatenate(found or [_NO_FEEDS])

    @property
    def _are_objects(self) -> bool:
        """Whether each line begins with { and ends with }, so that no object goes over two lines."""
        if not self.text.startswith(b"{") or not self.text.endswith((b"}\n", b"}", b"}\r\n")):
            return False
        letters, feeds = np.frombuffer(self.text, np.uint8), self._feeds
        inner = feeds[feeds < len(letters) - 1]
        before = letters[inner - 1]
        before = np.where(before == _RETURN, letters[inner - 2], before)
        return bool((before == _CLOSES).all() and (letters[inner + 1] == _OPENS).all())

    @property
    def halves(self) -> tuple[Lines, ...]:
        """The two halves; only the whole where there is one line, or none in the middle."""
        cut = self.text.find(b"\n", len(self.text) // 2) + 1
        if not 0 < cut < len(self.text):
            return (self,)
        after = self.number + self.text.count(b"\n", 0, cut)
        return Lines(self.number, self.text[:cut]), Lines(after, self.text[cut:])

    def parsed(self, types: pa.Schema) -> pa.RecordBatch | None:
        """Return one row of each line, None unless every line is an object of just these types.

        Numbers that are asked for as FLOAT64 come as JSON, with the digits that they have in the file.
        """
        if not self._are_objects:
            return None
        rows = self._typed(types)
        return None if rows is None else self._spelt(rows)

    def _typed(self, types: pa.Schema) -> pa.RecordBatch | None:
        try:
            table = read_json(
                pa.BufferReader(self.text),
                ReadOptions(use_threads=False, block_size=len(self.text)),
                ParseOptions(types, newlines_in_values=False, unexpected_field_behavior="error"),
            )
            table.validate(full=True)
        except pa.ArrowInvalid:
            return None
        return table.combine_chunks().to_batches()[0] if table.num_rows == self.count else None

    def _spelt(self, rows: pa.RecordBatch) -> pa.RecordBatch | None:
        """Return the rows with numbers as the lines spell them, None where these are not all found."""
        for place, of in enumerate(rows.schema):
            if t.is_floating(of.type):
                numbers = spelt(self.text, of.name, rows.column(place))
                if numbers is None:
                    return None
                rows = rows.set_column(place, of.name, as_json(numbers))
        return rows

    def own(self, rows: pa.RecordBatch) -> pa.RecordBatch | None:
        """Return those columns of the rows that some line has; None where it takes a look at each line to tell.

        Arrow makes NULLs of a key that is not there. Where the bytes do not tell, the lines are parsed without the
        columns in doubt, which fails for a key that is there.
        """
        nulls = [
            of.name for of, values in zip(rows.schema, rows.columns, strict=True) if not _is_filled(values)
        ]
        nulls = [name for name in nulls if not self._has_key(name)]
        doubtful = {name for name in nulls if b"\\" in self.text or quoted(name) in self.text}
        sure = [of for of in rows.schema if of.name not in doubtful]
        if doubtful and self._typed(pa.schema([_asked(of) for of in sure])) is None:
            return None
        return rows.drop_columns(nulls) if nulls else rows

    def _has_key(self, name: str) -> bool:
        """Whether a key is surely there: a name in quotes, followed by a colon, is one.

        What a string holds in quotes has a backslash before each; what stands between two strings begins otherwise.
        """
        if not name[:1].isalnum() and name[:1] != "_":
            return False
        return quoted(name) in self.text and bool(
            re.search(rb"(?<!\\)" + re.escape(quoted(name)) + rb"[ \t\r]*:", self.text)
        )


def _asked(of: pa.Field) -> pa.Field:
    """Return what to ask Arrow for to get a column."""
    return of.with_type(pa.float64()) if is_json(of.type) else of


def _is_filled(values: pa.Array) -> bool:
    return bool(values.null_count < len(values))


def blocks(stream: pa.NativeFile) -> Iterator[Lines]:
    """Cut UTF-8 into blocks of whole lines, without the byte order mark; the first is small, to show the types."""
    number, held = 1, [memoryview(stream.read(len(_BYTE_ORDER_MARK)).removeprefix(_BYTE_ORDER_MARK))]
    size, most = len(held[0]), min(HEAD, BLOCK)
    while fresh := stream.read_buffer(min(READ, most)):
        held.append(memoryview(fresh))
        size += len(fresh)
        if size >= most and (cut := bytes(held[-1]).rfind(b"\n") + 1):
            found = Lines(number, b"".join((*held[:-1], held[-1][:cut])))
            yield found
            number, held = number + found.count, [held[-1][cut:]]
            size, most = len(held[0]), BLOCK
    if size:
        yield Lines(number, b"".join(held))


def parseable(types: pa.Schema) -> pa.Schema | None:
    """Return the types to parse values of these types as, None where one cannot be parsed exactly: moments are text,
    and decimals numbers of any digits."""
    parsed = [pa.field(of.name, _parseable(of.type)) for of in types]
    return pa.schema(parsed) if parsed and all(of.type in _EXACT for of in parsed) else None


def _parseable(type_: pa.DataType) -> pa.DataType:
    if t.is_temporal(type_):
        return pa.string()
    return pa.float64() if t.is_decimal(type_) else type_
