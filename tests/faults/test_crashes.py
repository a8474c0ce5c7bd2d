"""Crash trials: processes are killed at every step boundary, and no row is lost or doubled (more: `make faults`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import crash_subset
import pytest
from crash_cases import CASES
from crash_trials import Trial, boundaries, draw

if TYPE_CHECKING:
    from conftest import Played

CHILDREN, BROKEN = crash_subset.children(), crash_subset.broken()


def test_the_subset_strikes_every_boundary() -> None:
    def names(moments: object) -> set[tuple[str, str, str]]:
        return {(moment.step, moment.kind, moment.side) for moment in moments}

    possible = names(
        m for case in CASES for first in (True, False) for m in boundaries(case, is_first=first, grows=True)
    )
    assert names(m for trial in CHILDREN for m in trial.moments) == possible == names(crash_subset.BOUNDARIES)


def test_every_source_type_with_every_strategy_is_drawn() -> None:
    trials = list(draw(7, 200, through_airflow=40))

    assert {trial.case.name for trial in trials} == {case.name for case in CASES}
    assert len({trial.case.type for trial in trials if trial.through_airflow}) == 6
    assert [trial.id for trial in trials] == [trial.id for trial in draw(7, 200, through_airflow=40)]
    assert trials == list(draw(7, 200, through_airflow=40))


@pytest.mark.stack
@pytest.mark.parametrize("trial", CHILDREN, ids=str)
def test_nothing_is_lost_or_doubled(trial: Trial, in_children: Played) -> None:
    crash_subset.check(in_children[trial.id])


@pytest.mark.stack
@pytest.mark.parametrize(("trial", "told"), BROKEN, ids=str)
def test_a_verdict_finds_a_broken_product(trial: Trial, told: str, in_children: Played) -> None:
    assert told in "; ".join(in_children[trial.id].result().problems)
