"""Infers the type of spelt values, over all of them: the first type in this table that every value fits.

bool       true, false (any case)
int64      no leading zero, no plus sign, fits
NUMERIC    at most 29 whole and 9 fractional digits           as decimal128(38, 9)
BIGNUMERIC at most 38 and 38                                  as decimal256(76, 38)
float64    needs an exponent, NaN or inf
date       2025-01-31
timestamp  2025-01-31 10:00[:00[.123456]], T or space; with an offset or Z it is an instant
string     anything else: leading zeros stay
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_CLOCK = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?"
TYPES: dict[str, tuple[str, pa.DataType]] = {
    "bool": (r"^(?i:true|false)$", pa.bool_()),
    "int": (r"^(0|-?[1-9]\d{0,17})$", pa.int64()),
    "numeric": (r"^-?(0|[1-9]\d{0,28})(\.\d{1,9})?$", pa.decimal128(38, 9)),
    "bignumeric": (r"^-?(0|[1-9]\d{0,37})(\.\d{1,38})?$", pa.decimal256(76, 38)),
    "float": (r"^(-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?|(?i:nan|-?inf(inity)?))$", pa.float64()),
    "date": (r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$", pa.date32()),
    "timestamp": (rf"^{_CLOCK}$", pa.timestamp("us")),
    "instant": (rf"^{_CLOCK}(Z|[+-]\d\d(:?\d\d)?)$", pa.timestamp("us", "UTC")),
}
NUMBERS = ("int", "numeric", "bignumeric", "float")


class ColumnGuess:
    """The types that every value seen so far fits."""

    def __init__(self, candidates: tuple[str, ...] = tuple(TYPES)) -> None:
        self.candidates = list(candidates)
        self.is_empty = True

    def see(self, values: pa.Array) -> None:
        """Narrow the candidates by more text values; NULLs say nothing."""
        values = values.drop_null()
        if not len(values):
            return
        self.is_empty = False
        self.candidates = [name for name in self.candidates if _all_match(values, TYPES[name][0])]

    @property
    def type(self) -> pa.DataType:
        """Best type; `null` when no value was seen."""
        if self.is_empty:
            return pa.null()
        return TYPES[self.candidates[0]][1] if self.candidates else pa.string()


def _all_match(values: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(values, pattern)).as_py())


def merge_schemas(schemas: list[pa.Schema]) -> pa.Schema:
    """Join the schemas of several files: all columns in order of appearance, each of a type that holds all."""
    merged: dict[str, pa.DataType] = {}
    for schema in schemas:
        for field in schema:
            known = merged.get(field.name, pa.null())
            merged[field.name] = merge_types(known, field.type)
    return pa.schema([pa.field(name, type_) for name, type_ in merged.items()])


def merge_types(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the narrowest inferred type that holds the values of both."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    order = [TYPES[name][1] for name in NUMBERS]
    if one in order and other in order:
        wider = max(one, other, key=order.index)
        return wider if wider != pa.float64() else pa.string()
    nested = pa.json_()
    return nested if nested in (one, other) else pa.string()
