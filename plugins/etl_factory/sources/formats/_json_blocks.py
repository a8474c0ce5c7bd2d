"""Parses blocks of JSON Lines with Arrow's own parser, wherever that is as exact as ours for single lines.

Arrow takes a line at its word where every value is of the type that is asked for: it refuses a key that stands twice
or is not asked for, a number that does not fit, broken escapes. What it would take too lightly is looked at here:
two objects on a line, letters that are no UTF-8, digits beyond a decimal's, numbers in quotes. Its decimals wrap around
on long numbers and lose those with small exponents, without a word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as t
from pyarrow.json import ParseOptions, ReadOptions, read_json

from etl_factory.sources.formats.lattice import TYPES

BLOCK = 8 * 1024 * 1024
_EXACT = (pa.null(), pa.bool_(), pa.int64(), pa.string(), TYPES["numeric"][1], TYPES["bignumeric"][1])
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Lines:
    """Whole lines of a file; `number` is that of the first."""

    number: int
    text: bytes

    @cached_property
    def count(self) -> int:
        """How many lines they are."""
        return self.text.count(b"\n") + (not self.text.endswith(b"\n"))

    @property
    def halves(self) -> tuple[Lines, ...]:
        """The two halves; only the whole where there is one line, or none in the middle."""
        cut = self.text.find(b"\n", len(self.text) // 2) + 1
        if not 0 < cut < len(self.text):
            return (self,)
        after = self.number + self.text.count(b"\n", 0, cut)
        return Lines(self.number, self.text[:cut]), Lines(after, self.text[cut:])

    def parsed(self, types: pa.Schema) -> pa.RecordBatch | None:
        """Return one row of each line, None unless every line is an object of just these types."""
        if not _are_objects(self.text, self.count) or any(map(self._may_wrap, types)):
            return None
        try:
            table = read_json(
                pa.BufferReader(self.text),
                ReadOptions(block_size=1024 * 1024),
                ParseOptions(types, newlines_in_values=False, unexpected_field_behavior="error"),
            )
            table.validate(full=True)
        except pa.ArrowInvalid:
            return None
        return table.combine_chunks().to_batches()[0] if table.num_rows == self.count else None

    def absent(self, rows: pa.RecordBatch) -> set[str] | None:
        """Return those columns of the rows that no line has; None where it takes a look at each line to tell.

        Arrow makes NULLs of a key that is not there. Where the bytes do not tell, the lines are parsed without the
        columns in doubt, which fails for a key that is there.
        """
        nulls = [
            of for of, values in zip(rows.schema, rows.columns, strict=True) if values.null_count == len(rows)
        ]
        nulls = [of for of in nulls if not self._has_key(of.name)]
        doubtful = {of.name for of in nulls if b"\\" in self.text or _quoted(of.name) in self.text}
        if doubtful and self.parsed(pa.schema([of for of in rows.schema if of.name not in doubtful])) is None:
            return None
        return {of.name for of in nulls}

    def _has_key(self, name: str) -> bool:
        """Whether a key is surely there: a name in quotes, followed by a colon, is one.

        What a string holds in quotes has a backslash before each; what stands between two strings begins otherwise.
        """
        if not name[:1].isalnum() and name[:1] != "_":
            return False
        return re.search(rb"(?<!\\)" + re.escape(_quoted(name)) + rb"[ \t\r]*:", self.text) is not None

    def _may_wrap(self, of: pa.Field) -> bool:
        """Whether a key of a decimal may have a number with an exponent, or with more whole digits than it holds."""
        if not t.is_decimal(of.type):
            return False
        # A key may be spelt with escapes.
        key = re.escape(_quoted(of.name).decode()) + r'|\\.[^"]*"'
        number = rf"[-+]?(?:[0-9]{{{of.type.precision - of.type.scale + 1}}}|[0-9.]+[eE])"
        text = pa.Array.from_buffers(
            pa.large_binary(),
            1,
            [None, pa.array([0, len(self.text)], pa.int64()).buffers()[1], pa.py_buffer(self.text)],
        )
        found = pc.match_substring_regex(text, rf'(?:{key})[ \t\r]*:[ \t\r]*"?{number}')
        return bool(found[0].as_py())

    def may_quote(self, name: str) -> bool:
        """Whether a value of a key may be in quotes, of which Arrow makes a decimal all the same."""
        key = re.escape(_quoted(name))
        found = re.findall(key + rb"[ \t\r]*:[ \t\r]*(.)", self.text)
        # A key may be spelt with escapes.
        return b'"' in found or (b"\\" in self.text and len(found) < self.count)


def _quoted(name: str) -> bytes:
    return json.dumps(name, ensure_ascii=False).encode()


def _are_objects(text: bytes, count: int) -> bool:
    """Whether each line begins with { and ends with }, so that no object goes over two lines."""
    begun = text.startswith(b"{") + text.count(b"\n{")
    ended = text.count(b"}\n") + text.endswith(b"}")
    return begun == count and ended + (text.count(b"}\r\n") if ended < count else 0) == count


def blocks(stream: pa.NativeFile) -> Iterator[Lines]:
    """Cut UTF-8 into blocks of whole lines, without the byte order mark."""
    number, held = 1, stream.read(len(_BYTE_ORDER_MARK)).removeprefix(_BYTE_ORDER_MARK)
    while fresh := stream.read(BLOCK):
        held += fresh
        cut = held.rfind(b"\n") + 1
        if cut:
            found = Lines(number, held[:cut])
            yield found
            number, held = number + found.text.count(b"\n"), held[cut:]
    if held:
        yield Lines(number, held)


def parseable(types: pa.Schema) -> pa.Schema | None:
    """Return the types to parse values of these types as, None where one cannot be parsed exactly: moments are text."""
    parsed = [pa.field(of.name, pa.string() if t.is_temporal(of.type) else of.type) for of in types]
    return pa.schema(parsed) if parsed and all(of.type in _EXACT for of in parsed) else None
