"""Spellings that people use, and the one form that each becomes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from etl_factory.sources.words import parse_duration, parse_lag, parse_ratio, parse_schedule, shown


@pytest.mark.parametrize(
    ("text", "cron"),
    [
        ("hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("weekly", "0 0 * * 0"),
        ("monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("none", "none"),
        ("*/15  *  * * *", "*/15 * * * *"),
        ("0 5 * * mon-fri", "0 5 * * mon-fri"),
        ("0 0 29 2 *", "0 0 29 2 *"),
    ],
)
def test_schedules(text: str, cron: str) -> None:
    assert parse_schedule(text) == cron


@pytest.mark.parametrize(
    "text", ["", "sometimes", "* * * * * *", "0 0 30 2 *", "R * * * *", "H H * * *", "@once", "60 * * * *"]
)
def test_no_schedules(text: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        parse_schedule(text)


def test_durations_lags_and_ratios() -> None:
    assert parse_duration("90s") == timedelta(seconds=90)
    assert parse_duration("2 h") == timedelta(hours=2)
    assert parse_duration("1w") == timedelta(days=7)
    assert parse_lag("1d") == timedelta(days=1)
    assert parse_lag(1000) == 1000
    assert parse_ratio("0.1%") == pytest.approx(0.001)
    assert parse_ratio(0.25) == 0.25


@pytest.mark.parametrize("text", ["99999999999d", "999999999d", "3651d", "522w", "9" * 5000 + "s"])
def test_a_duration_that_no_calendar_holds_is_refused_in_words(text: str) -> None:
    for parse in (parse_duration, parse_lag):
        with pytest.raises(ValueError, match="is too long: at most 3650d"):
            parse(text)


def test_the_longest_duration_and_one_with_leading_zeros() -> None:
    assert parse_duration("3650d") == timedelta(days=3650)
    assert parse_duration("0" * 20 + "1s") == timedelta(seconds=1)
    assert parse_duration("0s") == timedelta(0)


def test_a_schedule_that_airflow_cannot_keep_in_words() -> None:
    with pytest.raises(ValueError, match="a schedule of 237 characters is not a readable one"):
        parse_schedule(f"{','.join(map(str, range(60)))} {','.join(map(str, range(24)))} * * *")


@pytest.mark.parametrize("value", [True, 1.5, "5", "-1h", "h", None])
def test_no_lag(value: object) -> None:
    with pytest.raises(ValueError, match=r"lag cannot be negative|is not a duration"):
        parse_lag(value)


def test_an_address_is_never_shown() -> None:
    assert shown("abc") == "'abc'"
    assert shown("postgres://app:pw@db") == "this value"
    assert shown("x" * 200) == "this value"
