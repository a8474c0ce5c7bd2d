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

# A step keeps about 5 kB of each object in memory, in its plan, its manifest and its answers: see tests/benchmarks.
MOST_OBJECTS = 25_000
# Where a window over an integer ends that has no value yet: all values to come lie behind it, and a place before it.
LEAST_INTEGER = -(2**63) + 2
# Re-read so far back when the config sets no lag: late commits arrive out of cursor order. So do those of
# a sequence, whose values are given out long before the commit; a thousand rows cost nothing.
DEFAULT_LAG: dict[CursorKind, timedelta | int] = {
    "instant": timedelta(minutes=10),
    "naive": timedelta(hours=1),
    "date": timedelta(days=1),
    "integer": 1_000,
}

NUMBERS = "numbers, for example by `etl-factory backfill` with --from 1 --to 1000 --step 100"


def plan_window(
    spec: TransactionalTable, request: RunRequest, watermark: str | None, snapshot: WindowBasis
) -> Window:
    """Return the window that this run reads.

    Raises ConfigError when the cursor's kind needs a setting that the spec lacks or contradicts,
    TerminalError when a backfill's bounds, or the watermark, are not of the cursor's kind.
    """
    kind = snapshot.cursor_kind()
    lag = checked_lag(spec, kind)
    if request.mode == "backfill":
        start, end = (_asked(kind, text, spec, request.timezone) for text in (request.start, request.end))
        return Window(kind, start, end)
    beginning, end = _beginning(kind, spec, request.timezone), _live_end(kind, spec, request, snapshot)
    if request.mode == "live" and watermark is not None:
        held = _decoded(kind, watermark, spec)
        start = _with_room(resume_at(held, lag, spec.cursor_timezone), end)
        return Window(kind, _not_before(beginning, start, held), end)
    return Window(kind, beginning, end)


def _with_room(start: CursorValue, end: CursorValue) -> CursorValue:
    """Read an integer's last unit again where nothing is new: only a window with room reads the NULLs too.

    A window of time needs no such help, since the next run's is wider.
    """
    if not isinstance(start, int) or not isinstance(end, int):
        return start
    return max(min(start, end - 1), LEAST_INTEGER - 1)


def _live_end(
    kind: CursorKind, spec: TransactionalTable, request: RunRequest, snapshot: WindowBasis
) -> CursorValue:
    if kind == "integer":
        greatest = snapshot.greatest()
        return LEAST_INTEGER if greatest is None else greatest + 1
    end = min(request.run_after, snapshot.settled)
    if end < min(request.run_after, snapshot.now):
        log.info("the window ends at %s: a transaction that began then still runs, and may write rows", end)
    return end_at(kind, end, spec.cursor_timezone)


def _not_before(beginning: CursorValue | None, start: CursorValue, watermark: CursorValue) -> CursorValue:
    """Step back by the lag, but not to before `backfill_from`: what lies there was never asked for."""
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


def _asked(kind: CursorKind, text: str | None, spec: TransactionalTable, timezone: str) -> CursorValue:
    try:
        return _bound(kind, text or "", timezone if kind == "instant" else spec.cursor_timezone)
    except (ValueError, OverflowError) as error:
        raise TerminalError(
            f"{text!r} cannot bound cursor {spec.cursor!r}, which is of kind {kind}: give start and end as"
            f" {NUMBERS if kind == 'integer' else 'dates or times'}"
        ) from error


def _beginning(kind: CursorKind, spec: TransactionalTable, timezone: str) -> CursorValue | None:
    if spec.backfill_from is None:
        return None
    try:
        text = str(spec.backfill_from)
        return _bound(kind, text, timezone if kind == "instant" else spec.cursor_timezone)
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"cursor {spec.cursor!r} is of kind {kind}: backfill_from must be"
            f" {'a number' if kind == 'integer' else 'a date or time'}, not {spec.backfill_from}"
        ) from error


def _bound(kind: CursorKind, text: str, zone: str | None) -> CursorValue:
    """Read a bound that a person wrote: a date alone means its first moment.

    Without an offset it is on the clock of `zone`: the tenant's for an instant cursor, else the cursor's own.
    """
    if kind == "integer":
        return int(text)
    moment = datetime.fromisoformat(text)
    if kind == "instant":
        return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone or "UTC"))).astimezone(UTC)
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
