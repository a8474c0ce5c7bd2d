"""Text that spells a number, a moment or a truth value becomes one, exactly, or is marked a misfit.

Each function takes text and returns the values with a mask of those that do not fit, None when all do;
a misfit's value is NULL. Blanks around a value do not matter. Arrow's own parsers see only what they read
rightly: its decimals wrap around on long numbers and crash on long exponents, its integers may be
hexadecimal, its floats round without a word.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from decimal import Context, Decimal

import pyarrow as pa
import pyarrow.compute as pc

from etl_factory.schema.letters import Digits, is_ascii, measured

_TRUE, _FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,9})?", re.ASCII)
_INTEGER = r"^-?\d+$"
_FLOAT = r"^-?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|(?i:nan|inf|infinity))$"
# FLOAT64 keeps 15 digits whatever they are, while the exponent is moderate.
KEPT = 15
_SHORT_FLOAT = rf"^-?(\d\.?){{1,{KEPT}}}([eE][+-]?\d{{1,2}})?$"
_TIME = r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?$"
Cast = Callable[[pa.Array], pa.Array]
Parsed = tuple[pa.Array, pa.Array | None]


def where_possible(array: pa.Array, cast: Cast) -> Parsed:
    """Cast what can be cast, halving the array around the values that cannot."""
    try:
        return cast(array), None
    except pa.ArrowInvalid:
        if len(array) < 2:
            return cast(pa.nulls(len(array), array.type)), pa.array([True] * len(array), pa.bool_())
    return joined([where_possible(part, cast) for part in halves(array)])


def whole(array: pa.Array, target: pa.DataType) -> pa.Array | None:
    """Cast an array whose every value can be cast as it stands; else None."""
    try:
        return array.cast(target)
    except pa.ArrowInvalid:
        return None


def readable(text: pa.Array) -> Parsed:
    """Take text, or the bytes of some, as text; misfits are not UTF-8."""
    if is_ascii(text):
        return text, None
    return where_possible(text.cast(pa.binary()), lambda part: part.cast(pa.string()))


def halves(array: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Split an array of at least two values in the middle."""
    half = len(array) // 2
    return array[:half], array[half:]


def joined(parts: list[Parsed]) -> Parsed:
    """Put the parts of an array together again."""
    masks = [pa.array([False] * len(values)) if bad is None else bad for values, bad in parts]
    return pa.concat_arrays([values for values, _ in parts]), pa.concat_arrays(masks)


def either(one: pa.Array | None, other: pa.Array | None) -> pa.Array | None:
    """Join two masks of misfits."""
    return pc.or_(one, other) if one is not None and other is not None else one if other is None else other


def misfits(before: pa.Array, after: pa.Array) -> pa.Array | None:
    """Return the mask of values that were lost, None when there are none."""
    lost = pc.and_(pc.is_valid(before), pc.is_null(after))
    return lost if pc.any(lost).as_py() else None


def matches(text: pa.Array, pattern: str) -> bool:
    """Whether every value matches; NULLs do."""
    return bool(pc.all(pc.match_substring_regex(text, pattern)).as_py())


def decimals(text: pa.Array, digits: int, scale: int) -> Parsed:
    """Respell numbers plainly, without exponent; misfits need more whole or fractional digits than given."""
    size = measured(text)
    if size and size.whole <= digits and size.fraction <= scale:
        return text, None
    plain = pc.match_substring_regex(text, rf"^-?(0|[1-9]\d{{0,{digits - 1}}})(\.\d{{1,{scale}}})?$")
    odd = pc.invert(pc.fill_null(plain, True))
    spelt = [_respelt(value, digits, scale) for value in text.filter(odd).to_pylist()]
    values = pc.replace_with_mask(text, odd, pa.array(spelt, pa.string()))
    return values, misfits(text, values)


def _respelt(text: str, digits: int, scale: int) -> str | None:
    if not _NUMBER.fullmatch(text.strip()):
        return None
    number = Decimal(text.strip())
    if not number:
        return "0"
    # Before `format`, which would write out an exponent of a thousand million as so many zeros.
    if not -scale <= number.adjusted() < digits:
        return None
    spelt = format(number, "f")
    spelt = spelt.rstrip("0").rstrip(".") if "." in spelt else spelt
    return spelt if len(spelt.partition(".")[2]) <= scale else None


def integers(text: pa.Array) -> Parsed:
    """Parse whole numbers of 64 bits; leading zeros and a plus sign do not matter."""
    size = measured(text)
    is_plain = size is not None and not size.fraction
    return _numbers(text if is_plain else _tidy(text, _INTEGER), pa.int64())


def floats(text: pa.Array, size: Digits | None = None) -> Parsed:
    """Parse numbers that FLOAT64 holds, to all the digits that are written; `size`, if they are measured already."""
    size = size or measured(text)
    values, bad = _numbers(text if size else _tidy(text, _FLOAT), pa.float64())
    if size and size.whole + size.fraction <= KEPT:
        return values, bad
    # Arrow spells a float as shortly as possible: text that is spelt so too is that very float.
    odd = pc.invert(pc.fill_null(pc.equal(text, values.cast(pa.string())), True))
    rounded = pc.replace_with_mask(odd, odd, _rounded(text.filter(odd), values.filter(odd)))
    if not pc.any(rounded).as_py():
        return values, bad
    return pc.if_else(rounded, pa.scalar(None, pa.float64()), values), either(bad, rounded)


def _tidy(text: pa.Array, pattern: str) -> pa.Array:
    """Drop blanks and plus signs from text; what does not match without them becomes no number."""
    if matches(text, pattern):
        return text
    tidy = pc.replace_substring_regex(pc.utf8_trim_whitespace(text), r"^\+([^-])", r"\1")
    return pc.if_else(pc.match_substring_regex(tidy, pattern), tidy, "?")


def _numbers(text: pa.Array, target: pa.DataType) -> Parsed:
    return where_possible(text, lambda part: part.cast(target))


def _rounded(text: pa.Array, values: pa.Array) -> pa.Array:
    """Mask the floats that are other numbers than the text; those that surely are not are told all at once."""
    bare = pc.utf8_rtrim(pc.utf8_rtrim(pc.replace_substring(text, "e-0", "e-"), "0"), ".")
    is_held = pc.or_(pc.equal(bare, values.cast(pa.string())), pc.match_substring_regex(text, _SHORT_FLOAT))
    doubtful = pc.invert(is_held)
    pairs = zip(text.filter(doubtful).to_pylist(), values.filter(doubtful).to_pylist(), strict=True)
    rounded = pa.array([_is_rounded(given.strip(), value) for given, value in pairs], pa.bool_())
    return pc.replace_with_mask(doubtful, doubtful, rounded)


def _is_rounded(text: str, value: float) -> bool:
    """Whether a float, printed with as many digits as the text has, is another number than the text."""
    if not math.isfinite(value):
        return any(letter.isdigit() for letter in text)
    if not value:
        return any(letter in "123456789" for letter in re.split("[eE]", text)[0])
    written = Decimal(text)
    if written == Decimal(repr(value)):
        return False
    return Context(prec=len(written.as_tuple().digits)).create_decimal(value) != written


def moments(text: pa.Array, target: pa.DataType) -> Parsed:
    """Parse ISO 8601 dates and moments; a target with a time zone demands an offset, one without refuses it."""
    values = whole(text, target)
    if values is not None:
        return values, None
    return where_possible(pc.utf8_trim_whitespace(text), lambda part: part.cast(target))


def times(text: pa.Array) -> Parsed:
    """Parse `10:00[:00[.123456]]`; Arrow parses no times, but times of a day."""
    tidy = pc.utf8_trim_whitespace(text)
    on_a_day = pc.binary_join_element_wise(pa.scalar("1970-01-01 "), tidy, "")
    well_formed = pc.match_substring_regex(tidy, _TIME)
    values = pc.if_else(well_formed, on_a_day, pa.scalar(None, pa.string())).cast(pa.timestamp("us"))
    return values.cast(pa.time64("us")), misfits(text, values)


def booleans(text: pa.Array) -> Parsed:
    """Parse true, t, yes, y, 1 and their opposites, in any case."""
    as_arrow = whole(text, pa.bool_())  # which takes true, false, 1 and 0
    if as_arrow is not None:
        return as_arrow, None
    lower = pc.utf8_lower(pc.utf8_trim_whitespace(text))
    yes, no = (pc.is_in(lower, value_set=pa.array(words)) for words in (_TRUE, _FALSE))
    values = pc.if_else(pc.or_(yes, no), yes, pa.scalar(None, pa.bool_()))
    return values, misfits(text, values)


def unquoted(documents: pa.Array) -> pa.Array:
    """Return JSON values as plain text: a string's own text, anything else as it is written."""
    quoted = pc.starts_with(documents, '"')
    if not pc.any(quoted).as_py():
        return documents
    if not pc.any(pc.match_substring(documents, "\\")).as_py():
        return pc.if_else(quoted, pc.utf8_slice_codeunits(documents, 1, -1), documents)
    pairs = zip(documents.to_pylist(), quoted.to_pylist(), strict=True)
    return pa.array([json.loads(value) if is_string else value for value, is_string in pairs], pa.string())
