"""Decides what a run reads: the window of a table, or the objects of a path."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from etl_factory.errors import ConfigError, TerminalError
from etl_factory.landing.manifest import Mode, PlannedObject
from etl_factory.sources.base import SourceObject, WindowBasis
from etl_factory.sources.specs import TransactionalTable
from etl_factory.transfers.request import RunRequest
from etl_factory.windows import CursorKind, CursorValue, Window, decode, end_at, step_back

# Re-read so far back when the config sets no lag: late commits arrive out of cursor order.
DEFAULT_LAG: dict[CursorKind, timedelta | int] = {
    "instant": timedelta(minutes=10),
    "naive": timedelta(hours=1),
    "date": timedelta(days=1),
    "integer": 0,
}


def plan_window(
    spec: TransactionalTable, request: RunRequest, watermark: str | None, snapshot: WindowBasis
) -> Window | None:
    """Return the window that this run reads; None when an integer cursor has no value yet.

    Raises ConfigError when the cursor's kind needs a setting that the spec lacks,
    TerminalError when a backfill's bounds are not of the cursor's kind.
    """
    kind = snapshot.cursor_kind()
    lag = checked_lag(spec, kind)
    if request.mode == "backfill":
        return Window(kind, _bound(kind, request.start, spec), _bound(kind, request.end, spec))
    end = _live_end(kind, spec, request, snapshot)
    if end is None:
        return None
    if request.mode == "live" and watermark is not None:
        return Window(kind, step_back(decode(kind, watermark), lag), end)
    start = spec.backfill_from
    return Window(kind, None if start is None else _bound(kind, str(start), spec), end)


def _live_end(
    kind: CursorKind, spec: TransactionalTable, request: RunRequest, snapshot: WindowBasis
) -> CursorValue | None:
    if kind == "integer":
        greatest = snapshot.greatest()
        return None if greatest is None else greatest + 1
    return end_at(kind, min(request.run_after, snapshot.now), spec.cursor_timezone)


def checked_lag(spec: TransactionalTable, kind: CursorKind) -> timedelta | int:
    """Return the lag to use; raises ConfigError when the cursor's kind forbids what the spec says."""
    if kind == "naive" and not spec.cursor_timezone:
        raise ConfigError(
            f"cursor {spec.cursor!r} is a timestamp without time zone: set cursor_timezone (an IANA name,"
            " for example Europe/Warsaw)"
        )
    lag = DEFAULT_LAG[kind] if spec.lag is None else spec.lag
    if isinstance(lag, int) != (kind == "integer"):
        wanted = "a whole number of units" if kind == "integer" else "a duration such as 10m"
        raise ConfigError(f"cursor {spec.cursor!r} is of kind {kind}: lag must be {wanted}, not {spec.lag}")
    least = least_lag(kind, spec.cursor_timezone)
    if isinstance(lag, timedelta) and lag < least:
        raise ConfigError(
            f"cursor {spec.cursor!r} is of kind {kind}: lag must be at least {least}, not {lag}"
        )
    return lag


def least_lag(kind: CursorKind, zone: str | None) -> timedelta:
    """Return the least lag: a day for dates, an hour for local time in a zone with daylight saving."""
    if kind == "date":
        return timedelta(days=1)
    return timedelta(hours=1) if kind == "naive" and zone and _has_dst(zone) else timedelta(0)


def _has_dst(zone: str) -> bool:
    year = datetime.now(UTC).year
    offsets = {datetime(year, month, 1, tzinfo=ZoneInfo(zone)).utcoffset() for month in range(1, 13)}
    return len(offsets) > 1


def _bound(kind: CursorKind, text: str | None, spec: TransactionalTable) -> CursorValue:
    """Read a bound that a person wrote: a date alone means its first moment, no zone means UTC."""
    try:
        if kind == "integer":
            return int(text or "")
        moment = datetime.fromisoformat(text or "")
    except ValueError as error:
        raise TerminalError(
            f"{text!r} cannot bound cursor {spec.cursor!r}, which is of kind {kind}"
        ) from error
    if kind == "date":
        return date(moment.year, moment.month, moment.day)
    if kind == "instant":
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    zone = ZoneInfo(spec.cursor_timezone or "UTC")
    return moment.astimezone(zone).replace(tzinfo=None) if moment.tzinfo else moment


def plan_objects(
    listed: Iterable[SourceObject], loaded: Collection[tuple[str, str]], mode: Mode, *, files: str
) -> tuple[PlannedObject, ...]:
    """Choose among the listed objects: `new` (not loaded at this version), `all`, or the `latest` one."""
    found = list(listed)
    if files == "latest":
        found = sorted(found, key=lambda o: (o.modified, o.uri))[-1:]
    if files == "new" and mode == "live":
        found = [o for o in found if (o.uri, o.version) not in loaded]
    return tuple(PlannedObject(o.uri, o.version, o.size, o.modified.isoformat()) for o in found)
