"""Infers the type of spelt values, over all of them: the first type in this table that every value fits.

    bool       true, false (any case)
    int64      no leading zero, no plus sign, fits
    NUMERIC    at most 29 whole and 9 fractional digits           as decimal128(38, 9)
    BIGNUMERIC at most 38 and 38; zeros at the end do not count   as decimal256(76, 38)
    float64    an exponent, NaN or inf among them, and a float holds all digits of every one
    date       2025-01-31
    timestamp  2025-01-31 10:00[:00[.123456]], T or space; with an offset or Z it is an instant
    string     anything else: leading zeros stay

A field remembers all types that its values fit, so that the guess over many files is the same as over one
file with all their records. Declared types of several files (Parquet) join in the narrowest type that holds
both exactly, and in text where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as t

from etl_factory.schema import parsing
from etl_factory.schema.casting import kind_of
from etl_factory.schema.spelling import PLAIN, Spelling
from etl_factory.schema.types import is_binary, is_json, is_text, is_untyped
from etl_factory.sources.formats._fitting import Text

_CLOCK = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?"
# The rule of each type. `Text.fits` asks most of it of columns in faster ways, which tests hold to these patterns.
TYPES: dict[str, tuple[str, pa.DataType]] = {
    "bool": (r"^(?i:true|false)$", pa.bool_()),
    "int": (r"^(0|-?[1-9]\d{0,18})$", pa.int64()),
    "numeric": (r"^-?(0|[1-9]\d{0,28})(\.\d{1,9}0*)?$", pa.decimal128(38, 9)),
    "bignumeric": (r"^-?(0|[1-9]\d{0,37})(\.\d{1,38}0*)?$", pa.decimal256(76, 38)),
    "float": (r"^(-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?|(?i:nan|-?inf(inity)?))$", pa.float64()),
    "date": (r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$", pa.date32()),
    "timestamp": (rf"^{_CLOCK}$", pa.timestamp("us")),
    "instant": (rf"^{_CLOCK}(Z|[+-]\d\d(:?\d\d)?)$", pa.timestamp("us", "UTC")),
}
_DECLARED = {"DATE": "date", "DATETIME": "timestamp", "TIMESTAMP": "instant"}
NUMBERS, MOMENTS = ("int", "numeric", "bignumeric", "float"), ("date", "timestamp", "instant")
# What fits the one fits the others, so that they need not be tried.
_IMPLIED = {"int": ("numeric", "bignumeric"), "numeric": ("bignumeric",)}
_GLANCE = 100
FITS = b"fits"
_UNITS = ("s", "ms", "us", "ns")


class ColumnGuess:
    """The types that every value seen so far fits."""

    def __init__(self) -> None:
        self.candidates = tuple(TYPES)
        self.is_empty, self.is_nested = True, False

    def see_values(self, values: pa.Array, spelling: Spelling = PLAIN) -> None:
        """Narrow the candidates by more values, text or JSON."""
        (self.see_json(values.storage) if is_json(values.type) else self.see(values, spelling))

    def see(self, values: pa.Array, spelling: Spelling = PLAIN) -> None:
        """Narrow the candidates by more text; NULLs and text that is not UTF-8 say nothing."""
        if not self.candidates and not self.is_empty:
            return
        readable = parsing.readable(values)[0].drop_null()
        numbers = spelling.numbers(readable)
        if numbers is readable:
            self._narrow(readable, self.candidates)
            return
        as_numbers = ColumnGuess()
        as_numbers._narrow(numbers, NUMBERS)
        self._narrow(readable, ("bool", *MOMENTS), as_numbers.candidates)

    def see_json(self, values: pa.Array) -> None:
        """Narrow the candidates by more JSON values: a string is no number, whatever it spells."""
        values = values.drop_null()
        first = pc.utf8_slice_codeunits(values, 0, 1)
        self.is_nested |= bool(pc.any(pc.is_in(first, value_set=pa.array(["{", "["]))).as_py())
        strings = pc.equal(first, '"')
        self._narrow(parsing.unquoted(values.filter(strings)), MOMENTS)
        self._narrow(values.filter(pc.invert(strings)), ("bool", *NUMBERS))

    @property
    def parsed(self) -> pa.DataType | None:
        """The type that more values may be parsed as and then shown to `see_parsed`; None where only JSON text does."""
        if self.is_empty:
            return pa.null()
        first = self.candidates[0] if self.candidates else "text"
        if self.is_nested:
            return None
        if first in ("bool", "int"):
            return TYPES[first][1]
        return pa.float64() if first in NUMBERS else pa.string()

    def see_parsed(self, values: pa.Array) -> None:
        """Narrow the candidates by more values, parsed as `parsed` says; numbers of other types than INT64 as JSON."""
        if not self.candidates and not self.is_empty:
            return
        if is_json(values.type):
            self._narrow(values.storage.drop_null(), NUMBERS)
            return
        values = values.drop_null()
        if t.is_string(values.type):
            self._narrow(values, MOMENTS)
        elif len(values) and "float" in self.candidates and not _is_short(values):
            self._narrow(values.cast(pa.string()), self.candidates)

    def _narrow(self, values: pa.Array, among: tuple[str, ...], known: Collection[str] = ()) -> None:
        if len(values):
            self.is_empty = False
            glance, text = Text(values[:_GLANCE]), Text(values)
            kept: list[str] = list(known)
            for name in self.candidates:
                if name in among and name not in kept and all(_fits(part, name) for part in (glance, text)):
                    kept += [name, *_implied(name, text)]
            self.candidates = tuple(name for name in self.candidates if name in kept)

    def field(self, name: str) -> pa.Field:
        """Return the guess as a field that remembers all that fits; `null` when no value was seen."""
        if self.is_empty:
            return pa.field(name, pa.null())
        type_ = pa.json_() if self.is_nested else _first(self.candidates)
        return pa.field(name, type_, metadata={FITS: ",".join(self.candidates)})


def is_spelt(type_: pa.DataType) -> bool:
    """Whether values come as the file spells them, as text or as JSON."""
    return is_text(type_) or is_json(type_)


def shows_a_type(values: pa.Array) -> bool:
    """Whether any value says something of its column's type."""
    if not is_spelt(values.type):
        return bool(values.null_count < len(values))
    guess = ColumnGuess()
    guess.candidates = ()
    guess.see_values(values)
    return not guess.is_empty


def beyond(values: pa.Array, name: str, spelling: Spelling = PLAIN) -> bool | None:
    """Whether the values that are not of a type of numbers are all wider numbers; None when all are of it."""
    spelt = values.storage if is_json(values.type) else spelling.numbers(parsing.readable(values)[0])
    plain = spelt.drop_null()
    if not len(plain) or _fits(Text(plain), name):
        return None
    odd = plain.filter(pc.invert(pc.match_substring_regex(plain, TYPES[name][0])))
    return parsing.matches(odd, TYPES["bignumeric"][0]) if len(odd) else True


def declared_field(name: str, type_: str) -> pa.Field:
    """Return a column whose BigQuery type config tells by the format of its values: nothing is guessed."""
    candidate = _DECLARED[type_]
    return pa.field(name, TYPES[candidate][1], metadata={FITS: candidate})


def _first(candidates: tuple[str, ...]) -> pa.DataType:
    return TYPES[candidates[0]][1] if candidates else pa.string()


def _is_short(numbers: pa.Array) -> bool:
    """Whether a float holds all digits of every whole number for sure, since none has more than 15."""
    extremes = pc.min_max(numbers).as_py()
    return bool(extremes["min"] > -(10**15) and extremes["max"] < 10**15)


def _implied(name: str, text: Text) -> tuple[str, ...]:
    implied = _IMPLIED.get(name, ())
    return (*implied, "float") if implied and text.is_short else implied


def _fits(text: Text, name: str) -> bool:
    return text.fits(name, *TYPES[name])


def merge_schemas(schemas: list[pa.Schema]) -> pa.Schema:
    """Join the schemas of several files: all columns in order of appearance, each of a type that holds all."""
    found: dict[str, list[pa.Field]] = {}
    for schema in schemas:
        for field in schema:
            found.setdefault(field.name, []).append(field)
    return pa.schema([reduce(_merge, fields) for fields in found.values()])


def _merge(one: pa.Field, other: pa.Field) -> pa.Field:
    if is_untyped(one.type) or is_untyped(other.type):
        return other if is_untyped(one.type) else one
    if not one.metadata or not other.metadata:
        return pa.field(one.name, join_types(one.type, other.type))
    if t.is_struct(one.type) and t.is_struct(other.type):
        parts = merge_schemas([pa.schema(list(one.type)), pa.schema(list(other.type))])
        return one.with_type(pa.struct(list(parts)))
    if t.is_list(one.type) and t.is_list(other.type):
        return one.with_type(pa.list_(_merge(one.type.value_field, other.type.value_field)))
    kept, held = (field.metadata[FITS].decode().split(",") for field in (one, other))
    candidates = tuple(name for name in kept if name in held and name)
    has_parts = any(is_json(field.type) or t.is_nested(field.type) for field in (one, other))
    type_ = pa.json_() if has_parts else _first(candidates)
    return pa.field(one.name, type_, metadata={FITS: ",".join(candidates)})


def join_types(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the narrowest type that holds the values of both exactly; text, which spells any, if there is none."""
    one, other = _plain(one), _plain(other)
    if one == other:
        return one
    kinds = frozenset((kind_of(one), kind_of(other)))
    for among, join in _JOINS:
        if kinds <= among:
            return join(one, other)
    return pa.string()


def _plain(type_: pa.DataType) -> pa.DataType:
    """Return one spelling of types that hold the same values."""
    if pa.types.is_dictionary(type_) or pa.types.is_run_end_encoded(type_):
        return _plain(type_.value_type)
    return pa.string() if is_text(type_) else pa.binary() if is_binary(type_) else type_


def _join_numbers(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if pa.types.is_integer(one) and pa.types.is_integer(other) and pa.uint64() not in (one, other):
        return pa.int64()
    (digits, scale), (more_digits, more_scale) = map(_digits, (one, other))
    scale, whole = max(scale, more_scale), max(digits - scale, more_digits - more_scale)
    if scale + whole > 76:
        return pa.string()
    return pa.decimal128(scale + whole, scale) if scale + whole <= 38 else pa.decimal256(scale + whole, scale)


def _digits(type_: pa.DataType) -> tuple[int, int]:
    return (type_.precision, type_.scale) if pa.types.is_decimal(type_) else (20, 0)


def _join_floats(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """A float holds every integer of 32 bits, but not every one of 64."""
    wide = any(pa.types.is_integer(type_) and type_.bit_width == 64 for type_ in (one, other))
    return pa.string() if wide else pa.float64()


def _join_moments(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    units = [type_.unit for type_ in (one, other) if pa.types.is_timestamp(type_)]
    return pa.timestamp(max(units, key=_UNITS.index), "UTC" if kind_of(one) == "timestamp" else None)


def _join_nested(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    known = all(pa.types.is_nested(type_) or is_json(type_) for type_ in (one, other))
    return pa.json_() if known else pa.string()


# The kinds of two types that differ, and how they join; an extension type, such as JSON, is of no kind.
_JOINS: tuple[tuple[frozenset[str], Callable[[pa.DataType, pa.DataType], pa.DataType]], ...] = (
    (frozenset({"integer", "decimal"}), _join_numbers),
    (frozenset({"integer", "float"}), _join_floats),
    (frozenset({"date"}), lambda one, other: pa.date32()),
    (frozenset({"date", "datetime"}), _join_moments),
    (frozenset({"timestamp"}), _join_moments),
    (frozenset({"time"}), lambda one, other: pa.time64("ns")),
    (frozenset({"nested", ""}), _join_nested),
)
