"""Finds the tick of a schedule that comes before another one."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.timetables.base import DataInterval, TimeRestriction, Timetable
from pendulum import instance

from etl_factory.errors import TerminalError

_ANY_TIME = TimeRestriction(earliest=None, latest=None, catchup=True)
SHORTEST = timedelta(minutes=2)


def tick_before(timetable: Timetable, tick: datetime) -> datetime:
    """Return the last tick before `tick`, so that windows from tick to tick join whatever the clocks do.

    It walks forward, as the scheduler does, from further and further back: going back from a tick in an hour that
    the clocks repeat or leave out may lead elsewhere. Raises TerminalError for a DAG without a schedule.
    """
    span = SHORTEST
    while (before := _next(timetable, tick - span)) >= tick:
        span *= 2
    while (after := _next(timetable, before)) < tick:
        before = after
    return before


def _next(timetable: Timetable, moment: datetime) -> datetime:
    info = timetable.next_dagrun_info(
        last_automated_data_interval=DataInterval.exact(instance(moment)), restriction=_ANY_TIME
    )
    if info is None:
        raise TerminalError(
            "an Airflow backfill reads from tick to tick, and this DAG has no schedule any more: trigger it with"
            " start and end instead"
        )
    return info.run_after
