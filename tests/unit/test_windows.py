"""Windows by the kind of their cursor: what they hold, how they are written down, how a lag steps back."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_factory.windows import CursorKind, CursorValue, Window, decode, encode, end_at, resume_at, step_back

WARSAW, LORD_HOWE = "Europe/Warsaw", "Australia/Lord_Howe"
NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "instant": st.datetimes(timezones=st.just(UTC)),
    "naive": st.datetimes(),
    "date": st.dates(),
    "integer": st.integers(-(2**63), 2**63),
}


@pytest.mark.parametrize(
    ("kind", "start", "end"),
    [
        ("instant", NOON, NOON),
        ("instant", NOON + timedelta(microseconds=1), NOON),
        ("naive", datetime(2025, 1, 1), datetime(2025, 1, 1)),
        ("date", date(2025, 1, 2), date(2025, 1, 1)),
        ("integer", 7, 7),
        ("integer", 8, 7),
    ],
)
def test_equal_and_inverted_bounds_hold_nothing(
    kind: CursorKind, start: CursorValue, end: CursorValue
) -> None:
    assert Window(kind, start, end).is_empty


@pytest.mark.parametrize(
    ("kind", "start", "end"),
    [
        ("instant", NOON, NOON + timedelta(microseconds=1)),
        ("date", date(2025, 1, 1), date(2025, 1, 2)),
        ("integer", -1, 0),
        ("integer", None, -5),
        ("date", None, date.min),
    ],
)
def test_a_window_with_room_or_without_a_start_is_not_empty(
    kind: CursorKind, start: CursorValue | None, end: CursorValue
) -> None:
    assert not Window(kind, start, end).is_empty


@pytest.mark.parametrize("kind", VALUES)
@given(data=st.data())
def test_a_window_survives_json_exactly(kind: CursorKind, data: st.DataObject) -> None:
    start, end = data.draw(st.none() | VALUES[kind]), data.draw(VALUES[kind])
    window = Window(kind, start, end)

    assert Window.from_json(json.loads(json.dumps(window.to_json()))) == window


@pytest.mark.parametrize("kind", VALUES)
@given(data=st.data())
def test_a_watermark_survives_text_exactly(kind: CursorKind, data: st.DataObject) -> None:
    value = data.draw(VALUES[kind])

    assert decode(kind, encode(value)) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("instant", "2025-01-01T00:00:00"),
        ("naive", "2025-01-01T00:00:00+00:00"),
        ("date", "2025-01-01T00:00:00"),
        ("integer", "2025-01-01"),
        ("instant", "7.5"),
    ],
)
def test_text_of_another_kind_is_refused(kind: CursorKind, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(kind, text)


def test_an_instant_is_kept_in_utc_whatever_its_offset() -> None:
    value = decode("instant", "2025-01-01T01:30:00+02:00")

    assert isinstance(value, datetime)
    assert (value, value.tzinfo) == (datetime(2024, 12, 31, 23, 30, tzinfo=UTC), UTC)


def test_a_window_prints_as_half_open() -> None:
    assert str(Window("integer", 3, 9)) == "[3, 9)"
    assert str(Window("date", None, date(2025, 1, 1))) == "[-∞, 2025-01-01)"


@pytest.mark.parametrize(
    ("kind", "zone", "end"),
    [
        ("instant", None, NOON),
        ("instant", WARSAW, NOON),
        ("naive", WARSAW, datetime(2025, 6, 1, 14)),
        ("naive", None, datetime(2025, 6, 1, 12)),
        ("date", None, date(2025, 6, 2)),
        ("date", "Pacific/Kiritimati", date(2025, 6, 3)),
        ("date", "Pacific/Pago_Pago", date(2025, 6, 2)),
    ],
)
def test_the_end_is_the_moment_in_the_cursors_own_kind(
    kind: CursorKind, zone: str | None, end: CursorValue
) -> None:
    assert end_at(kind, NOON, zone) == end


def test_the_end_of_an_instant_window_is_utc() -> None:
    moment = NOON.astimezone(timezone(timedelta(hours=-7)))

    assert encode(end_at("instant", moment, None)) == "2025-06-01T12:00:00+00:00"


@pytest.mark.parametrize(
    ("utc", "local"),
    [
        ("2025-10-26T00:30:00+00:00", "2025-10-26T02:30:00"),
        ("2025-10-26T01:30:00+00:00", "2025-10-26T02:30:00"),
        ("2025-03-30T00:59:59+00:00", "2025-03-30T01:59:59"),
        ("2025-03-30T01:00:00+00:00", "2025-03-30T03:00:00"),
    ],
)
def test_local_time_repeats_in_autumn_and_jumps_in_spring(utc: str, local: str) -> None:
    end = end_at("naive", datetime.fromisoformat(utc), WARSAW)

    assert encode(end) == local


def test_no_row_is_missed_while_clocks_go_back() -> None:
    """Rows stamped every five minutes, runs every ten: an hour's lag reads each at least once."""
    first = datetime(2025, 10, 25, 23, tzinfo=UTC)
    rows = [first + timedelta(minutes=5 * n) for n in range(60)]
    read: set[datetime] = set()
    watermark: Any = end_at("naive", first, WARSAW)
    for run in [first + timedelta(minutes=10 * n, seconds=1) for n in range(31)]:
        start, end = step_back(watermark, timedelta(hours=1)), end_at("naive", run, WARSAW)
        committed = [row for row in rows if row <= run]
        local = {row: end_at("naive", row, WARSAW) for row in committed}
        read |= {row for row in committed if start <= local[row] < end}  # type: ignore[operator]  # naive
        watermark = max(watermark, end)

    assert read == {row for row in rows if row <= first + timedelta(minutes=295)}


@pytest.mark.parametrize(
    ("value", "lag", "start"),
    [
        (100, 10, 90),
        (100, 0, 100),
        (NOON, timedelta(minutes=10), NOON - timedelta(minutes=10)),
        (NOON, timedelta(0), NOON),
        (datetime(2025, 1, 1), timedelta(hours=1), datetime(2024, 12, 31, 23)),
        (date(2025, 3, 1), timedelta(days=1), date(2025, 2, 28)),
        (date(2025, 3, 1), timedelta(hours=1), date(2025, 2, 28)),
        (date(2025, 3, 1), timedelta(hours=25), date(2025, 2, 27)),
        (date(2025, 3, 1), timedelta(0), date(2025, 3, 1)),
    ],
)
def test_a_lag_steps_back_in_the_cursors_unit(
    value: CursorValue, lag: timedelta | int, start: CursorValue
) -> None:
    assert step_back(value, lag) == start


@pytest.mark.parametrize(
    ("watermark", "lag", "zone", "start"),
    [
        (date(2025, 3, 3), timedelta(days=1), WARSAW, date(2025, 3, 1)),
        (date(2025, 3, 3), timedelta(days=1), None, date(2025, 2, 28)),
        (date(2025, 3, 3), timedelta(days=2), WARSAW, date(2025, 2, 28)),
        (datetime(2025, 3, 3), timedelta(days=1), WARSAW, datetime(2025, 3, 2)),
        (NOON, timedelta(0), None, NOON),
        (100, 10, None, 90),
    ],
)
def test_a_dates_lag_counts_from_the_last_day_that_was_not_over(
    watermark: CursorValue, lag: timedelta | int, zone: str | None, start: CursorValue
) -> None:
    assert resume_at(watermark, lag, zone) == start


@pytest.mark.parametrize(
    ("zone", "watermark", "lag", "start"),
    [
        (WARSAW, "2025-03-30T03:10", timedelta(hours=1), "2025-03-30T01:10"),
        (WARSAW, "2025-03-30T04:10", timedelta(hours=1), "2025-03-30T03:10"),
        (WARSAW, "2025-10-26T02:30", timedelta(hours=1), "2025-10-26T01:30"),
        (WARSAW, "2025-10-26T03:10", timedelta(hours=3), "2025-10-26T00:10"),
        (LORD_HOWE, "2025-10-05T02:40", timedelta(hours=1), "2025-10-05T01:10"),
        (LORD_HOWE, "2025-04-06T01:40", timedelta(hours=1), "2025-04-06T00:40"),
    ],
)
def test_a_lag_reaches_back_over_the_hour_that_clocks_skip(
    zone: str, watermark: str, lag: timedelta, start: str
) -> None:
    """At 3:10 on the morning without a 2 o'clock, an hour ago was 1:10: 2:10 would miss what commits late."""
    assert resume_at(datetime.fromisoformat(watermark), lag, zone) == datetime.fromisoformat(start)


@given(
    zone=st.sampled_from([WARSAW, LORD_HOWE]),
    run=st.datetimes(datetime(2025, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC)),
    late=st.timedeltas(timedelta(0), timedelta(hours=3)),
    after=st.timedeltas(timedelta(0), timedelta(hours=3)),
)
def test_the_next_window_holds_whatever_commits_within_the_lag(
    zone: str, run: datetime, late: timedelta, after: timedelta
) -> None:
    """A row commits `after` the run that set the watermark, stamped `late` before that."""
    watermark, lag = end_at("naive", run, zone), max(late, timedelta(hours=1))
    stamped = end_at("naive", run + after - late, zone)

    assert resume_at(watermark, lag, zone) <= stamped  # type: ignore[operator]  # naive


@pytest.mark.parametrize(("value", "lag"), [(100, timedelta(days=1)), (NOON, 10), (date(2025, 1, 1), 3)])
def test_a_lag_of_another_kind_is_refused(value: CursorValue, lag: timedelta | int) -> None:
    with pytest.raises(TypeError, match="lag"):
        step_back(value, lag)
