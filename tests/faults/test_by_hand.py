"""What people delete by hand, and runs that they clear: nothing is lost, and what cannot go on says what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from concurrency_child import STEPS, Chain, Done, run
from concurrency_shop import STRATEGIES, Shop
from crash_world import BUCKET, World, world

from demo import systems
from etl_factory.identity import load_id
from etl_factory.landing.manifest import load_manifest
from etl_factory.operators import google
from scheduling import PLAYS_ALL

pytestmark = pytest.mark.stack
CLEAR = "clear the run from `extract`"
numbers = count()


@pytest.fixture(scope="module")
def made(stack: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(stack, tmp_path_factory.mktemp("by-hand")) as found:
        yield found


class Hands:
    """One resource of a table of its own, its runs, and hands that delete what lies about."""

    def __init__(self, made: World, strategy: str) -> None:
        self.shop, self.strategy = Shop(made, f"hands_{next(numbers)}", (strategy,)), strategy
        self.shop.make(4)
        self.resource = self.shop.resources[strategy]
        self.versions = self.shop.rows

    def begin(self, run_id: str, until: str = "publish") -> tuple[Chain, Done]:
        """Run a chain as far as a step."""
        asked = Chain(self.resource, run_id, STEPS[: STEPS.index(until) + 1], datetime.now(UTC))
        return asked, run(asked)

    def go_on(self, asked: Chain, done: Done, step: str) -> Done:
        """Run one more step of a chain."""
        return run(replace(asked, steps=(step,), left=done.left))

    def clear(self, asked: Chain) -> Done:
        """Clear a run from extract."""
        return run(replace(asked, steps=STEPS))

    def remember(self) -> None:
        """Note what the source holds, since without a key every version that is read stays."""
        self.versions |= self.shop.rows

    def delete_folder(self, run_id: str) -> None:
        """Delete a run's landing folder."""
        folder = self.resource.target.landing_prefix(load_id(self.resource.dag_id, self.strategy, run_id))
        prefix = folder.removeprefix(f"gs://{BUCKET}/")
        found = list(systems.storage_client().list_blobs(BUCKET, prefix=f"{prefix}/"))
        assert found
        for blob in found:
            blob.delete()

    def drop_staging(self, done: Done) -> str:
        """Drop the staging table that a load has filled; return its name."""
        text = google.landing(self.resource).read_text(done.left["load"]["manifest"])
        table = load_manifest(text or "").staging_table
        google.warehouse(self.resource).drop(table)
        return table

    def demand_whole(self) -> None:
        """Hold the published table against the source."""
        expected = self.versions if self.strategy == "unkeyed" else self.shop.rows
        assert self.shop.published(self.strategy) == expected

    def demand_untouched(self, before: Counter) -> None:
        """Hold that nothing was published since."""
        assert self.shop.published(self.strategy) == before


@pytest.fixture
def hands(made: World, strategy: str) -> Hands:
    return Hands(made, strategy)


@pytest.mark.parametrize("strategy", ["keyed"])
def test_a_staging_table_dropped_before_publish_is_asked_for_again(hands: Hands) -> None:
    asked, done = hands.begin("manual__1", "load")
    table = hands.drop_staging(done)

    with pytest.raises(AirflowFailException, match=CLEAR) as failed:
        hands.go_on(asked, done, "publish")
    assert table.rpartition(".")[2] in str(failed.value)
    hands.demand_untouched(Counter())

    assert hands.clear(asked).report["inserted"] == 4
    hands.demand_whole()


@pytest.mark.parametrize("strategy", ["keyed"])
@pytest.mark.parametrize("step", STEPS[:-1])
def test_a_landing_folder_deleted_between_two_steps_is_asked_for_again(hands: Hands, step: str) -> None:
    asked, done = hands.begin("manual__1", step)
    hands.delete_folder(asked.run_id)

    with pytest.raises(AirflowFailException, match=f"is gone: {CLEAR}"):
        hands.go_on(asked, done, STEPS[STEPS.index(step) + 1])
    hands.demand_untouched(Counter())

    hands.clear(asked)
    hands.demand_whole()


@pytest.mark.parametrize("strategy", STRATEGIES if PLAYS_ALL else ["unkeyed"])
def test_landing_folders_of_finished_runs_are_not_missed(hands: Hands) -> None:
    first, _ = hands.begin("manual__1")
    hands.delete_folder(first.run_id)
    hands.shop.change("second")
    hands.remember()
    second, _ = hands.begin("manual__2")
    hands.delete_folder(second.run_id)
    hands.demand_whole()

    for asked in (second, first):
        hands.clear(asked)
    hands.demand_whole()


@pytest.mark.parametrize(
    ("strategy", "is_deleted"),
    [("keyed", True), ("unkeyed", False), ("unkeyed", True)][: 3 if PLAYS_ALL else 2],
)
def test_a_cleared_run_reads_its_own_window_again(hands: Hands, is_deleted: bool) -> None:
    asked, first = hands.begin("manual__1")
    # Inside the first run's window, and behind it: the cursor of row 2 stays what it was.
    hands.shop.execute(f"UPDATE {hands.shop.name} SET name = 'repaired' WHERE id = 2")
    hands.remember()
    repaired = hands.shop.rows
    hands.shop.execute(f"INSERT INTO {hands.shop.name} VALUES (99, 'later', now())")
    head = hands.shop.ledger(hands.strategy).head()
    if is_deleted:
        hands.delete_folder(asked.run_id)

    cleared = hands.clear(asked)

    assert (cleared.report["window"], cleared.report["rows_read"]) == (first.report["window"], 4)
    expected = hands.versions if hands.strategy == "unkeyed" else repaired
    assert hands.shop.published(hands.strategy) == expected
    assert hands.shop.ledger(hands.strategy).head().watermark == head.watermark

    hands.remember()
    hands.begin("manual__2")
    hands.demand_whole()
