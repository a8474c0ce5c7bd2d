"""Cuts delimited bytes into records by the rules of Arrow's parser, many at a time and without a call per record."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

LINE_BREAK = rb"(?:\r\n|\n|\r(?=[^\n]))"


@dataclass(frozen=True)
class Cutter:
    """The marks of a dialect; `comment` begins a line that is no record, empty for none.

    A quote means something only where a field begins; after a quoted part the field goes on as it stands.
    A carriage return at the very end of the bytes ends no record yet, since a line feed may follow it.
    """

    delimiter: bytes
    quote: bytes = b'"'
    escape: bytes = b""
    comment: bytes = b""

    @cached_property
    def field(self) -> re.Pattern[bytes]:
        """One field: its quoted part, without the quotes, and what else there is."""
        return re.compile(self._field(capture=True), re.S)

    @cached_property
    def record(self) -> re.Pattern[bytes]:
        """One record with the line break that ends it."""
        return re.compile(self._record, re.S)

    @cached_property
    def run(self) -> re.Pattern[bytes]:
        """All whole records up to a comment, or to one that is not whole."""
        return re.compile(b"(?:(?!%s)%s)*+" % (re.escape(self.comment), self._record), re.S)

    @cached_property
    def comment_line(self) -> re.Pattern[bytes]:
        """One whole comment line."""
        return re.compile(b"%s[^\r\n]*+%s" % (re.escape(self.comment), LINE_BREAK), re.S)

    @property
    def _record(self) -> bytes:
        field = self._field(capture=False)
        return b"%s(?:%s%s)*+%s" % (field, re.escape(self.delimiter), field, LINE_BREAK)

    def _field(self, *, capture: bool) -> bytes:
        opens = b"(" if capture else b"(?:"
        bare = self._run(self.delimiter + b"\r\n")
        if not self.quote:
            return b"()%s%s)" % (opens, bare) if capture else bare
        quote, inner = re.escape(self.quote), self._run(self.quote)
        if not self.escape:  # quotes are doubled inside quotes
            inner = b"%s(?:%s%s%s)*+" % (inner, quote, quote, inner)
        quoted = b"%s%s%s)%s%s%s)" % (quote, opens, inner, quote, opens, bare)
        return b"(?:%s|(?!%s)%s%s))" % (quoted, quote, opens, bare)

    def _run(self, ends: bytes) -> bytes:
        if not self.escape:
            return b"[^%s]*+" % re.escape(ends)
        return b"(?:[^%s]|%s.)*+" % (re.escape(ends + self.escape), re.escape(self.escape))

    def first(self, text: bytes) -> bytes | None:
        """Return the first record with its line break, None where none is whole."""
        found = self.record.match(text)
        return found[0] if found else None

    def records(self, text: bytes, limit: int) -> list[list[bytes]]:
        """Return the fields of the first whole records that are no empty lines."""
        found: list[list[bytes]] = []
        at = 0
        while len(found) < limit and (record := self.record.match(text, at)):
            at = record.end()
            if record[0].strip(b"\r\n"):
                found.append(self.fields(record[0]))
        return found

    def fields(self, record: bytes) -> list[bytes]:
        """Return the values of a whole record, out of their quotes and escapes."""
        values: list[bytes] = []
        at = -1
        while at < 0 or record[at : at + 1] == self.delimiter:
            field = self.field.match(record, at + 1)
            assert field is not None
            values.append(self._value(field))
            at = field.end()
        return values

    def _value(self, field: re.Match[bytes]) -> bytes:
        quoted, *rest = (part or b"" for part in field.groups())
        if not self.escape:
            return quoted.replace(self.quote * 2, self.quote) + b"".join(rest) if quoted else b"".join(rest)
        return re.sub(re.escape(self.escape) + b"(.)", rb"\1", quoted + b"".join(rest), flags=re.S)
