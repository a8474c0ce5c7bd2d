"""Finds a column's numbers as JSON Lines spell them: Arrow says which lines have one, but not with which digits."""

from __future__ import annotations

import json
import re

import pyarrow as pa
import pyarrow.compute as pc

from etl_factory.schema.documents import spell_json
from etl_factory.sources.formats._json_text import Parser

_BETWEEN = tuple(" \t\r\n,:}")
# What `spell_json` writes in another way: all other numbers stand in the file as it writes them.
_ODD = r"[eE]|^-0$|.{41}"


def spelt(text: bytes, name: str, parsed: pa.Array) -> pa.Array | None:
    """Return the numbers of a key as JSON text, None where not every one was found.

    `text` are lines of which Arrow has `parsed` the key, so that they are flat objects with no key twice. There, the
    key in quotes that follows a brace, a comma or a blank and precedes a colon is this key, and nothing in a string:
    what a string holds in quotes has a backslash before each. Only a key that itself begins as what may follow a
    string could be the text between two: it is not looked for. A key with escapes of its own may not be found.
    """
    if name[:1] in _BETWEEN:
        return None
    found = re.findall(_pattern(name), text)
    if len(found) != len(parsed) - parsed.null_count:
        return None
    numbers = _plain(pa.array(found, pa.string()))
    if numbers is None or not parsed.null_count:
        return numbers
    return pc.replace_with_mask(pa.nulls(len(parsed), pa.string()), parsed.is_valid(), numbers)


def _pattern(name: str) -> bytes:
    """Match a number after its key; the letters of the key come first, since they are looked for fast."""
    key = re.escape(quoted(name)[1:-1])
    return key + rb'(?<=[{, \t\r]"' + key + rb')"[ \t\r]*:[ \t\r]*(-?[0-9][0-9.eE+-]*)'


def quoted(name: str) -> bytes:
    """Return a key as it most often stands in a file."""
    return json.dumps(name, ensure_ascii=False).encode()


def _plain(numbers: pa.Array) -> pa.Array | None:
    """Return numbers as `spell_json` writes them; None where one is no number to the parser of single lines."""
    odd = pc.match_substring_regex(numbers, _ODD)
    if not pc.any(odd).as_py():
        return numbers
    respelt = [_respelt(number) for number in numbers.filter(odd).to_pylist()]
    return None if None in respelt else pc.replace_with_mask(numbers, odd, pa.array(respelt, pa.string()))


def _respelt(number: str) -> str | None:
    parser = Parser()
    value, _ = parser.parse(number, 0)
    return None if parser.problem else spell_json(value)
