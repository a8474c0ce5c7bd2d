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


@pytest.mark.parametrize("value", [True, 1.5, "5", "-1h", "h", None])
def test_no_lag(value: object) -> None:
    with pytest.raises(ValueError, match=r"lag cannot be negative|is not a duration"):
        parse_lag(value)


def test_an_address_is_never_shown() -> None:
    assert shown("abc") == "'abc'"
    assert shown("postgres://app:pw@db") == "this value"
    assert shown("x" * 200) == "this value"
