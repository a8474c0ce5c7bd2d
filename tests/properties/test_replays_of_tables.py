"""Rows of a table that were quarantined are loaded after a fix, exactly once, and never against a newer row."""

from __future__ import annotations

from pathlib import Path

import pytest
from duck import Client
from model_replays import Shelf, counted

from etl_factory.errors import NothingToLoad, QuarantineError, StaleError, TerminalError, TransientError
from etl_factory.operators import google

KEYED = ("load: transactional", "cursor: at", "lag: 0s", "primary_key: [id]", "max_bad_rows: 80%")
UNKEYED = (*KEYED[:2], "lag: 1d", "max_bad_rows: 80%")
CATALOG = ("load: catalog", "max_bad_rows: 80%")
TEXT = "columns: {rename: {v: v_text}, types: {v: STRING}}"
BAD, WORSE = "infinity", "-infinity"


@pytest.fixture
def shelf(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    made = Shelf(client, tmp_path)
    monkeypatch.setattr(google, "landing", lambda resource: made.landing)
    monkeypatch.setattr(google, "warehouse", lambda resource: made.warehouse)
    return made


def fill(shelf: Shelf, *rows: tuple[int | None, str | None]) -> None:
    for row in rows:
        shelf.things.put(*row)


def test_rows_are_loaded_once_after_the_fix(shelf: Shelf) -> None:
    fill(shelf, (1, "2025-01-01"), (2, BAD), (3, "2025-01-03"), (4, "12345-01-01"))
    shelf.table(*KEYED)
    assert shelf.run() == {"inserted": 2, "quarantined": 2}
    assert shelf.aside("`key`, `column`, kind") == [('{"id": 2}', "v", "row"), ('{"id": 4}', "v", "row")]
    before = shelf.head()

    assert shelf.replay() == {"stay": 2}
    assert len(shelf.aside()) == 2

    shelf.table(*KEYED, TEXT)
    assert shelf.replay() == {"loaded": 2}
    assert shelf.rows("id, v_text") == [(1, None), (2, BAD), (3, None), (4, "12345-01-01")]
    assert shelf.aside() == []
    assert (shelf.head().watermark, shelf.head().snapshot_at) == (before.watermark, before.snapshot_at)
    assert shelf.modes() == ["live", "replay", "replay"]
    with pytest.raises(NothingToLoad, match="nothing is in quarantine that could be replayed"):
        shelf.replay()
    assert shelf.modes() == ["live", "replay", "replay"]


def test_the_report_names_the_key_of_what_stays(shelf: Shelf) -> None:
    fill(shelf, (1, None), (2, BAD))
    shelf.table(*KEYED)
    shelf.run()

    told = shelf.steps(replay=True).extract().stage().publish()["replay"]
    assert "record 2, key {\"id\": 2}, column 'v': 'infinity' not a DATE" in told["first"]


@pytest.mark.parametrize("shape", [(), ("partition_by: at",)], ids=["whole", "partitioned"])
def test_a_row_that_was_read_later_wins(shelf: Shelf, shape: tuple[str, ...]) -> None:
    fill(shelf, (1, BAD), (2, BAD), (3, BAD), (8, None))
    shelf.table(*KEYED, *shape)
    shelf.run()
    shelf.things.change(1, "2025-01-01")
    shelf.things.change(2, WORSE)
    shelf.run()
    shelf.table(*KEYED, *shape, "on_unrepresentable: null")

    assert shelf.replay() == {"loaded": 2, "superseded": 2}
    assert shelf.rows("id, CAST(v AS STRING)") == [(1, "2025-01-01"), (2, None), (3, None), (8, None)]
    assert shelf.aside("`key`, value, kind") == [
        ('{"id": 2}', WORSE, "value"), ('{"id": 3}', BAD, "value"),
    ]  # fmt: skip
    assert shelf.replay() == {"stay": 2}

    shelf.table(*KEYED, *shape, TEXT)
    assert shelf.replay() == {"loaded": 2}
    assert shelf.rows("id, v_text") == [(1, None), (2, WORSE), (3, BAD), (8, None)]
    assert shelf.aside() == []


def test_a_row_replayed_counts_as_of_its_own_load(shelf: Shelf) -> None:
    """A run that read before the replay, and after the row's load, shows newer values, though it publishes last."""
    fill(shelf, (1, BAD), (2, None))
    shelf.table(*KEYED)
    shelf.run()
    shelf.table(*KEYED, TEXT)
    shelf.things.change(1, "2025-02-02")
    late = shelf.steps().extract().stage()
    assert shelf.replay() == {"loaded": 1}
    assert shelf.rows("id, v_text") == [(1, BAD), (2, None)]

    late.publish()
    assert shelf.rows("id, v_text") == [(1, "2025-02-02"), (2, None)]


def test_a_value_is_put_right_only_while_no_later_row_is_there(shelf: Shelf) -> None:
    fill(shelf, (1, BAD), (2, BAD))
    shelf.table(*KEYED, "on_unrepresentable: null")
    assert shelf.run() == {"inserted": 2}
    shelf.things.change(1, "2025-01-01")
    shelf.run()
    shelf.table(*KEYED, TEXT)

    assert shelf.replay() == {"loaded": 1, "superseded": 1}
    assert shelf.rows("id, v_text, CAST(v AS STRING)") == [(1, None, "2025-01-01"), (2, BAD, None)]
    assert shelf.aside() == []


def test_without_a_key_as_many_copies_come_as_one_load_held(shelf: Shelf) -> None:
    at = shelf.clock.now()
    shelf.things.rows += [(1, BAD, at), (1, BAD, at), (2, None, at)]
    shelf.table(*UNKEYED)
    shelf.run()
    shelf.run()
    assert len(shelf.aside()) == 4
    shelf.table(*UNKEYED, TEXT)
    shelf.things.rows.pop(1)

    assert shelf.replay() == {"loaded": 2, "superseded": 2}
    assert shelf.rows("id, v_text") == [(1, BAD), (1, BAD), (2, None)]
    assert shelf.aside() == []
    shelf.run()
    assert shelf.rows("id, v_text") == [(1, BAD), (1, BAD), (2, None)]


def test_what_a_run_has_loaded_meanwhile_does_not_come_again(shelf: Shelf) -> None:
    fill(shelf, (1, BAD), (2, None))
    shelf.table(*UNKEYED)
    shelf.run()
    shelf.table(*UNKEYED, TEXT)
    shelf.run()

    assert shelf.replay() == {"superseded": 1}
    assert shelf.rows("id, v_text") == [(1, BAD), (2, None)]


def test_single_values_without_a_key_stay(shelf: Shelf) -> None:
    fill(shelf, (1, BAD), (2, None))
    shelf.table(*UNKEYED, "on_unrepresentable: null")
    shelf.run()
    shelf.table(*UNKEYED, TEXT)

    with pytest.raises(
        TerminalError, match="none of the rows in quarantine can be replayed \\(1: single values of"
    ):
        shelf.replay()
    assert len(shelf.aside()) == 1


def test_what_config_hides_by_now_is_not_taken_out_of_quarantine(shelf: Shelf) -> None:
    fill(shelf, (1, BAD), (2, None))
    shelf.table(*KEYED)
    shelf.run()
    before = set(shelf.landing.objects)
    shelf.table(*KEYED, "columns: {rename: {v: v_hash}, mask: {v: sha256}}")
    with pytest.raises(TerminalError, match="1: they hold columns that config masks otherwise by now"):
        shelf.replay()

    shelf.table(*KEYED, "columns: {exclude: [v]}")
    assert shelf.replay() == {"loaded": 1}
    assert shelf.rows("id") == [(1,), (2,)]
    written = [data for uri, data in shelf.landing.objects.items() if uri not in before]
    assert not any(BAD.encode() in data for data in written)


def test_of_two_at_once_one_is_refused(shelf: Shelf) -> None:
    fill(shelf, (1, BAD), (2, None))
    shelf.table(*UNKEYED)
    shelf.run()
    shelf.table(*UNKEYED, TEXT)
    one, other = (shelf.steps(replay=True).extract().stage() for _ in range(2))

    assert counted(one.publish()) == {"loaded": 1}
    with pytest.raises(StaleError, match="the quarantine has changed since these rows were taken"):
        other.publish()
    assert counted(one.publish()) == {"loaded": 1}, "a try whose answer was lost only reports"
    assert shelf.rows("id, v_text") == [(1, BAD), (2, None)]
    with pytest.raises(NothingToLoad):
        other.extract()


def test_of_two_in_one_moment_one_is_tried_again_and_then_refused(shelf: Shelf) -> None:
    fill(shelf, (1, BAD), (2, None))
    shelf.table(*UNKEYED)
    shelf.run()
    shelf.table(*UNKEYED, TEXT)
    one, other = (shelf.steps(replay=True).extract().stage() for _ in range(2))
    shelf.client.before_publish = lambda: other.publish() and None

    with pytest.raises(TransientError, match="another publish of this resource came first"):
        one.publish()
    with pytest.raises(StaleError):
        one.publish()
    assert shelf.rows("id, v_text") == [(1, BAD), (2, None)]


def test_an_answer_that_is_lost_and_steps_that_are_done_again(shelf: Shelf) -> None:
    fill(shelf, (1, BAD), (2, None))
    shelf.table(*KEYED)
    shelf.run()
    shelf.table(*KEYED, TEXT)
    fill(shelf, (3, None))
    shelf.run()  # the column is there now, so that the next job is the publish
    steps = shelf.steps(replay=True).extract().stage()
    steps.extract().stage()
    shelf.client.lose_answer = True
    with pytest.raises(TransientError):
        steps.publish()

    assert counted(steps.publish()) == {"loaded": 1}
    assert shelf.rows("id, v_text") == [(1, BAD), (2, None), (3, None)]
    assert shelf.aside() == []


def test_a_run_beside_it(shelf: Shelf) -> None:
    fill(shelf, (1, BAD), (2, None))
    shelf.table(*KEYED)
    shelf.run()
    shelf.table(*KEYED, TEXT)
    steps = shelf.steps(replay=True).extract().stage()
    shelf.things.change(1, "2026-01-01")
    shelf.run()

    assert counted(steps.publish()) == {"superseded": 1}
    assert shelf.rows("id, v_text") == [(1, "2026-01-01"), (2, None)]
    assert shelf.aside() == []


def test_a_full_refresh_has_read_everything(shelf: Shelf) -> None:
    fill(shelf, (1, BAD), (2, None))
    shelf.table(*KEYED)
    shelf.run()
    shelf.table(*KEYED, TEXT)
    steps = shelf.steps(replay=True).extract().stage()
    shelf.things.rows = [row for row in shelf.things.rows if row[0] != 1]
    shelf.run(full_refresh=True)

    with pytest.raises(StaleError, match="a full refresh was published since"):
        steps.publish()
    assert shelf.replay() == {"superseded": 1}
    assert shelf.rows("id, v_text") == [(2, None)]


def test_a_cleared_run_sets_aside_its_own_rows_anew(shelf: Shelf) -> None:
    fill(shelf, (1, BAD), (2, None))
    shelf.table(*KEYED)
    first = shelf.steps()
    first.extract().stage().publish()
    shelf.table(*KEYED, TEXT)
    assert shelf.replay() == {"loaded": 1}
    shelf.table(*KEYED)
    first.extract().stage().publish()

    assert (shelf.rows("id, v_text"), len(shelf.aside())) == ([(1, BAD), (2, None)], 1)
    shelf.table(*KEYED, TEXT)
    shelf.replay()
    assert (shelf.rows("id, v_text"), shelf.aside()) == ([(1, BAD), (2, None)], [])


@pytest.mark.parametrize(
    ("history", "counts", "times"),
    [("none", {"loaded": 1, "superseded": 1}, 1), ("snapshots", {"loaded": 2}, 2)],
)
def test_a_row_of_a_catalog_belongs_to_its_snapshot(
    shelf: Shelf, history: str, counts: dict[str, int], times: int
) -> None:
    fill(shelf, (1, BAD), (2, None))
    lines = (*CATALOG, f"history: {history}")
    shelf.table(*lines)
    shelf.run()
    shelf.run()
    shelf.table(*lines, TEXT)

    assert shelf.replay() == counts
    assert shelf.rows("id, v_text") == [(1, BAD)] * times + [(2, None)] * times
    assert shelf.aside() == []
    if history == "snapshots":
        dated = shelf.rows("_etl_snapshot_at, COUNT(*) OVER (PARTITION BY _etl_snapshot_at)")
        assert [count for _, count in dated] == [2, 2, 2, 2]


def test_versions_are_refused(shelf: Shelf) -> None:
    shelf.table(*CATALOG, "history: scd2", "primary_key: [id]")
    with pytest.raises(TerminalError, match="history: scd2 cannot be replayed"):
        shelf.replay()


def test_a_row_without_a_key_stays(shelf: Shelf) -> None:
    fill(shelf, (1, None), (None, None))
    shelf.table(*KEYED)
    assert shelf.run() == {"inserted": 1, "quarantined": 1}
    with pytest.raises(
        TerminalError, match="none of the rows in quarantine can be replayed \\(1: their exact"
    ):
        shelf.replay()
    assert shelf.aside("reason") == [("the primary key is NULL",)]


def test_an_empty_quarantine_is_said(shelf: Shelf) -> None:
    fill(shelf, (1, None))
    shelf.table(*KEYED)
    with pytest.raises(NothingToLoad, match="nothing is in quarantine"):
        shelf.replay()


@pytest.mark.parametrize("limit", ["1", "24%"])
def test_more_than_max_bad_rows_publishes_nothing(shelf: Shelf, limit: str) -> None:
    fill(shelf, (1, BAD), (2, BAD), *((n, None) for n in range(3, 9)))
    shelf.table(*KEYED[:4], f"max_bad_rows: {limit}")
    with pytest.raises(QuarantineError, match="2 of 8 rows are bad, more than max_bad_rows allows"):
        shelf.run()
    assert (shelf.rows(), shelf.head().watermark) == ([], None)


@pytest.mark.parametrize("limit", ["2", "25%"])
def test_just_max_bad_rows_are_quarantined(shelf: Shelf, limit: str) -> None:
    fill(shelf, (1, BAD), (2, BAD), *((n, None) for n in range(3, 9)))
    shelf.table(*KEYED[:4], f"max_bad_rows: {limit}")
    assert shelf.run() == {"inserted": 6, "quarantined": 2}
