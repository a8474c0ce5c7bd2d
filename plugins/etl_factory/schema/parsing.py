"""Text that spells a number, a time of day or a truth value becomes one, exactly, or is marked a misfit.

Each function takes text and returns the values with a mask of those that do not fit, None when all do.
Arrow's own parser of decimals wraps around on long numbers and crashes on long exponents, so it is only
given numbers that are known to be short and plain.
"""

from __future__ import annotations

import re
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

_TRUE, _FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,9})?", re.ASCII)
Parsed = tuple[pa.Array, pa.Array | None]


def decimals(text: pa.Array, digits: int, scale: int) -> Parsed:
    """Respell numbers plainly, without exponent; misfits need more whole or fractional digits than given."""
    plain = pc.match_substring_regex(text, rf"^-?(0|[1-9]\d{{0,{digits - 1}}})(\.\d{{1,{scale}}})?$")
    plain = pc.fill_null(plain, True)
    if not len(text) or pc.all(plain).as_py():
        return text, None
    pairs = zip(text.to_pylist(), plain.to_pylist(), strict=True)
    values = pa.array([v if fine else _respelt(v, digits, scale) for v, fine in pairs], pa.string())
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


def integers(text: pa.Array) -> pa.Array:
    """Blank what Arrow would read as hexadecimal, so that it is a misfit."""
    return pc.if_else(pc.match_substring_regex(text, "^-?0[xX]"), pa.scalar("?"), text)


def floats(text: pa.Array) -> pa.Array:
    """Blank finite numbers beyond FLOAT64, which Arrow would read as infinite."""
    if not pc.any(pc.match_substring_regex(text, r"[eE]\+?\d{3}|\d{300}")).as_py():
        return text
    finite = pc.match_substring_regex(text, r"^[+-]?[\d.]")
    numbers = pc.if_else(pc.match_substring_regex(text, r"^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"), text, None)
    lost = pc.and_(finite, pc.is_inf(numbers.cast(pa.float64())))
    return pc.if_else(pc.fill_null(lost, False), pa.scalar("?"), text)


def times(text: pa.Array) -> Parsed:
    """Parse `10:00[:00[.123456]]`; Arrow parses no times, but times of a day."""
    on_a_day = pc.binary_join_element_wise(pa.scalar("1970-01-01 "), text, "")
    well_formed = pc.match_substring_regex(text, r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?$")
    values = pc.if_else(well_formed, on_a_day, pa.scalar(None, pa.string())).cast(pa.timestamp("us"))
    return values.cast(pa.time64("us")), misfits(text, values)


def booleans(text: pa.Array) -> Parsed:
    """Parse true, t, yes, y, 1 and their opposites, in any case."""
    lower = pc.utf8_lower(pc.utf8_trim_whitespace(text))
    yes, no = (pc.is_in(lower, value_set=pa.array(words)) for words in (_TRUE, _FALSE))
    values = pc.if_else(pc.or_(yes, no), yes, pa.scalar(None, pa.bool_()))
    return values, misfits(text, values)


def misfits(before: pa.Array, after: pa.Array) -> pa.Array | None:
    """Return the mask of values that were lost, None when there are none."""
    lost = pc.and_(pc.is_valid(before), pc.is_null(after))
    return lost if pc.any(lost).as_py() else None
