"""No row lost, none doubled: whatever transactions and runs do, in whatever order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from duck import Client
from hypothesis import given
from model_source import Setting
from model_story import (
    Again,
    Backfill,
    Begin,
    End,
    Load,
    Publish,
    PutBack,
    Wait,
    World,
    Write,
    catalogs,
    deleting,
    settings,
    stories,
    tell,
)
from search import searching

from etl_factory.errors import TransientError
from etl_factory.operators import google
from etl_factory.operators.publishing import Publisher
from etl_factory.warehouse.ledger import COUNTS

pytestmark = pytest.mark.timeout(7200)  # the long search
WorldOf = Callable[[Setting], World]


@pytest.fixture
def world_of(client: Client, monkeypatch: pytest.MonkeyPatch) -> WorldOf:
    """Return what makes a world whose runs use its own landing and warehouse."""

    def make(setting: Setting) -> World:
        world = World.of(setting, client)
        monkeypatch.setattr(google, "landing", lambda _: world.loader.landing)
        monkeypatch.setattr(google, "warehouse", lambda _: world.loader.warehouse)
        return world

    return make


@searching(32)
@given(setting=settings(), story=stories())
def test_a_table_read_along_its_cursor_loses_and_doubles_nothing(
    world_of: WorldOf, setting: Setting, story: list[Any]
) -> None:
    tell(world_of(setting), story)


@searching(8)
@given(setting=catalogs(), story=stories())
def test_a_catalog_is_a_snapshot_and_its_history_every_snapshot(
    world_of: WorldOf, setting: Setting, story: list[Any]
) -> None:
    tell(world_of(setting), story)


@searching(8)
@given(setting=deleting(), story=stories())
def test_what_is_gone_at_the_source_is_found(world_of: WorldOf, setting: Setting, story: list[Any]) -> None:
    tell(world_of(setting), story)


AUTUMN, SPRING = datetime(2025, 10, 26, 0, 50, tzinfo=UTC), datetime(2025, 3, 30, 0, 50, tzinfo=UTC)
STORIES = {
    "numbers_that_are_all_null": (Setting("integer", 0), Write(1, "put_null"), Load(), Write(2)),
    "a_null_after_the_last_number": (Setting("integer", 0), Write(1), Load(), Write(2, "put_null")),
    "a_number_given_out_before_the_last": (Setting("integer", 3), Begin(1, 1), Write(2), Load(), End(1)),
    "a_late_commit_after_clocks_went_forward": (
        Setting("naive", 3600, zone="Europe/Warsaw", begin=SPRING), Wait(1200), Load(), Write(1), Load(), Wait(600),
        Write(2, "put", 1800),
    ),
    "an_hour_that_comes_twice": (
        Setting("naive", 3600, zone="Europe/Warsaw", begin=AUTUMN), Write(1), Wait(60), Load(), Wait(1200), Write(2),
        Load(), Wait(1800), Write(3), Load(),
    ),
    "a_transaction_of_a_day": (
        Setting("instant", 0, settles=True), Begin(1, 1), Wait(86_400), Write(2), Load(), End(1),
    ),
    "a_refresh_between_reading_and_publishing": (
        Setting("instant", 0, is_keyed=False), Write(1), Wait(1), Load(stops=True), Wait(60), Write(2), Wait(1),
        Load(refresh=True), Publish(0),
    ),
    "two_publishes_at_one_instant": (
        Setting(is_keyed=False), Write(1), Wait(1), Load(stops=True), Write(1), Wait(1), Load(stops=True),
        Publish(0, rival=1),
    ),
    "an_answer_that_was_lost": (Setting(is_keyed=False), Write(1), Wait(1), Load(stops=True), Publish(0, is_lost=True)),
    "a_cleared_run_whose_folder_is_gone": (
        Setting(is_keyed=False), Write(1), Wait(1), Load(), Write(1), Wait(1), Load(), Again(0, is_wiped=True),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STORIES)
def test_a_story_of_a_table(world_of: WorldOf, name: str) -> None:
    setting, *story = STORIES[name]
    tell(world_of(setting), story)


DAY = 86_400
MOVING = {
    "every_change_moves_a_row_to_another_day": (
        Setting(is_partitioned=True), Write(1), Write(2), Load(), Wait(DAY), Write(1), Load(), Wait(DAY), Write(1),
        Write(2, "put_null"), Load(), Wait(DAY), Write(2), Write(3), Load(),
    ),
    "an_older_version_comes_late_and_by_itself": (
        Setting("date", 2 * DAY, is_partitioned=True), Write(1), Wait(DAY), Load(stops=True), Wait(DAY), Write(1),
        Wait(DAY), Load(), Publish(0),
    ),
    "a_rival_moves_the_row_between_the_question_and_the_transaction": (
        Setting("naive", 2 * DAY, is_partitioned=True), Write(1), Wait(DAY), Load(), Wait(DAY), Write(1), Wait(1),
        Load(stops=True), Wait(DAY), Write(1), Wait(1), Load(stops=True), Publish(1, rival=2), Publish(2),
    ),
    "a_mark_goes_off_on_another_day": (
        Setting(deletes="mark", is_partitioned=True), Write(1), Write(2), Load(), Write(1, "delete"), Wait(60), Load(),
        Wait(DAY), Write(1), Load(), Wait(DAY), Backfill(2 * DAY, 2 * DAY),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVING)
def test_a_row_that_moves_between_partitions_is_there_once(world_of: WorldOf, name: str) -> None:
    setting, *story = MOVING[name]
    tell(world_of(setting), story)


def test_a_row_that_somebody_moves_before_the_transaction_is_found_by_the_retry(world_of: WorldOf) -> None:
    world = world_of(Setting(is_partitioned=True))
    for step in (Write(1), Wait(60), Load(), Wait(DAY), Write(1), Wait(60), Load(stops=True)):
        step.happen(world)
    loader, run = world.loader, world.loader.runs[1]
    manifest, start = loader._load(run), loader.warehouse.start_query

    def after_a_move(*asked: Any) -> Any:
        loader.warehouse.start_query = start  # type: ignore[method-assign]  # as before
        loader.client.rows(f"UPDATE `{loader.resource.table_id}` SET seen = NULL WHERE id = 1")
        return start(*asked)

    loader.warehouse.start_query = after_a_move  # type: ignore[method-assign,assignment]  # once
    publisher = Publisher(loader.resource, loader.warehouse, manifest, run.run_id)
    with pytest.raises(TransientError, match="were moved to other partitions meanwhile"):
        publisher.run()
    assert loader.head() == loader.known

    told = publisher.run()
    assert {name: count for name, count in told.items() if name in COUNTS and count} == {"updated": 1}
    assert loader.published() == Counter(run.rows)


GOING_BACK = {
    "a_long_transaction_writes_last": (
        Setting(), Write(1), Wait(60), Load(), Wait(60), Write(1, "put", 600),
    ),
    "clocks_are_put_back": (
        Setting("naive", 3600, zone="Europe/Warsaw", begin=AUTUMN), Write(1), Wait(60), Load(),
        Wait(1200), Write(1),
    ),
    "the_clock_of_the_source_is_put_back": (
        Setting("integer", 3), Write(1), Load(), PutBack(3600), Wait(1), Write(1), Load(), Wait(1), Load(),
    ),
    "a_row_is_deleted_and_comes_back_older": (
        Setting(), Write(1), Wait(60), Load(), Write(1, "delete"), Wait(1), Write(1, "put", 300),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOING_BACK)
def test_a_row_that_changed_to_a_lesser_cursor_is_updated(world_of: WorldOf, name: str) -> None:
    """Its lateness is within the lag, so that it is read; and what a later snapshot shows is newer."""
    setting, *story = GOING_BACK[name]
    tell(world_of(setting), story)
