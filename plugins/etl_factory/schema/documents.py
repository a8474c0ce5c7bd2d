"""JSON documents: spelt from nested values without changing a digit, and held against BigQuery's JSON type."""

from __future__ import annotations

import base64
import json
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import simplejson

from etl_factory.schema.parsing import Parsed, halves, joined

# Numbers of 16 and more digits or with an exponent, constants that are no JSON, halves of letters.
_RISKY = r"(^|[\[:,\s])-?([\d.]{16}|[\d.]+[eE])|NaN|Infinity|\\u[dD][89a-fA-F]"

_ENCODER = simplejson.JSONEncoder(
    use_decimal=True, allow_nan=False, separators=(",", ":"), ensure_ascii=False
)


def spell(array: pa.Array) -> Parsed:
    """Spell nested values; one that Python cannot hold, such as a date of the year 10000, is a misfit."""
    try:
        return pa.array([_spell(value) for value in array.to_pylist()], pa.string()), None
    except (ValueError, OverflowError, RecursionError):
        if len(array) == 1:
            return pa.nulls(1, pa.string()), pa.array([True])
    return joined([spell(part) for part in halves(array)])


def spell_json(value: Any) -> str | None:
    """Write what a JSON parser read as JSON; numbers plainly, so that 1e3 and 1000 are one number."""
    if isinstance(value, str):
        return json.encoder.encode_basestring(value)
    if isinstance(value, Decimal):
        return format(value, "f") if -40 < value.adjusted() < 40 else str(value)
    if isinstance(value, dict | list):
        return _ENCODER.encode(value)
    return None if value is None else str(value).lower()


def checked(text: pa.Array, *, trusted: bool) -> Parsed:
    """Mark what PARSE_JSON(..., wide_number_mode=>'exact') would refuse or round.

    `trusted` text comes from a JSON parser, which refused a key that stands twice, so that only its numbers and
    letters are in doubt. Of two equal keys PARSE_JSON would drop one without a word.
    https://cloud.google.com/bigquery/docs/reference/standard-sql/json_functions#parse_json
    """
    risky = pc.match_substring_regex(text, _RISKY) if trusted else pc.is_valid(text)
    suspects = pc.fill_null(risky, False)
    if not pc.any(suspects).as_py():
        return text, None
    pairs = zip(text.to_pylist(), suspects.to_pylist(), strict=True)
    bad = pa.array([suspect and not is_exact(value) for value, suspect in pairs], pa.bool_())
    if not pc.any(bad).as_py():
        return text, None
    return pc.if_else(bad, pa.scalar(None, text.type), text), bad


class _Inexact(ValueError):
    """What BigQuery's JSON type would round, drop or refuse."""


def is_exact(text: str) -> bool:
    """Whether `text` is JSON that BigQuery keeps whole.

    Its numbers are INT64, UINT64 or floats that round-trip, its text is Unicode, its keys differ.
    """
    try:
        value = json.loads(
            text,
            parse_int=_check_int,
            parse_float=_check_float,
            parse_constant=_refuse,
            object_pairs_hook=_check_keys,
        )
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, ArithmeticError, RecursionError):
        return False
    return True


def _check_int(text: str) -> int:
    if not -(2**63) <= int(text) < 2**64:
        raise _Inexact(text)
    return 0


def _check_float(text: str) -> float:
    number = float(text)
    if Decimal(repr(number)) != Decimal(text):
        raise _Inexact(text)
    return number


def _check_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Inexact("a key stands twice in one object")
    return found


def _refuse(text: str) -> None:
    raise _Inexact(text)


def _spell(value: Any) -> str | None:
    """Write a nested Arrow value as compact JSON, exact numbers included."""
    if value is None:
        return None
    # Without an encoding, so that bytes reach `_spell_leaf` instead of being taken for text.
    return simplejson.dumps(
        value, use_decimal=True, allow_nan=False, encoding=None, default=_spell_leaf, separators=(",", ":"),
        ensure_ascii=False,
    )  # fmt: skip


def _spell_leaf(value: Any) -> str:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)
