"""Looks at the letters of a whole column of text where they lie in memory, many times faster than a pattern does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_ZERO, _NINE, _MINUS, _POINT = b"09-."
_LAST = 127  # of ASCII
_Places = npt.NDArray[Any]


@dataclass(frozen=True)
class Digits:
    """How many digits the longest numbers have before the point and after it; `minus_zero`: one is spelt `-0`."""

    whole: int = 0
    fraction: int = 0
    minus_zero: bool = False


def is_ascii(text: pa.Array) -> bool:
    """Whether all letters of text are ASCII for sure; those of a NULL, which do not count, may not be."""
    return pa.types.is_string(text.type) and _highest(_letters(text)[0]) <= _LAST


def measured(text: pa.Array) -> Digits | None:
    """Measure numbers spelt as `-?(0|[1-9]\\d*)(\\.\\d+)?`; None where any is spelt otherwise; NULLs are none."""
    if not pa.types.is_string(text.type):
        return None
    text = text.drop_null() if text.null_count else text
    if not len(text):
        return Digits()
    letters, bounds = _letters(text)
    starts, stops = bounds[:-1], bounds[1:]
    if _highest(letters) > _NINE or (starts == stops).any():
        return None
    points = np.flatnonzero(letters == _POINT)
    is_negative = letters[starts] == _MINUS
    heads = starts + is_negative
    others = np.count_nonzero(letters < _ZERO)
    if others != np.count_nonzero(is_negative) + len(points) or (heads >= stops).any():
        return None
    return _measured(letters, heads, stops, points, is_negative)


def _measured(
    letters: npt.NDArray[np.uint8], heads: _Places, stops: _Places, points: _Places, is_negative: _Places
) -> Digits | None:
    """Measure what holds but digits and points, from its head to its stop."""
    ends = _ends(heads, stops, points)
    if ends is None:
        return None
    is_zero = letters[heads] == _ZERO
    if (is_zero & (ends > heads + 1)).any():
        return None
    fraction = max(int((stops - ends).max()) - 1, 0)
    return Digits(int((ends - heads).max()), fraction, bool((is_zero & is_negative & (ends == stops)).any()))


def _letters(text: pa.StringArray) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Return the bytes of all values, and where in them each value begins, and the last one ends."""
    _, offsets, data = text.buffers()
    bounds = np.frombuffer(offsets or bytes(4), np.int32)[text.offset : text.offset + len(text) + 1]
    return np.frombuffer(data or b"", np.uint8)[bounds[0] : bounds[-1]], bounds - bounds[0]


def _highest(letters: npt.NDArray[np.uint8]) -> int:
    return int(letters.max(initial=0))


def _ends(heads: _Places, stops: _Places, points: _Places) -> _Places | None:
    """Return where each number's whole digits end; None if one has two points, or no digit on one side of one."""
    if not len(points):
        return stops
    if len(points) == len(stops):  # one for each, or two for one
        return points if ((heads < points) & (points < stops - 1)).all() else None
    of = np.searchsorted(stops, points, "right")
    is_inside = (heads[of] < points) & (points < stops[of] - 1)
    if not is_inside.all() or not (np.diff(of) > 0).all():
        return None
    ends = stops.copy()
    ends[of] = points
    return ends
