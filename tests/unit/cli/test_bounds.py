"""Windows between two bounds: they join, fill what lies between, and keep to the kind of the bounds."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import click
import pytest
import typer

from etl_factory.cli.bounds import MOST_WINDOWS, cut, parse_bounds, parse_step, spelt
from etl_factory.cli.window_runs import planned

WARSAW = ZoneInfo("Europe/Warsaw")


def windows(start: str, end: str, step: str) -> list[str]:
    bounds = parse_bounds(("--from", start), ("--to", end))
    return [f"{spelt(a)} {spelt(b)}" for a, b in cut(bounds, parse_step(step, bounds[0]))]


@pytest.mark.parametrize(
    ("start", "end", "step", "expected"),
    [
        ("2026-01-30", "2026-02-01", "1d", ["2026-01-30 2026-01-31", "2026-01-31 2026-02-01"]),
        ("2026-01-30", "2026-02-01", "1w", ["2026-01-30 2026-02-01"]),
        ("2024-02-28", "2024-03-02", "2d", ["2024-02-28 2024-03-01", "2024-03-01 2024-03-02"]),
        ("2026-01-30", "2026-01-31", "48h", ["2026-01-30 2026-01-31"]),
        ("1", "1001", "500", ["1 501", "501 1001"]),
        ("-5", "6", "10", ["-5 5", "5 6"]),
        (
            "2026-01-01T00:00+01:00",
            "2026-01-01T02:30+01:00",
            "1h",
            [
                "2026-01-01T00:00:00+01:00 2026-01-01T01:00:00+01:00",
                "2026-01-01T01:00:00+01:00 2026-01-01T02:00:00+01:00",
                "2026-01-01T02:00:00+01:00 2026-01-01T02:30:00+01:00",
            ],
        ),
        (
            "2026-01-01T00:00Z",
            "2026-01-01T02:00+01:00",
            "1d",
            ["2026-01-01T00:00:00+00:00 2026-01-01T02:00:00+01:00"],
        ),
        ("9999-12-30", "9999-12-31", "1d", ["9999-12-30 9999-12-31"]),
    ],
)
def test_windows_fill_what_lies_between(start: str, end: str, step: str, expected: list[str]) -> None:
    assert windows(start, end, step) == expected


@pytest.mark.parametrize(
    ("first", "hours"), [(date(2025, 3, 30), 23), (date(2025, 10, 26), 25), (date(2025, 7, 1), 24)]
)
def test_a_day_is_a_day_on_the_calendar_whatever_the_clocks_do(first: date, hours: int) -> None:
    ((start, end),) = cut((first, first + timedelta(days=1)), timedelta(days=1))

    began, ended = (datetime(day.year, day.month, day.day, tzinfo=WARSAW) for day in (start, end))
    assert ended.timestamp() - began.timestamp() == hours * 3600


def test_times_are_cut_by_time_gone_by() -> None:
    bounds = datetime(2025, 3, 29, 12).astimezone(), datetime(2025, 3, 31, 12).astimezone()

    found = cut(bounds, timedelta(hours=6))

    assert {(b - a).total_seconds() for a, b in found} == {6 * 3600.0}
    assert [a for a, _ in found[1:]] == [b for _, b in found[:-1]]


@pytest.mark.parametrize(
    ("start", "end", "step", "message"),
    [
        ("1", "9", "1d", "--step '1d' does not fit integers: give a whole number from 1 on, such as 1000"),
        ("1", "9", "0", "--step '0' does not fit integers"),
        ("1", "9", "-1", "--step '-1' does not fit integers"),
        ("2026-01-01", "2026-01-09", "12h", "is no whole number of days: give --from and --to as times"),
        ("2026-01-01", "2026-01-09", "0d", "--step 0d leads nowhere"),
        ("2026-01-01", "2026-01-09", "daily", "--step 'daily' is not a duration"),
        ("2026-01-01", "2026-01-09", "100", "--step '100' is not a duration"),
        ("1", "1000000", "1", "that makes 999,999 windows, more than 10,000: give a longer --step"),
        ("9", "1", "1", "--from 9 is not before --to 1, which is exclusive"),
        ("1", "2026-01-01", "1", "--from and --to must be of one kind"),
    ],
)
def test_what_cannot_be_cut_is_a_usage_error(
    start: str, end: str, step: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises((click.exceptions.Exit, typer.Exit)) as raised:
        windows(start, end, step)

    assert raised.value.exit_code == 2
    assert message in capsys.readouterr().err


def test_the_most_windows_are_still_made() -> None:
    assert len(cut((0, MOST_WINDOWS), 1)) == MOST_WINDOWS


@pytest.mark.parametrize(
    ("bounds", "chosen", "run_id"),
    [
        ((date(2026, 1, 1), date(2026, 1, 2)), [], "etl_backfill__2026-01-01__2026-01-02"),
        ((-5, 10), [], "etl_backfill__-5__10"),
        ((1, 2), ["orders"], "etl_backfill__1__2__44e097f4"),
    ],
)
def test_a_windows_run_is_named_by_what_it_reads(bounds: Any, chosen: list[str], run_id: str) -> None:
    assert planned(bounds, chosen).run_id == run_id


def test_a_run_of_the_same_resources_has_the_same_name_whatever_their_order() -> None:
    names = {planned((1, 2), chosen).run_id for chosen in (["a", "b"], ["b", "a"], ["a"], [])}

    assert len(names) == 3


def test_airflow_takes_the_name_for_a_run_by_hand() -> None:
    import re

    from airflow.utils.types import DagRunType

    run_id = planned(
        parse_bounds(("--from", "2026-01-01T00:00+01:00"), ("--to", "2026-01-02T00:00Z")), ["a"]
    ).run_id

    assert DagRunType.from_run_id(run_id) is DagRunType.MANUAL
    assert re.fullmatch(r"[A-Za-z0-9_.~:+-]+", run_id)
