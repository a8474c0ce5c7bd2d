"""Casts one Arrow column to what staging holds, exactly, and says which values cannot be cast."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as t

from etl_factory.schema.types import BIGNUMERIC_DIGITS, BIGNUMERIC_SCALE, Field, staged_arrow

# BigQuery's DATE, DATETIME and TIMESTAMP run from year 1 to year 9999.
_DATES = (-719162, 2932896)
_MICROS = (-62135596800000000, 253402300799999999)
_TRUE, _FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
_RISKY_JSON = r"\d{15}|\d[eE]|NaN|Infinity|\.\d{15}"
_PLAIN_NUMBER = rf"^-?(0|[1-9]\d{{0,{BIGNUMERIC_DIGITS - 1}}})(\.\d{{1,{BIGNUMERIC_SCALE}}})?$"
Cast = Callable[[pa.Array], pa.Array]


def cast_column(array: pa.Array, declared: pa.DataType, field: Field) -> tuple[pa.Array, pa.Array | None]:
    """Return the staged array and a mask of the values that do not fit (None when all do).

    `declared` is the source's type of the column; the array itself may be text that spells it.
    A value that does not fit is NULL in the staged array.
    """
    if t.is_dictionary(array.type):
        array = array.dictionary_decode()
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if t.is_nested(array.type) and field.type in ("JSON", "STRING"):
        return pa.array([_spell(value) for value in array.to_pylist()], pa.string()), None
    if field.type == "JSON":
        return _json(array.cast(pa.string()), trusted=str(declared) == "extension<arrow.json>")
    if field.type == "BIGNUMERIC":
        return _wide_number(array)
    if field.type == "BOOL" and not t.is_boolean(array.type):
        return _boolean(array)
    return _in_range(*_where_possible(array, _plain_cast(array.type, field)), field)


def _plain_cast(type_: pa.DataType, field: Field) -> Cast:
    target = staged_arrow(field)
    if t.is_floating(type_) and field.type == "NUMERIC":
        return lambda part: part.cast(pa.string()).cast(target)
    if t.is_timestamp(type_) and field.type == "STRING":
        return lambda part: pc.strftime(part, format="%Y-%m-%d %H:%M:%S%z" if type_.tz else "%Y-%m-%d %H:%M:%S")
    if t.is_fixed_size_binary(type_):
        return lambda part: part.cast(pa.binary()).cast(target)
    if t.is_binary(type_) and field.type == "STRING":
        return lambda part: pa.array([None if v is None else base64.b64encode(v).decode() for v in part.to_pylist()], target)
    return lambda part: part.cast(target)


def _where_possible(array: pa.Array, cast: Cast) -> tuple[pa.Array, pa.Array | None]:
    """Cast what can be cast, halving the array around the values that cannot."""
    try:
        return cast(array), None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        if isinstance(error, pa.ArrowNotImplementedError):
            raise
        if len(array) == 1:
            nothing = pa.array([None], array.type)
            return cast(nothing), pa.array([True])
    half = len(array) // 2
    done = [_where_possible(part, cast) for part in (array[:half], array[half:])]
    values = pa.concat_arrays([value for value, _ in done])
    masks = [mask if mask is not None else _none(len(value)) for value, mask in done]
    return values, pa.concat_arrays(masks)


def _none(length: int) -> pa.Array:
    return pa.array([False] * length, pa.bool_())


def _in_range(
    values: pa.Array, bad: pa.Array | None, field: Field
) -> tuple[pa.Array, pa.Array | None]:
    limits = _DATES if field.type == "DATE" else _MICROS if field.type in ("DATETIME", "TIMESTAMP") else None
    if limits is None or len(values) == values.null_count:
        return values, bad
    numbers = values.view(pa.int32() if field.type == "DATE" else pa.int64())
    extremes = pc.min_max(numbers).as_py()
    if limits[0] <= extremes["min"] and extremes["max"] <= limits[1]:
        return values, bad
    outside = pc.fill_null(pc.or_(pc.less(numbers, limits[0]), pc.greater(numbers, limits[1])), False)
    kept = pc.if_else(outside, pa.scalar(None, values.type), values)
    return kept, outside if bad is None else pc.or_(bad, outside)


def _boolean(array: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    text = pc.utf8_lower(pc.utf8_trim_whitespace(array.cast(pa.string())))
    yes = pc.is_in(text, value_set=pa.array(_TRUE))
    no = pc.is_in(text, value_set=pa.array(_FALSE))
    bad = pc.and_(pc.is_valid(text), pc.invert(pc.or_(yes, no)))
    values = pc.if_else(pc.or_(yes, no), yes, pa.scalar(None, pa.bool_()))
    return values, bad if pc.any(bad).as_py() else None


def _wide_number(array: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    """Check text against BIGNUMERIC's 38 whole and 38 fractional digits; odd spellings are rewritten."""
    text = array.cast(pa.string())
    plain = pc.fill_null(pc.match_substring_regex(text, _PLAIN_NUMBER), True)
    if pc.all(plain).as_py() or not len(text):
        return text, None
    spelt = [value if fine else _plain_decimal(value) for value, fine in zip(text.to_pylist(), plain.to_pylist(), strict=True)]
    values = pa.array(spelt, pa.string())
    bad = pc.and_(pc.is_valid(text), pc.is_null(values))
    return values, bad if pc.any(bad).as_py() else None


def _plain_decimal(text: str) -> str | None:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    if not number.is_finite() or number.adjusted() >= BIGNUMERIC_DIGITS:
        return None
    spelt = format(number, "f")
    spelt = spelt.rstrip("0").rstrip(".") if "." in spelt else spelt
    return spelt if len(spelt.partition(".")[2]) <= BIGNUMERIC_SCALE else None


def _json(array: pa.Array, *, trusted: bool) -> tuple[pa.Array, pa.Array | None]:
    """Reject what PARSE_JSON(..., wide_number_mode=>'exact') would refuse or round.

    https://cloud.google.com/bigquery/docs/reference/standard-sql/json_functions#parse_json
    """
    risky = pc.match_substring_regex(array, _RISKY_JSON) if trusted else pc.is_valid(array)
    suspects = pc.fill_null(risky, False)
    if not len(array) or not pc.any(suspects).as_py():
        return array, None
    verdicts = [s and not is_exact_json(v) for v, s in zip(array.to_pylist(), suspects.to_pylist(), strict=True)]
    bad = pa.array(verdicts, pa.bool_())
    if not any(verdicts):
        return array, None
    return pc.if_else(bad, pa.scalar(None, array.type), array), bad


class _Inexact(ValueError):
    """A number that BigQuery's JSON type would round."""


def is_exact_json(text: str) -> bool:
    """Whether `text` is JSON whose numbers BigQuery keeps: INT64, UINT64 or a float that round-trips."""
    try:
        json.loads(text, parse_int=_check_int, parse_float=_check_float, parse_constant=_check_float)
    except (ValueError, RecursionError):
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


def _spell(value: Any) -> str | None:
    """Write a nested Arrow value as compact JSON, exact numbers included."""
    if value is None:
        return None
    import simplejson  # noqa: PLC0415 - only nested columns need it

    return simplejson.dumps(value, use_decimal=True, default=_spell_leaf, separators=(",", ":"), ensure_ascii=False)


def _spell_leaf(value: Any) -> str:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)
