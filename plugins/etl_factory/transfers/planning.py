"""Decides what a run reads: the window of a table, or the objects of a path."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from etl_factory.errors import ConfigError, TerminalError
from etl_factory.landing.manifest import Mode, PlannedObject
from etl_factory.sources.base import SourceObject, WindowBasis
from etl_factory.sources.specs import TransactionalTable
from etl_factory.transfers.request import RunRequest
from etl_factory.windows import (
    CursorKind,
    CursorValue,
    Window,
    decode,
    end_at,
    later,
    least_lag,
    resume_at,
)

log = logging.getLogger(__name__)

# A publish carries each object's tally in its request, which BigQuery takes up to 10 MB of.
MOST_OBJECTS = 5_000
# Re-read so far back when the config sets no lag: late commits arrive out of cursor order. So do those of
# a sequence, whose values are given out long before the commit; a thousand rows cost nothing.
DEFAULT_LAG: dict[CursorKind, timedelta | int] = {
    "instant": timedelta(minutes=10),
    "naive": timedelta(hours=1),
    "date": timedelta(days=1),
    "integer": 1_000,
}


def plan_window(
    spec: TransactionalTable, request: RunRequest, watermark: str | None, snapshot: WindowBasis
) -> Window | None:
    """Return the window that this run reads; None when an integer cursor has no value yet.

    Raises ConfigError when the cursor's kind needs a setting that the spec lacks or contradicts,
    TerminalError when a backfill's bounds, or the watermark, are not of the cursor's kind.
    """
    kind = snapshot.cursor_kind()
    lag = checked_lag(spec, kind)
    if request.mode == "backfill":
        return Window(kind, _asked(kind, request.start, spec), _asked(kind, request.end, spec))
    end = _live_end(kind, spec, request, snapshot)
    if end is None:
        return None
    if request.mode == "live" and watermark is not None:
        return Window(kind, _resumed(kind, spec, _decoded(kind, watermark, spec), lag), end)
    return Window(kind, _beginning(kind, spec), end)


def _live_end(
    kind: CursorKind, spec: TransactionalTable, request: RunRequest, snapshot: WindowBasis
) -> CursorValue | None:
    if kind == "integer":
        greatest = snapshot.greatest()
        return None if greatest is None else greatest + 1
    end = min(request.run_after, snapshot.settled)
    if end < min(request.run_after, snapshot.now):
        log.info("the window ends at %s: a transaction that began then still runs, and may write rows", end)
    return end_at(kind, end, spec.cursor_timezone)


def _resumed(
    kind: CursorKind, spec: TransactionalTable, watermark: CursorValue, lag: timedelta | int
) -> CursorValue:
    """Step back by the lag, but not to before `backfill_from`: what lies there was never asked for."""
    start, beginning = resume_at(watermark, lag, spec.cursor_timezone), _beginning(kind, spec)
    if beginning is None or later(beginning, watermark) != watermark:
        return start
    return later(start, beginning)


def _decoded(kind: CursorKind, watermark: str, spec: TransactionalTable) -> CursorValue:
    try:
        return decode(kind, watermark)
    except ValueError as error:
        raise TerminalError(
            f"cursor {spec.cursor!r} is of kind {kind} now, but the watermark {watermark} is not: the column's type"
            " or `cursor` has changed. Run once with full_refresh to start anew"
        ) from error


def checked_lag(spec: TransactionalTable, kind: CursorKind) -> timedelta | int:
    """Return the lag to use; raises ConfigError when the cursor's kind forbids what the spec says."""
    if kind == "naive" and not spec.cursor_timezone:
        raise ConfigError(
            f"cursor {spec.cursor!r} is a timestamp without time zone: set cursor_timezone (an IANA name,"
            " for example Europe/Warsaw)"
        )
    least = least_lag(kind, spec.cursor_timezone)
    lag = _default_lag(kind, least) if spec.lag is None else spec.lag
    if isinstance(lag, int) != (kind == "integer"):
        wanted = "a whole number of units" if kind == "integer" else "a duration such as 10m"
        raise ConfigError(f"cursor {spec.cursor!r} is of kind {kind}: lag must be {wanted}, not {spec.lag}")
    if isinstance(lag, timedelta) and lag < least:
        raise ConfigError(
            f"cursor {spec.cursor!r} is of kind {kind}: lag must be at least {least}, not {lag}"
        )
    return lag


def _default_lag(kind: CursorKind, least: timedelta) -> timedelta | int:
    lag = DEFAULT_LAG[kind]
    return lag if isinstance(lag, int) else max(lag, least)


def _asked(kind: CursorKind, text: str | None, spec: TransactionalTable) -> CursorValue:
    try:
        return _bound(kind, text or "", spec.cursor_timezone)
    except (ValueError, OverflowError) as error:
        raise TerminalError(
            f"{text!r} cannot bound cursor {spec.cursor!r}, which is of kind {kind}: give start and end as"
            f" {'numbers' if kind == 'integer' else 'dates or times'}"
        ) from error


def _beginning(kind: CursorKind, spec: TransactionalTable) -> CursorValue | None:
    if spec.backfill_from is None:
        return None
    try:
        return _bound(kind, str(spec.backfill_from), spec.cursor_timezone)
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"cursor {spec.cursor!r} is of kind {kind}: backfill_from must be"
            f" {'a number' if kind == 'integer' else 'a date or time'}, not {spec.backfill_from}"
        ) from error


def _bound(kind: CursorKind, text: str, zone: str | None) -> CursorValue:
    """Read a bound that a person wrote: a date alone means its first moment.

    A time without a zone is UTC for an instant cursor, and the cursor's own local time for the others.
    """
    if kind == "integer":
        return int(text)
    moment = datetime.fromisoformat(text)
    if kind == "instant":
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment.tzinfo and zone:
        moment = moment.astimezone(ZoneInfo(zone))
    return moment.date() if kind == "date" else moment.replace(tzinfo=None)


def plan_objects(
    listed: Iterable[SourceObject], loaded: Collection[tuple[str, str]], mode: Mode, *, files: str
) -> tuple[PlannedObject, ...]:
    """Choose among the listed objects: `new` (not loaded at this version), `all`, or the `latest` one.

    A live run takes the oldest MOST_OBJECTS of the new ones, and leaves the others to the next runs.
    """
    found = sorted(listed, key=lambda o: (o.modified, o.uri))
    if files == "latest":
        found = found[-1:]
    if files == "new" and mode == "live":
        found = [o for o in found if (o.uri, o.version) not in loaded][:MOST_OBJECTS]
    return tuple(PlannedObject(o.uri, o.version, o.size, o.modified.isoformat()) for o in found)
