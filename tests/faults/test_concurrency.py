"""Publishes and whole runs that happen at once: one wins, the others are tried again, and nothing interleaves.

Two transactions conflict on BigQuery when both change rows of one table, one of them by UPDATE, DELETE or MERGE: the
one that comes later is cancelled, and its script fails (https://cloud.google.com/bigquery/docs/transactions, with
https://cloud.google.com/bigquery/docs/reference/standard-sql/data-manipulation-language#dml_statement_conflicts). The
emulator differs: it lets only one statement at a time write a table, and tells the loser at its COMMIT where BigQuery
may tell it at the UPDATE of the ledger's head already. What counts is the same: both read one head, one moves it.

With ETL_FACTORY_FAULTS=all there are more rounds, and more sources.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from concurrency_child import STEPS, Chain, Done, Gate, Processes, processes, refused
from concurrency_shop import STRATEGIES, Shop
from crash_world import World, world

from etl_factory.identity import load_id
from etl_factory.windows import encode
from scheduling import PLAYS_ALL

pytestmark = pytest.mark.stack
ROUNDS = 8 if PLAYS_ALL else 1
SOURCES = 20 if PLAYS_ALL else 6
REFUSED = "another publish of this"


@pytest.fixture(scope="module")
def made(stack: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(stack, tmp_path_factory.mktemp("concurrency")) as found:
        yield found


@pytest.fixture(scope="module")
def two(made: World) -> Iterator[Processes]:
    with processes(2, made.env) as found:
        yield found


def gate(folder: Path, parties: int) -> Gate:
    folder.mkdir(parents=True)
    return Gate(folder, parties)


def staged(processes: Processes, shop: Shop, run_id: str) -> dict[str, Done]:
    """Let all resources of a run come as far as their publish."""
    chains = [Chain(resource, run_id, STEPS[:-1]) for resource in shop.resources.values()]
    return dict(zip(shop.resources, processes.at_once(chains), strict=True))


def demand_even(shop: Shop, strategy: str, expected: Counter) -> None:
    """Hold the published table against what is expected of it, and the ledger against the table."""
    published, loads = shop.published(strategy), shop.loads(strategy)
    assert published == expected
    assert [load["version"] for load in loads] == list(range(1, len(loads) + 1))
    assert shop.ledger(strategy).head().version == len(loads)
    assert sum(load["inserted"] - load["deleted"] for load in loads) == published.total()


def test_of_two_publishes_at_one_instant_one_commits_and_the_other_is_tried_again(
    made: World, two: Processes, tmp_path: Path
) -> None:
    shop = Shop(made, "instant")
    shop.make(6)
    versions = shop.rows
    for number in range(ROUNDS):
        runs = (f"scheduled__{number}", f"manual__{number}")
        older = staged(two, shop, runs[0])
        versions |= shop.rows
        shop.change(f"round {number}")
        newer = staged(two, shop, runs[1])
        versions |= shop.rows
        chains = [
            Chain(shop.resources[name], run_id, STEPS[-1:], left=before[name].left, gate=gate_of)
            for name in STRATEGIES
            for gate_of in [gate(tmp_path / f"{number}-{name}", 2)]
            for run_id, before in zip(runs, (older, newer), strict=True)
        ]
        done = two.at_once(chains)

        for position, name in enumerate(STRATEGIES):
            pair = done[2 * position : 2 * position + 2]
            assert len(refused(pair)) == 1, pair
            assert REFUSED in refused(pair)[0]
            demand_even(shop, name, versions if name == "unkeyed" else shop.rows)
        assert {one.report["outcome"] for one in done[:4]} == {"published"}
        demand_watermark(shop, runs)


def demand_watermark(shop: Shop, runs: tuple[str, ...]) -> None:
    """Hold that the watermark is the later window's end, whoever came first."""
    for name in ("keyed", "unkeyed"):
        resource, ledger = shop.resources[name], shop.ledger(name)
        plans = [ledger.plan(load_id(resource.dag_id, name, run_id)) for run_id in runs]
        ends = [plan.window.end for plan in plans if plan and plan.window]
        assert len(ends) == 2
        assert ledger.head().watermark == encode(max(ends))


def test_two_runs_of_one_source_at_once_leave_what_the_source_holds(made: World, two: Processes) -> None:
    shop = Shop(made, "twice")
    shop.make(8)
    versions = shop.rows
    for number in range(ROUNDS):
        runs = [f"{kind}__{number}" for kind in ("scheduled", "manual")]
        chains = [Chain(resource, run_id) for resource in shop.resources.values() for run_id in runs]
        done = two.at_once(chains)

        assert all(REFUSED in words for words in refused(done)), refused(done)
        for name in STRATEGIES:
            demand_even(shop, name, versions if name == "unkeyed" else shop.rows)
        shop.change(f"round {number}")
        versions |= shop.rows


def test_many_sources_of_one_tenant_at_once_do_not_touch_each_other(made: World, tmp_path: Path) -> None:
    shops = [Shop(made, f"source_{number}", (list(STRATEGIES)[number % 3],)) for number in range(SOURCES)]
    for number, shop in enumerate(shops):
        shop.make(3 + number)
    meeting = gate(tmp_path / "many", SOURCES)
    with processes(4, made.env) as four:
        chains = [Chain(shop.resources[shop.strategies[0]], "manual__1", gate=meeting) for shop in shops]
        done = four.at_once(chains)

    assert refused(done) == []
    for shop in shops:
        demand_even(shop, shop.strategies[0], shop.rows)
