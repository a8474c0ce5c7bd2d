"""What a run reads: the window of a table by cursor kind, mode and clock, and the objects of a path."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from etl_factory.errors import ConfigError, TerminalError
from etl_factory.landing.manifest import Mode, PlannedObject
from etl_factory.sources.base import SourceObject, WindowBasis
from etl_factory.sources.specs import TransactionalTable
from etl_factory.transfers.planning import LEAST_INTEGER, checked_lag, least_lag, plan_objects, plan_window
from etl_factory.transfers.request import RunRequest
from etl_factory.windows import CursorKind, CursorValue, Window

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
WARSAW = "Europe/Warsaw"


class Basis(WindowBasis):
    """A source's clock, its cursor's kind and its greatest integer, as a test says."""

    def __init__(self, kind: CursorKind, now: datetime = NOW, greatest: int | None = None) -> None:
        self.kind, self.now, self.largest, self.oldest = kind, now, greatest, None

    @property
    def settled(self) -> datetime:
        return self.oldest or super().settled

    def cursor_kind(self) -> CursorKind:
        return self.kind

    def greatest(self) -> int | None:
        return self.largest


def spec(**settings: Any) -> TransactionalTable:
    return TransactionalTable.model_validate(
        {"table": "orders", "load": "transactional", "cursor": "seen", **settings}
    )


def request(
    mode: Mode = "live", start: str | None = None, end: str | None = None, run_after: datetime = NOW
) -> RunRequest:
    return RunRequest("ld_1", "extract-1-0", "run", run_after, mode, start, end)


@pytest.mark.parametrize(
    ("kind", "settings", "watermark", "start", "end"),
    [
        ("instant", {}, "2025-06-01T11:00:00+00:00", NOW - timedelta(minutes=70), NOW),
        ("instant", {"lag": "0s"}, "2025-06-01T11:00:00+00:00", NOW - timedelta(hours=1), NOW),
        (
            "naive",
            {"cursor_timezone": WARSAW},
            "2025-06-01T13:00:00",
            datetime(2025, 6, 1, 12),
            datetime(2025, 6, 1, 14),
        ),
        ("date", {}, "2025-06-01", date(2025, 5, 29), date(2025, 6, 2)),
        ("date", {"cursor_timezone": WARSAW}, "2025-06-01", date(2025, 5, 30), date(2025, 6, 2)),
        (
            "date",
            {"cursor_timezone": WARSAW, "lag": "3d"},
            "2025-06-01",
            date(2025, 5, 28),
            date(2025, 6, 2),
        ),
        ("integer", {}, "41", -959, 51),
        ("integer", {"backfill_from": 30}, "41", 30, 51),
        ("integer", {"backfill_from": 30, "lag": 5}, "41", 36, 51),
        ("integer", {"backfill_from": 45}, "41", -959, 51),
        (
            "instant",
            {"backfill_from": "2025-06-01T10:55:00Z"},
            "2025-06-01T11:00:00+00:00",
            NOW - timedelta(minutes=65),
            NOW,
        ),
        ("integer", {"lag": 5}, "41", 36, 51),
    ],
)
def test_a_live_run_reads_from_the_watermark_less_the_lag(
    kind: CursorKind, settings: dict[str, Any], watermark: str, start: CursorValue, end: CursorValue
) -> None:
    window = plan_window(spec(**settings), request(), watermark, Basis(kind, greatest=50))

    assert window == Window(kind, start, end)


def test_the_end_is_cut_back_to_the_sources_clock() -> None:
    behind = Basis("instant", now=NOW - timedelta(seconds=90))

    window = plan_window(spec(), request(), None, behind)

    assert window == Window("instant", None, NOW - timedelta(seconds=90))


def test_the_end_is_cut_back_to_the_oldest_transaction_that_still_writes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    basis = Basis("instant")
    basis.oldest = NOW - timedelta(hours=3)

    with caplog.at_level("INFO"):
        window = plan_window(spec(), request(), "2025-06-01T08:00:00+00:00", basis)

    assert window == Window("instant", NOW - timedelta(hours=4, minutes=10), NOW - timedelta(hours=3))
    assert "the window ends at 2025-06-01 09:00:00+00:00: a transaction that began then" in caplog.text


def test_the_end_is_the_runs_own_moment_however_late_it_starts() -> None:
    window = plan_window(spec(), request(), None, Basis("instant", now=NOW + timedelta(hours=5)))

    assert window == Window("instant", None, NOW)


def test_an_older_run_than_the_watermark_has_an_inverted_window() -> None:
    window = plan_window(spec(), request(), "2025-06-01T13:00:00+00:00", Basis("instant"))

    assert window is not None
    assert window.is_empty


def test_an_integer_cursor_without_new_values_reads_its_last_unit_so_that_the_nulls_are_read() -> None:
    """With no lag the window was empty, and a row whose cursor is NULL waited for the next number."""
    window = plan_window(spec(lag=0), request(), "51", Basis("integer", greatest=50))

    assert window == Window("integer", 50, 51)


def test_an_integer_cursor_whose_last_rows_were_deleted_reads_what_is_left() -> None:
    window = plan_window(spec(lag=0), request(), "51", Basis("integer", greatest=40))

    assert window == Window("integer", 40, 41)


def test_room_for_the_nulls_is_not_made_before_backfill_from() -> None:
    window = plan_window(spec(lag=0, backfill_from=30), request(), "51", Basis("integer", greatest=20))

    assert window == Window("integer", 30, 21)


def test_a_sequence_value_that_commits_after_a_greater_one_is_read() -> None:
    """Two sessions take 50 and 51; 51 commits and is read, 50 commits after that."""
    first = plan_window(spec(), request(), None, Basis("integer", greatest=51))
    assert first is not None
    second = plan_window(spec(), request(), str(first.end), Basis("integer", greatest=51))

    assert second is not None
    assert not second.is_empty
    assert second.start <= 50 < second.end  # type: ignore[operator]  # integers


@pytest.mark.parametrize("zone", ["Pacific/Pago_Pago", "America/Los_Angeles", WARSAW, "Pacific/Kiritimati"])
@pytest.mark.parametrize("is_known", [True, False], ids=["known_zone", "unknown_zone"])
@pytest.mark.parametrize("step", [timedelta(hours=3), timedelta(days=1), timedelta(days=3)])
@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=1), timedelta(hours=23)])
def test_no_row_of_a_date_is_lost_that_commits_within_a_day(
    zone: str, is_known: bool, step: timedelta, late: timedelta
) -> None:
    """Rows dated by the writers' clock every hour; daily runs at 0:00 and at 20:00 in Los Angeles, or often."""
    settings = {"cursor_timezone": zone} if is_known else {}
    first = datetime(2025, 6, 1, 7, tzinfo=UTC)
    unread = {first + timedelta(hours=n) for n in range(4 * 24)}
    for shift in (timedelta(0), timedelta(hours=20)):
        rows, watermark = set(unread), None
        for run in [first + shift + step * n for n in range(round(timedelta(days=9) / step))]:
            window = plan_window(spec(**settings), request(run_after=run), watermark, Basis("date", now=run))
            assert window is not None
            committed = {row for row in rows if row + late <= run}
            rows -= {row for row in committed if _holds(window, row.astimezone(ZoneInfo(zone)).date())}
            watermark = str(window.end)
        assert rows == set()


def _holds(window: Window, day: date) -> bool:
    start, end = window.start, window.end
    return (start is None or start <= day) and day < end  # type: ignore[operator]  # dates


def test_an_integer_cursor_without_any_value_reads_the_nulls_and_then_every_number() -> None:
    """No window was made of a table whose cursors are all NULL, and its rows were never read."""
    first = plan_window(spec(), request(), None, Basis("integer"))
    again = plan_window(spec(), request(), str(first.end), Basis("integer"))
    later = plan_window(spec(), request(), str(again.end), Basis("integer", greatest=-(2**62)))

    assert [window.is_empty for window in (first, again, later)] == [False, False, False]
    assert (first.start, first.end) == (None, LEAST_INTEGER)
    assert again.start == later.start == LEAST_INTEGER - 1 > -(2**63)
    assert later.end == -(2**62) + 1


@pytest.mark.parametrize(
    ("kind", "settings", "start"),
    [
        ("instant", {"backfill_from": date(2025, 1, 1)}, datetime(2025, 1, 1, tzinfo=UTC)),
        (
            "instant",
            {"backfill_from": datetime.fromisoformat("2025-01-01T02:00:00+02:00")},
            datetime(2025, 1, 1, tzinfo=UTC),
        ),
        (
            "naive",
            {"backfill_from": datetime.fromisoformat("2025-01-01T00:00:00+00:00"), "cursor_timezone": WARSAW},
            datetime(2025, 1, 1, 1),
        ),
        ("naive", {"backfill_from": date(2025, 1, 1), "cursor_timezone": WARSAW}, datetime(2025, 1, 1)),
        (
            "instant",
            {"backfill_from": "2025-01-01T00:00:00+02:00"},
            datetime(2024, 12, 31, 22, tzinfo=UTC),
        ),
        ("date", {"backfill_from": date(2025, 1, 1)}, date(2025, 1, 1)),
        ("date", {"backfill_from": "2025-01-01T00:00:00+02:00"}, date(2025, 1, 1)),
        (
            "date",
            {"backfill_from": "2025-01-01T00:00:00+02:00", "cursor_timezone": "UTC"},
            date(2024, 12, 31),
        ),
        ("integer", {"backfill_from": 10}, 10),
        ("integer", {"backfill_from": 0}, 0),
        ("integer", {}, None),
    ],
)
@pytest.mark.parametrize(
    ("mode", "watermark"), [("live", None), ("full_refresh", None), ("full_refresh", "?")]
)
def test_a_first_load_and_a_full_refresh_read_from_backfill_from(
    kind: CursorKind, settings: dict[str, Any], start: CursorValue | None, mode: Mode, watermark: str | None
) -> None:
    window = plan_window(spec(**settings), request(mode), watermark, Basis(kind, greatest=50))

    assert window is not None
    assert window.start == start


@pytest.mark.parametrize(
    ("kind", "settings", "start", "end", "window"),
    [
        (
            "instant",
            {},
            "2025-01-01",
            "2025-01-02T12:00:00+02:00",
            Window("instant", datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 1, 2, 10, tzinfo=UTC)),
        ),
        (
            "naive",
            {"cursor_timezone": WARSAW},
            "2025-01-01",
            "2025-01-02T00:00:00+00:00",
            Window("naive", datetime(2025, 1, 1), datetime(2025, 1, 2, 1)),
        ),
        ("date", {}, "2025-01-01", "2025-02-01", Window("date", date(2025, 1, 1), date(2025, 2, 1))),
        ("integer", {"lag": 5}, "-3", "100", Window("integer", -3, 100)),
    ],
)
def test_a_backfill_reads_just_what_it_was_asked_whatever_the_watermark_and_lag(
    kind: CursorKind, settings: dict[str, Any], start: str, end: str, window: Window
) -> None:
    planned = plan_window(spec(**settings), request("backfill", start, end), "?", Basis(kind, greatest=50))

    assert planned == window


def test_a_day_of_an_instant_is_the_tenants_own_day() -> None:
    in_warsaw = replace(request("backfill", "2025-03-30", "2025-03-31"), timezone=WARSAW)
    first = replace(request(), timezone=WARSAW)
    day = (datetime(2025, 3, 29, 23, tzinfo=UTC), datetime(2025, 3, 30, 22, tzinfo=UTC))

    assert plan_window(spec(), in_warsaw, None, Basis("instant")) == Window("instant", *day)
    assert plan_window(spec(backfill_from=date(2025, 3, 30)), first, None, Basis("instant")).start == day[0]


@pytest.mark.parametrize(
    ("kind", "start", "message"),
    [
        (
            "integer",
            "2025-01-01",
            "'2025-01-01' cannot bound cursor 'seen', which is of kind integer: give start and end as numbers, for"
            " example by `etl-factory backfill` with --from 1 --to 1000 --step 100",
        ),
        (
            "date",
            "yesterday",
            "'yesterday' cannot bound cursor 'seen', which is of kind date: give start and end as dates or times",
        ),
        (
            "instant",
            "0001-01-01T00:00:00+05:00",
            "'0001-01-01T00:00:00+05:00' cannot bound cursor 'seen', which is of kind instant: give start and end"
            " as dates or times",
        ),
    ],
)
def test_a_bound_of_another_kind_is_named(kind: CursorKind, start: str, message: str) -> None:
    with pytest.raises(TerminalError) as raised:
        plan_window(spec(), request("backfill", start, "9"), None, Basis(kind))

    assert str(raised.value) == message


def test_a_watermark_of_another_kind_asks_for_a_full_refresh() -> None:
    with pytest.raises(TerminalError) as raised:
        plan_window(spec(), request(), "2025-06-01", Basis("integer", greatest=3))

    assert str(raised.value) == (
        "cursor 'seen' is of kind integer now, but the watermark 2025-06-01 is not: the column's type or `cursor`"
        " has changed. Run once with full_refresh to start anew"
    )


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (
            "naive",
            {},
            "cursor 'seen' is a timestamp without time zone: set cursor_timezone (an IANA name, for example"
            " Europe/Warsaw)",
        ),
        (
            "naive",
            {"cursor_timezone": WARSAW, "lag": "59m"},
            "cursor 'seen' is of kind naive: lag must be at least 1:00:00, not 0:59:00",
        ),
        (
            "date",
            {"lag": "23h"},
            "cursor 'seen' is of kind date: lag must be at least 1 day, 0:00:00, not 23:00:00",
        ),
        (
            "integer",
            {"lag": "10m"},
            "cursor 'seen' is of kind integer: lag must be a whole number of units, not 0:10:00",
        ),
        (
            "instant",
            {"lag": 10},
            "cursor 'seen' is of kind instant: lag must be a duration such as 10m, not 10",
        ),
        (
            "integer",
            {"backfill_from": date(2025, 1, 1)},
            "cursor 'seen' is of kind integer: backfill_from must be a number, not 2025-01-01",
        ),
        (
            "date",
            {"backfill_from": 7},
            "cursor 'seen' is of kind date: backfill_from must be a date or time, not 7",
        ),
    ],
)
def test_settings_that_contradict_the_cursors_kind_are_config_errors(
    kind: CursorKind, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        plan_window(spec(**settings), request(), None, Basis(kind, greatest=1))

    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("kind", "zone", "least"),
    [
        ("instant", WARSAW, timedelta(0)),
        ("integer", None, timedelta(0)),
        ("date", None, timedelta(days=1)),
        ("naive", WARSAW, timedelta(hours=1)),
        ("naive", "Australia/Lord_Howe", timedelta(hours=1)),
        ("naive", "Antarctica/Troll", timedelta(hours=2)),
        ("naive", "Asia/Tokyo", timedelta(0)),
        ("naive", "UTC", timedelta(0)),
    ],
)
def test_the_least_lag_covers_what_clocks_go_back_by(
    kind: CursorKind, zone: str | None, least: timedelta
) -> None:
    assert least_lag(kind, zone) == least


@pytest.mark.parametrize(
    ("kind", "zone", "lag"),
    [
        ("instant", None, timedelta(minutes=10)),
        ("naive", WARSAW, timedelta(hours=1)),
        ("naive", "Antarctica/Troll", timedelta(hours=2)),
        ("naive", "Asia/Tokyo", timedelta(hours=1)),
        ("date", None, timedelta(days=1)),
        ("integer", None, 1_000),
    ],
)
def test_the_lag_that_nobody_set_is_always_allowed(
    kind: CursorKind, zone: str | None, lag: timedelta | int
) -> None:
    assert checked_lag(spec(cursor_timezone=zone), kind) == lag


def listed(name: str, version: str = "1", day: int = 1) -> SourceObject:
    return SourceObject(f"s3://b/{name}", version, 10, datetime(2025, 1, day, tzinfo=UTC))


def names(planned: tuple[PlannedObject, ...]) -> list[str]:
    return [item.uri.removeprefix("s3://b/") for item in planned]


FOUND = [listed("a", day=2), listed("b", "2", day=3), listed("c", day=3)]
LOADED = {("s3://b/a", "1"), ("s3://b/b", "1")}


@pytest.mark.parametrize(
    ("files", "mode", "chosen"),
    [
        ("new", "live", ["b", "c"]),
        ("new", "full_refresh", ["a", "b", "c"]),
        ("new", "backfill", ["a", "b", "c"]),
        ("all", "live", ["a", "b", "c"]),
        ("latest", "live", ["c"]),
        ("latest", "full_refresh", ["c"]),
    ],
)
def test_objects_are_chosen_by_what_is_loaded_at_that_version(
    files: str, mode: Mode, chosen: list[str]
) -> None:
    assert names(plan_objects(FOUND, LOADED, mode, files=files)) == chosen


def test_nothing_listed_is_nothing_planned() -> None:
    assert plan_objects([], (), "live", files="latest") == ()


def test_a_planned_object_keeps_version_size_and_time() -> None:
    (planned,) = plan_objects([listed("ż `'\n.csv", "etag-1")], (), "live", files="all")

    assert planned == PlannedObject("s3://b/ż `'\n.csv", "etag-1", 10, "2025-01-01T00:00:00+00:00")
