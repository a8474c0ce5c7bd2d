"""One record of a JSON file: an object's values as JSON text of one spelling, or the reason why it is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import simplejson

from etl_factory.schema.documents import spell_json
from etl_factory.sources.formats._json_text import Parser

_KINDS = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
# "The JSON data type has a nesting limit of 500": https://cloud.google.com/bigquery/docs/json-data#limitations
DEEPEST = 500
TOO_DEEP = f"nested too deeply: more than {DEEPEST} levels"


@dataclass(frozen=True)
class Record:
    """One record of a file: an object's values as JSON text, or what stands in its place and why it is none."""

    number: int
    line: int | None
    value: dict[str, str | None] | None
    raw: str
    reason: str = ""


def line_record(parser: Parser, number: int, line: str) -> Record | None:
    """Parse one line; None for a blank one. A reason counts characters from 1, the line's blanks included."""
    text = line.rstrip(" \t\r\n")
    raw = text.lstrip(" \t\r\n")
    before = len(text) - len(raw)
    if not raw:
        return None
    try:
        value, end = parser.parse(raw, 0)
    except RecursionError:
        return Record(number, number, None, raw, TOO_DEEP)
    except simplejson.JSONDecodeError as error:
        return Record(
            number, number, None, raw, f"not JSON: {error.msg} at character {before + error.pos + 1}"
        )
    if end < len(raw):
        return Record(number, number, None, raw, f"text after the object at character {before + end + 1}")
    return record(number, number, value, raw, parser.problem)


def record(number: int, line: int | None, value: Any, raw: str, problem: str) -> Record:
    """Judge one parsed value; `problem` is what its parser said of it."""
    if not isinstance(value, dict):
        kind = _KINDS.get(type(value), "a number")
        return Record(number, line, None, raw, f"{kind} where an object was expected")
    if problem:
        return Record(number, line, None, raw, problem)
    if raw.count("[") + raw.count("{") > DEEPEST and _is_deep(value):
        return Record(number, line, None, raw, TOO_DEEP)
    try:
        raw.encode()
        spelt = {key: spell_json(part) for key, part in value.items()}
        if "\\u" in raw:
            "".join((*spelt, *(part or "" for part in spelt.values()))).encode()
    except UnicodeEncodeError:
        reason = f"bytes or escapes that are no Unicode text: {printable(raw)[:80]}"
        return Record(number, line, None, raw, reason)
    return Record(number, line, spelt, raw)


def _is_deep(value: Any) -> bool:
    """Whether a value, with the object around it, goes deeper than is allowed."""
    level = [value]
    for _ in range(DEEPEST):
        parts = (part for held in level for part in (held.values() if isinstance(held, dict) else held))
        level = [part for part in parts if isinstance(part, dict | list)]
    return bool(level)


def printable(text: str) -> str:
    """Return text in a form that can be stored, whatever bytes it came from."""
    return text.encode(errors="backslashreplace").decode()
