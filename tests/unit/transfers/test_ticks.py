"""The tick before a tick: windows from tick to tick join, also where the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime

import pendulum
import pytest
from airflow.timetables.base import DataInterval, TimeRestriction
from airflow.timetables.simple import NullTimetable
from airflow.timetables.trigger import CronTriggerTimetable

from etl_factory.errors import TerminalError
from etl_factory.transfers.ticks import tick_before

FORWARD = (datetime(2025, 3, 29, 12, tzinfo=UTC), datetime(2025, 3, 31, 2, tzinfo=UTC))
BACK = (datetime(2025, 10, 25, 12, tzinfo=UTC), datetime(2025, 10, 27, 3, tzinfo=UTC))
CRONS = (
    "0 * * * *", "30 * * * *", "*/15 * * * *", "30 2 * * *", "0 3 * * *", "15 2,3 * * *", "0 */2 * * *",
    "*/20 1-3 * * *", "0 0 * * *",
)  # fmt: skip


def scheduled(timetable: CronTriggerTimetable, begin: datetime, end: datetime) -> list[datetime]:
    """Return the ticks as Airflow's own backfill makes them: each from the one before."""
    found: list[datetime] = []
    last = DataInterval.exact(pendulum.instance(begin))
    while True:
        info = timetable.next_dagrun_info(
            last_automated_data_interval=last, restriction=TimeRestriction(None, None, catchup=True)
        )
        if info.run_after >= end:
            return found
        found.append(info.run_after)
        last = info.data_interval


@pytest.mark.parametrize("change", [FORWARD, BACK], ids=["clocks forward", "clocks back"])
@pytest.mark.parametrize("cron", CRONS)
def test_windows_join_where_the_clocks_change(cron: str, change: tuple[datetime, datetime]) -> None:
    timetable = CronTriggerTimetable(cron, timezone="Europe/Warsaw")
    ticks = scheduled(timetable, *change)

    assert len(ticks) > 1
    assert [tick_before(timetable, tick) for tick in ticks[1:]] == ticks[:-1]


@pytest.mark.parametrize(
    ("tick", "before"),
    [
        ("2025-03-31T02:30:00+02:00", "2025-03-30T03:30:00+02:00"),
        ("2025-10-26T02:30:00+01:00", "2025-10-25T02:30:00+02:00"),
        ("2025-10-27T02:30:00+01:00", "2025-10-26T02:30:00+01:00"),
    ],
)
def test_a_time_that_clocks_leave_out_or_repeat(tick: str, before: str) -> None:
    timetable = CronTriggerTimetable("30 2 * * *", timezone="Europe/Warsaw")

    assert tick_before(timetable, datetime.fromisoformat(tick)) == datetime.fromisoformat(before)


@pytest.mark.parametrize(
    ("cron", "tick", "before"),
    [
        ("* * * * *", "2025-01-01T00:00:00Z", "2024-12-31T23:59:00Z"),
        ("0 0 1 1 *", "2025-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("0 0 29 2 *", "2024-02-29T00:00:00Z", "2020-02-29T00:00:00Z"),
        ("0 9 * * 1-5", "2025-01-06T09:00:00Z", "2025-01-03T09:00:00Z"),
    ],
)
def test_the_tick_before_may_be_near_or_far(cron: str, tick: str, before: str) -> None:
    found = tick_before(CronTriggerTimetable(cron, timezone="UTC"), datetime.fromisoformat(tick))

    assert found == datetime.fromisoformat(before)


def test_a_dag_without_a_schedule_has_no_ticks() -> None:
    with pytest.raises(
        TerminalError, match="this DAG has no schedule any more: trigger it with start and end"
    ):
        tick_before(NullTimetable(), datetime(2025, 1, 1, tzinfo=UTC))
