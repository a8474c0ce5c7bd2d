"""Casts one Arrow column to what staging holds, exactly, and says which values cannot be cast."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as t

from etl_factory.errors import SchemaError
from etl_factory.schema import parsing
from etl_factory.schema.types import (
    BIGNUMERIC_DIGITS,
    BIGNUMERIC_SCALE,
    NUMERIC_DIGITS,
    NUMERIC_SCALE,
    Field,
    is_binary,
    is_text,
    staged_arrow,
)

# BigQuery's DATE, DATETIME and TIMESTAMP run from year 1 to year 9999, its TIME within a day.
_MICROS = (-62135596800000000, 253402300799999999)
_LIMITS = {
    "DATE": (-719162, 2932896),
    "DATETIME": _MICROS,
    "TIMESTAMP": _MICROS,
    "TIME": (0, 86_399_999_999),
}
_RISKY_JSON = r"\d{15}|\d[eE]|NaN|Infinity|\.\d{15}"
Cast = Callable[[pa.Array], pa.Array]


def cast_column(array: pa.Array, declared: pa.DataType, field: Field) -> tuple[pa.Array, pa.Array | None]:
    """Return the staged array and a mask of the values that do not fit (None when all do).

    `declared` is the source's type of the column; the array itself may be text that spells it.
    A value that does not fit is NULL in the staged array. Raises SchemaError where no value could fit.
    """
    array, unreadable = _readable(_storage(array))
    try:
        values, bad = _cast(array, declared, field)
    except pa.ArrowNotImplementedError as error:
        raise _no_cast(array, field) from error
    return _in_range(values, _either(unreadable, bad), field)


def _storage(array: pa.Array) -> pa.Array:
    """Unwrap dictionaries and extensions; a UUID becomes its text."""
    if t.is_dictionary(array.type):
        array = array.dictionary_decode()
    if str(array.type) == "extension<arrow.uuid>":
        return pa.array([v and str(UUID(bytes=v)) for v in array.storage.to_pylist()], pa.string())
    return array.storage if isinstance(array, pa.ExtensionArray) else array


def _readable(array: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    """Mask text that is not UTF-8, which Arrow passes on unseen and BigQuery refuses."""
    if not is_text(array.type):
        return array, None
    values, bad = _where_possible(array.cast(pa.large_binary()), lambda part: part.cast(pa.large_string()))
    return (array.cast(pa.string()) if bad is None else values.cast(pa.string())), bad


def _cast(array: pa.Array, declared: pa.DataType, field: Field) -> tuple[pa.Array, pa.Array | None]:
    if t.is_nested(array.type) and field.type in ("JSON", "STRING"):
        text, lost = _nested(array)
        checked, inexact = _json(text, trusted=True)
        return checked, _either(lost, inexact)
    if field.type == "JSON":
        return _json(array.cast(pa.string()), trusted=str(declared) == "extension<arrow.json>")
    if field.type == "BIGNUMERIC":
        return parsing.decimals(array.cast(pa.string()), BIGNUMERIC_DIGITS, BIGNUMERIC_SCALE)
    if field.type == "BOOL" and not t.is_boolean(array.type):
        return parsing.booleans(array.cast(pa.string()))
    if is_text(array.type):
        return _from_text(array, field)
    values, bad = _where_possible(array, _plain_cast(array.type, field))
    return values, _either(bad, _changed(array, values, field))


def _from_text(text: pa.Array, field: Field) -> tuple[pa.Array, pa.Array | None]:
    if field.type == "NUMERIC":
        plain, bad = parsing.decimals(text, NUMERIC_DIGITS, NUMERIC_SCALE)
        return plain.cast(staged_arrow(field)), bad
    if field.type == "TIME":
        return parsing.times(text)
    prepare = {"INT64": parsing.integers, "FLOAT64": parsing.floats}.get(field.type)
    return _where_possible(prepare(text) if prepare else text, lambda part: part.cast(staged_arrow(field)))


def _plain_cast(type_: pa.DataType, field: Field) -> Cast:
    target = staged_arrow(field)
    if not t.is_temporal(type_) and t.is_temporal(target) and not t.is_null(type_):
        raise pa.ArrowNotImplementedError(
            "a number is no moment: it does not say since when, and in which unit"
        )
    if t.is_timestamp(type_) and t.is_time(target):
        raise pa.ArrowNotImplementedError("a moment is more than a time of day")
    if t.is_floating(type_) and field.type == "NUMERIC":
        return lambda part: part.cast(pa.string()).cast(target)
    if t.is_timestamp(type_) and field.type == "STRING":
        return lambda part: pc.strftime(
            part, format="%Y-%m-%d %H:%M:%S%z" if type_.tz else "%Y-%m-%d %H:%M:%S"
        )
    if is_binary(type_) and field.type == "STRING":
        return lambda part: pa.array([v and base64.b64encode(v).decode() for v in part.to_pylist()], target)
    if is_binary(type_):
        return lambda part: part.cast(pa.binary()).cast(target)
    return lambda part: part.cast(target)


def _changed(before: pa.Array, after: pa.Array, field: Field) -> pa.Array | None:
    """Mask what Arrow cuts without a word: the clock of a moment, the digits of a decimal."""
    if t.is_timestamp(before.type) and field.type == "DATE":
        back = after.cast(pa.timestamp(before.type.unit))
        changed = pc.not_equal(back, before.cast(pa.timestamp(before.type.unit)))
    elif t.is_decimal(before.type) and field.type == "FLOAT64":
        changed = pa.array(
            [
                v is not None and Decimal(repr(v)) != w
                for v, w in zip(after.to_pylist(), before.to_pylist(), strict=True)
            ],
            pa.bool_(),
        )
    else:
        return None
    changed = pc.fill_null(changed, False)
    return changed if pc.any(changed).as_py() else None


def _either(one: pa.Array | None, other: pa.Array | None) -> pa.Array | None:
    return pc.or_(one, other) if one is not None and other is not None else one if other is None else other


def _no_cast(array: pa.Array, field: Field) -> SchemaError:
    return SchemaError(
        f"column {field.name!r} holds {array.type} values, which cannot become {field.type}: correct columns.types,"
        " or give the column another name with columns.rename"
    )


def _where_possible(array: pa.Array, cast: Cast) -> tuple[pa.Array, pa.Array | None]:
    """Cast what can be cast, halving the array around the values that cannot."""
    try:
        return cast(array), None
    except pa.ArrowInvalid:
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


def _in_range(values: pa.Array, bad: pa.Array | None, field: Field) -> tuple[pa.Array, pa.Array | None]:
    limits = _LIMITS.get(field.type)
    if limits is not None and len(values) != values.null_count:
        numbers = values.view(pa.int32() if field.type == "DATE" else pa.int64())
        extremes = pc.min_max(numbers).as_py()
        if extremes["min"] < limits[0] or extremes["max"] > limits[1]:
            outside = pc.or_(pc.less(numbers, limits[0]), pc.greater(numbers, limits[1]))
            bad = _either(bad, pc.fill_null(outside, False))
    return (values if bad is None else pc.if_else(bad, pa.scalar(None, values.type), values)), bad


def _nested(array: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    """Spell nested values; one that Python cannot hold, such as a date of the year 10000, is lost."""
    try:
        return pa.array([_spell(value) for value in array.to_pylist()], pa.string()), None
    except (ValueError, OverflowError):
        if len(array) == 1:
            return pa.nulls(1, pa.string()), pa.array([True])
    half = len(array) // 2
    done = [_nested(part) for part in (array[:half], array[half:])]
    masks = [mask if mask is not None else _none(len(value)) for value, mask in done]
    return pa.concat_arrays([value for value, _ in done]), pa.concat_arrays(masks)


def _json(array: pa.Array, *, trusted: bool) -> tuple[pa.Array, pa.Array | None]:
    """Reject what PARSE_JSON(..., wide_number_mode=>'exact') would refuse or round.

    https://cloud.google.com/bigquery/docs/reference/standard-sql/json_functions#parse_json
    """
    risky = pc.match_substring_regex(array, _RISKY_JSON) if trusted else pc.is_valid(array)
    suspects = pc.fill_null(risky, False)
    if not len(array) or not pc.any(suspects).as_py():
        return array, None
    verdicts = [
        s and not is_exact_json(v) for v, s in zip(array.to_pylist(), suspects.to_pylist(), strict=True)
    ]
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
    import simplejson

    return simplejson.dumps(
        value, use_decimal=True, default=_spell_leaf, separators=(",", ":"), ensure_ascii=False
    )


def _spell_leaf(value: Any) -> str:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)
