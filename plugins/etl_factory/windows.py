"""Which rows a run reads: a half-open window over the cursor, plus the bucket of NULL cursors.

Values are compared in the cursor's own kind:

    instant   aware datetime, UTC            timestamptz; MySQL TIMESTAMP; BigQuery TIMESTAMP
    naive     datetime without zone          timestamp; DATETIME; read in `cursor_timezone`
    date      date                           the run's own day is not over: read now and again next time
    integer   int                            watermark = greatest value read + 1
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

CursorKind = Literal["instant", "naive", "date", "integer"]
CursorValue = datetime | date | int
_YEAR = 2025  # any recent year: only by how much the clocks change within it matters


@dataclass(frozen=True)
class Window:
    """`start <= cursor < end`, or cursor IS NULL; `start` None reads from the beginning."""

    kind: CursorKind
    start: CursorValue | None
    end: CursorValue

    @property
    def is_empty(self) -> bool:
        """Whether no non-NULL cursor can fall inside (inverted windows included)."""
        return self.start is not None and self.end <= self.start  # type: ignore[operator]  # one kind

    def to_json(self) -> dict[str, Any]:
        """Encode as JSON-ready values."""
        return {
            "kind": self.kind,
            "start": None if self.start is None else encode(self.start),
            "end": encode(self.end),
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Window:
        """Decode what `to_json` gave."""
        kind: CursorKind = document["kind"]
        start = document["start"]
        return cls(kind, None if start is None else decode(kind, start), decode(kind, document["end"]))

    def __str__(self) -> str:
        return f"[{'-∞' if self.start is None else encode(self.start)}, {encode(self.end)})"


def encode(value: CursorValue) -> str:
    """Write a cursor value as text that `decode` reads back exactly."""
    return str(value) if isinstance(value, int) else value.isoformat()


def decode(kind: CursorKind, text: str) -> CursorValue:
    """Read a cursor value of `kind`; raises ValueError for text of another kind."""
    if kind == "integer":
        return int(text)
    if kind == "date":
        return date.fromisoformat(text)
    value = datetime.fromisoformat(text)
    if (value.tzinfo is None) != (kind == "naive"):
        raise ValueError(f"{text!r} is not of cursor kind {kind}")
    return value.astimezone(UTC) if kind == "instant" else value


def end_at(kind: CursorKind, moment: datetime, timezone: str | None) -> CursorValue:
    """Turn an instant into the exclusive end of a window of a time-like kind.

    A date cursor's end is the day after `moment`, so that the current day is read now; the next run,
    which begins at `resume_at`, reads it again.
    """
    if kind == "instant":
        return moment.astimezone(UTC)
    local = moment.astimezone(ZoneInfo(timezone or "UTC")).replace(tzinfo=None)
    return local.date() + timedelta(days=1) if kind == "date" else local


def step_back(value: CursorValue, lag: timedelta | int) -> CursorValue:
    """Subtract the lag: units for an integer cursor, time for the others, whole days for a date.

    Raises TypeError for a lag of another kind, since ignoring it would miss late rows.
    """
    if isinstance(value, int) != isinstance(lag, int):
        raise TypeError(f"a lag of {lag} does not fit cursor value {value}")
    if type(value) is date and isinstance(lag, timedelta):
        lag = timedelta(days=-(-lag // timedelta(days=1)))
    return value - lag  # type: ignore[operator]  # of one kind, by the check above


def resume_at(watermark: CursorValue, lag: timedelta | int, timezone: str | None) -> CursorValue:
    """Return where the run that follows a watermark begins.

    A date's lag counts from the day of the run that set the watermark, which was not over yet: so a lag
    of a day reads that day and the day before it. Without a zone the writers may be anywhere, and their day
    be the one before (12 hours behind UTC): then the lag counts from there.
    """
    if type(watermark) is date:
        watermark -= timedelta(days=1 if timezone else 2)
    if type(watermark) is datetime and isinstance(lag, timedelta) and timezone:
        return _earliest_shown(watermark, lag, timezone)
    return step_back(watermark, lag)


def _earliest_shown(watermark: datetime, lag: timedelta, timezone: str) -> CursorValue:
    """Return the least local time that clocks showed since `lag` before they showed the watermark.

    Where they were put forward meanwhile, more local time lies behind than went by; where they were put back,
    the watermark was shown twice.
    """
    start = watermark - lag
    if watermark.tzinfo is None:
        shown = (watermark.replace(tzinfo=ZoneInfo(timezone), fold=fold) for fold in (0, 1))
        ago = ((moment.astimezone(UTC) - lag).astimezone(ZoneInfo(timezone)) for moment in shown)
        start = min(start, *(moment.replace(tzinfo=None) for moment in ago))
    return start


def later(one: CursorValue, other: CursorValue) -> CursorValue:
    """Return the greater of two values of one kind."""
    return max(one, other)  # type: ignore[type-var]  # of one kind


def least_lag(kind: CursorKind, zone: str | None) -> timedelta:
    """Return the least lag: a day for dates; for local time, what its clocks go back by, at least an hour."""
    if kind == "date":
        return timedelta(days=1)
    if kind != "naive" or not zone:
        return timedelta(0)
    shift = _clock_shift(zone)
    return max(shift, timedelta(hours=1)) if shift else shift


def _clock_shift(zone: str) -> timedelta:
    """Return by how much a zone's clocks change within a year; nothing without daylight saving."""
    moments = [datetime(_YEAR, month, 1, tzinfo=ZoneInfo(zone)) for month in range(1, 13)]
    offsets = [moment.utcoffset() or timedelta(0) for moment in moments]
    return max(offsets) - min(offsets)
