"""Hides the values of one column: what is hashed, shown in part or cut is a value's one canonical text.

    integers, booleans     123, true
    decimals               plain digits, without zeros at the end of a fraction: 1.5
    dates and moments      2024-06-01, 2024-06-01 10:00:00.5, 2024-06-01 10:00:00.5+00 (in UTC)
    bytes                  themselves
    anything else          what the column would be as STRING
    spelt values (files)   as they are spelt: no type is known of them yet

NULL stays NULL.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as t

from etl_factory.errors import SchemaError
from etl_factory.schema.casting import cast_column, decoded
from etl_factory.schema.parsing import Parsed, either, unquoted
from etl_factory.schema.types import Field, is_binary, is_json, is_text, scalar_type

REDACTED, HIDDEN, SHOWN = "REDACTED", "*", 4
MOMENTS = ("DATE", "DATETIME", "TIMESTAMP")
_DATE, _INSTANT = r"^\d{4}-\d\d-\d\d$", r"(Z|[+-]\d\d(:?\d\d)?)$"
_MARK = b"etl_mask"
_FINER_THAN_A_DATE = ("day", "hour")


@dataclass(frozen=True)
class Masking:
    """How one column is hidden: `key` is that of `hmac`, `unit` that of `date_trunc`."""

    how: str
    unit: str = ""
    key: bytes = field(default=b"", repr=False)

    @property
    def is_text(self) -> bool:
        """Whether the hidden column is text, whatever it was."""
        return self.how != "date_trunc"

    @property
    def mark(self) -> str:
        """What the declared field of a hidden column says of how that was done."""
        return f"{self.how} {self.unit}".rstrip()


def masked_field(declared: pa.Field, masking: Masking) -> pa.Field:
    """Declare a hidden column; raises SchemaError where `date_trunc` would hide nothing of its type."""
    marked = {_MARK: masking.mark}
    if masking.is_text:
        return pa.field(declared.name, pa.string(), metadata=marked)
    kind = scalar_type(declared.type, declared.name)
    if kind not in MOMENTS:
        raise SchemaError(
            f"columns.mask cuts {declared.name!r} by date_trunc, but it is {kind}: date_trunc is for dates and"
            " moments"
        )
    if kind == "DATE" and masking.unit in _FINER_THAN_A_DATE:
        raise SchemaError(
            f"columns.mask cuts {declared.name!r} to the {masking.unit}, which leaves a DATE as it is: use week,"
            " month, quarter or year"
        )
    return pa.field(declared.name, declared.type, metadata=marked)


def mark_of(declared: pa.Field) -> str:
    """Return how a column was hidden, as its declared field says; empty for one that was not."""
    return str((declared.metadata or {}).get(_MARK, b"").decode())


def mask_column(array: pa.Array, declared: pa.DataType | None, masking: Masking) -> Parsed:
    """Return text in place of a column's values, and a mask of those that cannot be hidden so (None when all can).

    `declared` is the column's type; None where values are spelt and no type is known. Only `date_trunc` meets
    values that it cannot take: they are NULL.
    """
    array = _plain(array)
    if masking.how == "date_trunc":
        return _cut(array, declared, masking.unit)
    hide = _HIDE[masking.how]
    texts = canonical(array, declared if declared is not None else pa.string())
    return pa.array([None if v is None else hide(v, masking.key) for v in texts], pa.string()), None


def _plain(array: pa.Array) -> pa.Array:
    array = decoded(array)
    return unquoted(array.storage) if is_json(array.type) else array


def canonical(array: pa.Array, declared: pa.DataType) -> list[bytes | None]:
    """Return each value's canonical text as UTF-8, or bytes that are no text as they are."""
    if is_binary(array.type):
        return list(array.to_pylist())
    text, bad = cast_column(array, declared, Field("", "STRING"))
    if t.is_decimal(declared):
        text = pc.replace_substring_regex(text, r"^(-?\d+)(\.0+$|(\.\d*?[1-9])0+$)", r"\1\3")
    values: list[bytes | None] = text.cast(pa.binary()).to_pylist()
    for index in pc.indices_nonzero(bad).to_pylist() if bad is not None else ():
        values[index] = _uncastable(array.slice(index, 1))
    return values


def _uncastable(one: pa.Array) -> bytes:
    """Spell a value that no STRING holds as BigQuery would have it: a moment off the calendar, text that is none."""
    if is_text(one.type):
        return bytes(one.cast(pa.binary())[0].as_py())
    if t.is_temporal(one.type):
        return f"{one.view(pa.int32() if one.type.bit_width == 32 else pa.int64())[0]} {one.type}".encode()
    return json.dumps(one[0].as_py(), default=str, sort_keys=True).encode()


def _last4(value: bytes, key: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return HIDDEN * len(value)
    hidden = len(text) if len(text) <= SHOWN else len(text) - SHOWN
    return HIDDEN * hidden + text[hidden:]


_HIDE: dict[str, Callable[[bytes, bytes], str]] = {
    "sha256": lambda value, key: hashlib.sha256(value).hexdigest(),
    "hmac": lambda value, key: hmac.digest(key, value, "sha256").hex(),
    "redact": lambda value, key: REDACTED,
    "last4": _last4,
}


def _cut(array: pa.Array, declared: pa.DataType | None, unit: str) -> Parsed:
    """Cut moments to the beginning of their unit, in UTC where they have a zone; weeks begin on Monday."""
    if declared is None:
        return _cut_spelt(array, unit)
    return _cut_as(array, declared, scalar_type(declared, ""), unit)


def _cut_as(array: pa.Array, declared: pa.DataType, kind: str, unit: str) -> Parsed:
    moments, bad = cast_column(array, declared, Field("", kind))
    start = pc.floor_temporal(moments, unit=unit)
    if kind == "DATE":
        return start.cast(pa.date32()).cast(pa.string()), bad
    text = start.view(pa.timestamp("us")).cast(pa.timestamp("s")).cast(pa.string())
    return (pc.binary_join_element_wise(text, "Z", "") if kind == "TIMESTAMP" else text), bad


def _cut_spelt(array: pa.Array, unit: str) -> Parsed:
    """Cut each value as what it is spelt like; text that is no date or moment, and a number, cannot be cut."""
    if not is_text(array.type):
        return pa.nulls(len(array), pa.string()), pc.is_valid(array)
    text, bad = cast_column(array, pa.string(), Field("", "STRING"))
    trimmed = pc.utf8_trim_whitespace(text)
    is_date = pc.match_substring_regex(trimmed, _DATE)
    is_instant = pc.and_(pc.invert(is_date), pc.match_substring_regex(trimmed, _INSTANT))
    found = pa.nulls(len(array), pa.string())
    for kind, chosen in (
        ("DATE", is_date),
        ("TIMESTAMP", is_instant),
        ("DATETIME", pc.invert(pc.or_(is_date, is_instant))),
    ):
        if kind == "DATE" and unit in _FINER_THAN_A_DATE:
            continue
        mine = pc.if_else(chosen, trimmed, pa.scalar(None, pa.string()))
        found = pc.coalesce(found, _cut_as(mine, pa.string(), kind, unit)[0])
    lost = pc.and_(pc.is_valid(array), pc.is_null(found))
    bad = either(bad, lost) if pc.any(lost).as_py() else bad
    return found, bad
