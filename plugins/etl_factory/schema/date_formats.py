"""Formats of dates and moments, such as %d.%m.%Y, as patterns that respell a value in ISO 8601.

    %Y 2025   %y 25 (69 to 99 are of the 20th century)   %m 01 or 1   %b Jan   %B January   %d 09 or 9
    %H 00-23   %I 01-12 with %p AM or PM   %M %S 00-59, one digit or two   %f one to six digits
    %z Z, +02, +0200 or +02:00   %% a percent sign   anything else stands for itself

A number may do with one digit only where no other number touches it. What the calendar lacks, such as
31.02., matches, and is for whoever reads the ISO text to refuse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Literal

Kind = Literal["DATE", "DATETIME", "TIMESTAMP"]
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
_NUMBERS = {
    "Y": r"(\d{4})", "m": r"(0?[1-9]|1[0-2])", "d": r"(0?[1-9]|[12]\d|3[01])", "H": r"([01]?\d|2[0-3])",
    "M": r"([0-5]?\d)", "S": r"([0-5]?\d)", "f": r"(\d{1,6})",
}  # fmt: skip
_TIGHT = {
    "m": r"(0[1-9]|1[0-2])", "d": r"(0[1-9]|[12]\d|3[01])", "H": r"([01]\d|2[0-3])", "M": r"([0-5]\d)",
    "S": r"([0-5]\d)",
}  # fmt: skip
_ZONE = r"(Z|[+-]\d\d(?::?\d\d)?)"
_MEANING = {"Y": "year", "y": "year", "m": "month", "b": "month", "B": "month", "d": "day", "H": "hour",
            "I": "hour", "p": "half", "M": "minute", "S": "second", "f": "fraction", "z": "zone"}  # fmt: skip
_TOKEN = re.compile(r"%(.?)|([^%]+)", re.S)


class FormatError(ValueError):
    """A format that does not say which moment a value is."""


@dataclass(frozen=True)
class DateFormat:
    """One format; raises FormatError when it names no whole date, or a part twice or without what it needs."""

    text: str

    def __post_init__(self) -> None:
        parts = [_MEANING.get(letter, "") for letter in self._letters]
        if "" in parts:
            known = " ".join(f"%{letter}" for letter in _MEANING)
            raise FormatError(f"{self.text!r} has a directive that is not one of {known} %%")
        for part in parts:
            if parts.count(part) > 1:
                raise FormatError(f"{self.text!r} gives the {part} twice")
        for part, needs in _needs(parts, uses_half_days="I" in self._letters):
            if needs not in parts:
                raise FormatError(f"{self.text!r} gives the {part}, but not the {needs}")

    @cached_property
    def _letters(self) -> list[str]:
        return [letter for letter, plain in _TOKEN.findall(self.text) if not plain and letter != "%"]

    @property
    def kind(self) -> Kind:
        """The type of a column with this format."""
        if "z" in self._letters:
            return "TIMESTAMP"
        return "DATETIME" if {"H", "I"} & set(self._letters) else "DATE"

    @cached_property
    def patterns(self) -> tuple[tuple[str, str], ...]:
        r"""Pairs of a pattern for whole values and the ISO text of what it matches, with \1 for its groups.

        No value matches two of them. In the ISO text a number may have one digit.
        """
        choices = [_choices(letter, tight=self._is_tight(letter)) for letter in self._letters]
        return tuple(self._pair(chosen) for chosen in product(*choices))

    def _is_tight(self, letter: str) -> bool:
        numeric = "%[YymdHIMSf]"
        return bool(re.search(rf"%{letter}{numeric}|{numeric}%{letter}|%{letter}\d|\d%{letter}", self.text))

    def _pair(self, chosen: tuple[tuple[str, str], ...]) -> tuple[str, str]:
        found, pattern, group = {}, "", 0
        rest = iter(chosen)
        for letter, plain in _TOKEN.findall(self.text):
            if plain or letter == "%":
                pattern += re.escape(plain or "%")
                continue
            piece, meaning = next(rest)
            pattern += piece
            group += "(" in piece.replace("(?", "")
            found[_MEANING[letter]] = meaning.replace(r"\?", rf"\{group}")
        return rf"^\s*{pattern}\s*$", _iso(found)


def _needs(parts: list[str], *, uses_half_days: bool) -> list[tuple[str, str]]:
    needs = [("format", "year"), ("format", "month"), ("format", "day")]
    chain = [("fraction", "second"), ("second", "minute"), ("minute", "hour"), ("zone", "hour")]
    needs += [(part, needed) for part, needed in chain if part in parts]
    if uses_half_days or "half" in parts:
        needs += [("hour on a clock of 12 (%I)", "half"), ("half of the day (%p)", "hour")]
    return needs


def _choices(letter: str, *, tight: bool) -> list[tuple[str, str]]:
    r"""Return the ways in which a directive may be spelt: a pattern, and what it means, with \? for its group."""
    if letter == "y":
        return [(r"([0-5]\d|6[0-8])", r"20\?"), (r"(69|[7-9]\d)", r"19\?")]
    if letter in ("b", "B"):
        names = [month[:3] if letter == "b" else month for month in _MONTHS]
        return [(f"(?i:{name})", f"{number:02}") for number, name in enumerate(names, 1)]
    if letter == "I":
        zero = "0" if tight else "0?"
        return [(f"{zero if hour < 10 else ''}{hour}", f"{hour:02}") for hour in range(1, 13)]
    if letter == "p":
        return [("(?i:AM)", "0"), ("(?i:PM)", "12")]
    if letter == "z":
        return [(_ZONE, r"\?")]
    return [((_TIGHT if tight else _NUMBERS).get(letter, _NUMBERS.get(letter, "")), r"\?")]


def _iso(found: dict[str, str]) -> str:
    date = f"{found['year']}-{found['month']}-{found['day']}"
    if "hour" not in found:
        return date
    hour = found["hour"]
    if "half" in found:
        hour = f"{int(hour) % 12 + int(found['half']):02}"
    clock = f" {hour}:{found.get('minute', '00')}"
    clock += f":{found['second']}" if "second" in found else ""
    clock += f".{found['fraction']}" if "fraction" in found else ""
    return date + clock + found.get("zone", "")
