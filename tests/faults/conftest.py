"""Where the crash trials of the tests are played: on the stack's servers, and in the tests' own Airflow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fault_profile import PATHS

if TYPE_CHECKING:
    from crash_airflow import Ground
    from crash_play import Outcome
    from crash_trials import Trial
    from crash_world import World

CHILDREN_AT_ONCE, DAG_RUNS_AT_ONCE = 2, 4
Played = Mapping[str, "Future[Outcome]"]


@pytest.fixture(scope="session")
def crash_world(stack: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Make places of the trials' own on the servers."""
    from crash_world import world

    # The server that forks the trials' processes finds its modules by this variable alone.
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, PATHS))
    with world(stack, tmp_path_factory.mktemp("crashes")) as made:
        yield made


@pytest.fixture(scope="session")
def in_children(crash_world: World, request: pytest.FixtureRequest) -> Iterator[Played]:
    """Play the trials that tests ask for in child processes, two at a time; return each one's outcome to be."""
    from crash_play import play_one

    trials = _asked_for(request, lambda trial: not trial.through_airflow)
    with ThreadPoolExecutor(CHILDREN_AT_ONCE) as pool:
        yield {trial.id: pool.submit(play_one, trial, crash_world) for trial in trials}


@pytest.fixture(scope="session")
def ground(stack: Mapping[str, str]) -> Ground:
    """Start the tests' Airflow, unless it runs already."""
    from crash_airflow import Ground

    from demo.airflow_api import Airflow
    from devstack.stack import Stack
    from fault_profile import fault_profile

    home = Path(stack["AIRFLOW_HOME"]).parent
    with fault_profile(home):
        return Ground(Airflow(Stack(home).start(with_airflow=True)), home)


@pytest.fixture(scope="session")
def in_dag_runs(crash_world: World, ground: Ground, request: pytest.FixtureRequest) -> Iterator[Played]:
    """Play the trials that tests ask for in DAG runs, several at a time; return each one's outcome to be."""
    from crash_play import play_one

    trials = _asked_for(request, lambda trial: trial.through_airflow)
    ground.prepare(crash_world, trials)
    with ThreadPoolExecutor(DAG_RUNS_AT_ONCE) as pool:
        yield {trial.id: pool.submit(play_one, trial, crash_world, ground.make_run) for trial in trials}


def _asked_for(request: pytest.FixtureRequest, wanted: Callable[[Trial], bool]) -> list[Trial]:
    parameters = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    trials = {each["trial"].id: each["trial"] for each in parameters if "trial" in each}
    return [trial for trial in trials.values() if wanted(trial)]
