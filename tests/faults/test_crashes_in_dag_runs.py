"""Crash trials through Airflow: its task processes and supervisors are killed, and no row is lost or doubled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import crash_subset
import pytest
from crash_trials import Trial

if TYPE_CHECKING:
    from conftest import Played

DAG_RUNS = crash_subset.through_airflow()


def test_they_are_few() -> None:
    assert len(DAG_RUNS) <= 8


@pytest.mark.stack
@pytest.mark.airflow
@pytest.mark.parametrize("trial", DAG_RUNS, ids=str)
def test_nothing_is_lost_or_doubled(trial: Trial, in_dag_runs: Played) -> None:
    crash_subset.check(in_dag_runs[trial.id])
