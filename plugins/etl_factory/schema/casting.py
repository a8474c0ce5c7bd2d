"""Casts one Arrow column to what staging holds, exactly, and says which values cannot be cast."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as t

from etl_factory.errors import SchemaError
from etl_factory.schema import documents, parsing
from etl_factory.schema.parsing import Cast, Parsed, either, where_possible
from etl_factory.schema.records import cast_records
from etl_factory.schema.types import (
    BIGNUMERIC_DIGITS,
    BIGNUMERIC_SCALE,
    NUMERIC_DIGITS,
    NUMERIC_SCALE,
    Field,
    is_binary,
    is_json,
    is_parsed_json,
    is_text,
    is_uuid,
    staged_arrow,
)
from etl_factory.schema.uuids import spelt_uuids

# BigQuery's dates and moments run from year 1 to year 9999, its TIME within a day; here in days and seconds.
DAYS, _SECONDS, _DAY = (-719162, 2932896), (-62135596800, 253402300799), (0, 86399)
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
# A number is no moment, since it does not say since when; a moment without a zone is none with one.
_NUMBERS = ("integer", "float", "decimal", "text")
_ACCEPTED: dict[str, tuple[str, ...]] = {
    "BOOL": ("boolean", "integer", "text"),
    "INT64": ("boolean", *_NUMBERS),
    "FLOAT64": _NUMBERS,
    "NUMERIC": _NUMBERS,
    "BIGNUMERIC": _NUMBERS,
    "STRING": ("boolean", *_NUMBERS, "bytes", "date", "time", "datetime", "timestamp", "nested"),
    "BYTES": ("bytes", "text"),
    "DATE": ("date", "datetime", "text"),
    "DATETIME": ("date", "datetime", "text"),
    "TIMESTAMP": ("timestamp", "text"),
    "TIME": ("time", "text"),
    "JSON": ("boolean", *_NUMBERS, "bytes", "nested"),
    "GEOGRAPHY": ("text",),
    "INTERVAL": ("text",),
}
# Where Arrow's own cast would round, refuse or spell a value oddly.
_BY_TEXT: dict[str, tuple[str, ...]] = {
    "boolean": ("JSON",),
    "integer": ("BOOL", "BIGNUMERIC", "JSON"),
    "float": ("NUMERIC", "BIGNUMERIC", "JSON"),
    "decimal": ("FLOAT64", "BIGNUMERIC", "STRING", "JSON"),
}
_PARSERS: dict[str, Callable[[pa.Array], Parsed]] = {
    "INT64": parsing.integers,
    "FLOAT64": parsing.floats,
    "BOOL": parsing.booleans,
    "TIME": parsing.times,
    "BIGNUMERIC": lambda text: parsing.decimals(text, BIGNUMERIC_DIGITS, BIGNUMERIC_SCALE),
}


def cast_column(array: pa.Array, declared: pa.DataType, field: Field, *, drops: bool = False) -> Parsed:
    """Return the staged array and a mask of the values that do not fit (None when all do).

    `declared` is the source's type of the column; the array itself may be text that spells it. An array of
    type `arrow.json` holds the values of a JSON file: a string among them is plain text to any other type.
    Into a nested field only such JSON goes; with `drops`, keys that it does not have are left out of its objects.
    A value that does not fit is NULL in the staged array. Raises SchemaError where no value could fit.
    """
    if field.is_nested:
        return _cast_records(array, field, drops=drops)
    array = _storage(array, field)
    kind = kind_of(array.type)
    if kind != "null" and kind not in _ACCEPTED.get(field.type, ()):
        raise _no_cast(array, field)
    array, bad = _readable(array, field)
    bad = either(bad, off_calendar(array))
    # What a parser wrote has no key twice; the text that a database keeps may, and a Parquet file's be no JSON at all.
    values, unfit = _cast(array, declared, field, trusted=is_parsed_json(declared) and kind == "text")
    bad = either(either(bad, unfit), off_calendar(values))
    return (values if bad is None else pc.if_else(bad, pa.scalar(None, values.type), values)), bad


def _cast_records(array: pa.Array, field: Field, *, drops: bool) -> Parsed:
    array = decoded(array)
    if not t.is_null(array.type) and not is_json(array.type):
        raise _no_cast(array, field)
    return cast_records(array, field, lambda leaf, part: cast_column(leaf, leaf.type, part), drops=drops)


@lru_cache
def kind_of(type_: pa.DataType) -> str:
    """Return the kind of values that an unwrapped Arrow type has, as in `_ACCEPTED`."""
    if t.is_timestamp(type_):
        return "timestamp" if type_.tz else "datetime"
    tests = {
        "null": t.is_null, "boolean": t.is_boolean, "integer": t.is_integer, "float": t.is_floating,
        "decimal": t.is_decimal, "text": is_text, "bytes": is_binary, "date": t.is_date, "time": t.is_time,
        "nested": t.is_nested,
    }  # fmt: skip
    return next((kind for kind, test in tests.items() if test(type_)), "")


def decoded(array: pa.Array) -> pa.Array:
    """Unwrap dictionaries and runs, whose NULLs Arrow does not see in the array itself."""
    if t.is_dictionary(array.type):
        return decoded(array.dictionary_decode())
    return decoded(pc.run_end_decode(array)) if t.is_run_end_encoded(array.type) else array


def _storage(array: pa.Array, field: Field) -> pa.Array:
    """Unwrap dictionaries, runs and extensions; a UUID becomes its text, a JSON string its own text."""
    array = decoded(array)
    if is_uuid(array.type):
        return spelt_uuids(array)
    if is_json(array.type) and field.type != "JSON":
        return parsing.unquoted(array.storage)
    return array.storage if isinstance(array, pa.ExtensionArray) else array


def _readable(array: pa.Array, field: Field) -> Parsed:
    """Make text of bytes where text is wanted, and mask what is not UTF-8, which BigQuery refuses."""
    if is_text(array.type):
        array = array.cast(pa.string())
    elif not is_binary(array.type) or field.type == "BYTES":
        return array, None
    return parsing.readable(array)


def _cast(array: pa.Array, declared: pa.DataType, field: Field, *, trusted: bool) -> Parsed:
    if t.is_nested(array.type):
        text, lost = documents.spell(array)
        values, inexact = _from_text(text, field, trusted=True)
        return values, either(lost, inexact)
    if is_text(array.type):
        spelt = _respelt(array, declared) if field.type == "STRING" and t.is_timestamp(declared) else array
        return _from_text(spelt, field, trusted=trusted)
    if field.type in _BY_TEXT.get(kind_of(array.type), ()):
        return _from_text(plainly(array), field, trusted=False)
    values, bad = where_possible(array, _arrow_cast(array.type, field))
    return values, either(bad, _clock_lost(array, values, field))


def _from_text(text: pa.Array, field: Field, *, trusted: bool) -> Parsed:
    if field.type == "JSON":
        return documents.checked(text, trusted=trusted)
    if field.type == "NUMERIC":
        plain, bad = parsing.decimals(text, NUMERIC_DIGITS, NUMERIC_SCALE)
        return plain.cast(staged_arrow(field)), bad
    if field.type in ("DATE", "DATETIME", "TIMESTAMP"):
        return parsing.moments(text, staged_arrow(field))
    parse = _PARSERS.get(field.type)
    return parse(text) if parse else (text.cast(staged_arrow(field)), None)


def plainly(array: pa.Array) -> pa.Array:
    """Spell numbers plainly; Arrow writes small and round decimals with an exponent."""
    text = array.cast(pa.string())
    if not t.is_decimal(array.type) or not pc.any(pc.match_substring(text, "E")).as_py():
        return text
    return pa.array(
        [v and (format(Decimal(v), "f") if "E" in v else v) for v in text.to_pylist()], pa.string()
    )


def _arrow_cast(type_: pa.DataType, field: Field) -> Cast:
    target = staged_arrow(field)
    if t.is_timestamp(type_) and field.type == "STRING":
        return _spelt_moments
    if is_binary(type_):
        return lambda part: part.cast(pa.binary()).cast(target)
    return lambda part: part.cast(target)


def _spelt_moments(moments: pa.Array) -> pa.Array:
    """Spell moments as PostgreSQL does: no zeros at the end of a second's fraction, +00 for UTC."""
    zone = "%z" if moments.type.tz else ""
    text = pc.strftime(moments, format=f"%Y-%m-%d %H:%M:%S{zone}")
    trimmed = pc.replace_substring_regex(text, r"(\.\d*?)0+([+-]\d+)?$", r"\1\2")
    bare = pc.replace_substring_regex(trimmed, r"\.([+-]\d+)?$", r"\1")
    return pc.replace_substring_regex(bare, r"([+-]\d\d)00$", r"\1") if zone else bare


def _respelt(text: pa.Array, declared: pa.DataType) -> pa.Array:
    """Spell moments that a source printed as those that it did not: what is no moment, such as infinity, stays."""
    moments, bad = parsing.moments(text, declared)
    bad = either(bad, off_calendar(moments))
    spelt = _spelt_moments(moments)
    return spelt if bad is None else pc.if_else(bad, text.cast(pa.string()), spelt)


def _clock_lost(before: pa.Array, after: pa.Array, field: Field) -> pa.Array | None:
    """Mask the moments whose clock Arrow drops without a word on the way to a date."""
    if not t.is_timestamp(before.type) or field.type != "DATE":
        return None
    changed = pc.fill_null(pc.not_equal(after.cast(before.type), before), False)
    return changed if pc.any(changed).as_py() else None


def _no_cast(array: pa.Array, field: Field) -> SchemaError:
    return SchemaError(
        f"column {field.name!r} holds {array.type} values, which cannot become {field.ddl}: correct columns.types,"
        " or give the column another name with columns.rename"
    )


def off_calendar(array: pa.Array) -> pa.Array | None:
    """Mask the dates, moments and times that BigQuery's calendar and clock do not have."""
    limits = _limits(array.type)
    if limits is None or len(array) == array.null_count:
        return None
    numbers = array.view(pa.int32() if array.type.bit_width == 32 else pa.int64())
    extremes = pc.min_max(numbers).as_py()
    if limits[0] <= extremes["min"] and extremes["max"] <= limits[1]:
        return None
    outside = pc.or_(pc.less(numbers, limits[0]), pc.greater(numbers, limits[1]))
    return pc.fill_null(outside, False)


@lru_cache
def _limits(type_: pa.DataType) -> tuple[int, int] | None:
    if t.is_date32(type_):
        return DAYS
    if t.is_date64(type_):
        return DAYS[0] * 86_400_000, (DAYS[1] + 1) * 86_400_000 - 1
    if not t.is_timestamp(type_) and not t.is_time(type_):
        return None
    first, last = _SECONDS if t.is_timestamp(type_) else _DAY
    per = _PER_SECOND[type_.unit]
    return first * per, (last + 1) * per - 1
