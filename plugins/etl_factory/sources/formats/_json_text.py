"""Cuts a text into JSON values, one at a time, with memory for one value."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import IO, Any

import simplejson

LONGEST_ELEMENT = 64 * 1024 * 1024
STRETCH = 64 * 1024
_BLANKS = re.compile(r"[ \t\r\n]*")


class Parser:
    """Parses one JSON value at a time; `problem` says what of it Python's types cannot show."""

    def __init__(self) -> None:
        self.problem = ""
        self.strict, self.lenient = (
            simplejson.JSONDecoder(
                parse_float=parse_float, parse_int=parse_int, object_pairs_hook=self._object, allow_nan=False
            )
            for parse_int, parse_float in ((int, Decimal), (str, str))
        )

    def parse(self, text: str, at: int) -> tuple[Any, int]:
        """Return the value that begins at `at`, and where it ends."""
        self.problem = ""
        try:
            return self.strict.raw_decode(text, at)
        except simplejson.JSONDecodeError:
            raise
        except (ValueError, ArithmeticError):
            found = self.lenient.raw_decode(text, at)
            self.problem = "a number of more digits, or of a greater exponent, than can be read"
            return found

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            self.problem = "a key stands twice in one object"
        return found


class Window:
    """The stretch of a text that is being parsed."""

    def __init__(self, text: IO[str]) -> None:
        self.text, self.parser = text, Parser()
        self.held, self.at = "", 0
        self._lines = 1

    @property
    def line(self) -> int:
        """The line on which the next character stands, from 1."""
        return self._lines + self.held.count("\n", 0, self.at)

    def peek(self) -> str:
        """Return the next character that is no blank, and the empty string at the end."""
        while True:
            blanks = _BLANKS.match(self.held, self.at)
            self.at = blanks.end() if blanks else self.at
            if self.at < len(self.held) or not self._more():
                return self.held[self.at : self.at + 1]

    def take(self, count: int) -> None:
        """Go on by some characters."""
        self.at += count

    def value(self) -> tuple[Any, str]:
        """Take one JSON value; returns it with its text."""
        while True:
            try:
                value, end = self.parser.parse(self.held, self.at)
            except simplejson.JSONDecodeError:
                if len(self.held) - self.at > LONGEST_ELEMENT or not self._more():
                    raise
                continue
            # A number at the very end of the stretch may go on in the next.
            if end < len(self.held) or not self._more():
                raw, self.at = self.held[self.at : end], end
                return value, raw

    def _more(self) -> bool:
        fresh = self.text.read(max(STRETCH, len(self.held) - self.at))
        if fresh:
            self._lines = self.line
            self.held, self.at = self.held[self.at :] + fresh, 0
        return bool(fresh)
