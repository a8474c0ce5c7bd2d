"""How a text file spells numbers and moments, where that is not as everybody's tools do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from etl_factory.schema.date_formats import DateFormat

NO_VALUE = "?"
_NUMBERS = ("INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC")
_MOMENTS = ("DATE", "DATETIME", "TIMESTAMP")
# A number of one digit, in ISO text whose date and clock are of one or two.
_SHORT = r"([-: ])(\d)\b"


@dataclass(frozen=True)
class Spelling:
    """The decimal mark, the mark between thousands (empty for none), and the formats of some columns."""

    decimal: str = "."
    thousands: str = ""
    dates: Mapping[str, DateFormat] = field(default_factory=dict)

    def plain(self, text: pa.Array, column: str, type_: str) -> pa.Array:
        """Respell a column that is to become a BigQuery type; what is not in this spelling becomes no value of it."""
        if type_ in _NUMBERS:
            return self.numbers(text)
        return moments(text, self.dates[column]) if type_ in _MOMENTS and column in self.dates else text

    def numbers(self, text: pa.Array) -> pa.Array:
        """Respell numbers: 1.234,56 becomes 1234.56; anything else, `?`."""
        if (self.decimal, self.thousands) == (".", ""):
            return text
        is_number = pc.match_substring_regex(text, self._number)
        bare = pc.replace_substring(text, self.thousands, "") if self.thousands else text
        return pc.if_else(is_number, pc.replace_substring(bare, self.decimal, "."), NO_VALUE)

    @property
    def _number(self) -> str:
        decimal, thousands = re.escape(self.decimal), re.escape(self.thousands)
        whole = rf"(?:\d+|\d{{1,3}}(?:{thousands}\d{{3}})+)" if thousands else r"\d+"
        return rf"^\s*(?:[+-]?{whole}(?:{decimal}\d+)?(?:[eE][+-]?\d+)?|(?i:nan|-?inf(?:inity)?))\s*$"


PLAIN = Spelling()


def moments(text: pa.Array, format_: DateFormat) -> pa.Array:
    """Respell the values of a format in ISO 8601; anything else becomes `?`."""
    found = pc.if_else(pc.is_valid(text), NO_VALUE, pa.scalar(None, pa.string()))
    for pattern, iso in format_.patterns:
        matching = pc.match_substring_regex(text, pattern)
        if pc.any(matching).as_py():
            found = pc.if_else(matching, pc.replace_substring_regex(text, pattern, iso), found)
    return pc.replace_substring_regex(found, _SHORT, r"\10\2")
