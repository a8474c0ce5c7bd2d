"""Which trials there are: drawn from a seed, so that any one of them can be made again by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

from crash_boundaries import Action, Moment
from crash_cases import CASES, Case

STEPS = ("extract", "sanitize", "load", "publish")
Recovery = Literal["retry", "clear", "new run"]
RECOVERIES: tuple[Recovery, ...] = ("retry", "clear", "new run")
SIDES = ("before", "after")
CLEANUPS = 3
"""A cleanup's deletions at which trials strike; there are more."""


@dataclass(frozen=True)
class Trial:
    """One crash and what follows it.

    `moments`: the first strikes a new run, each other one the recovery from the one before it; `action` is the last
    one's, the others kill. `is_first`: the resource has never been loaded. `grows`: the source has a new column.
    `recovery` follows the last moment, a retry each other one. `meanwhile`: the source changes between crash and
    recovery. `again`: a run that has succeeded is cleared at the end. `breaks` names a defect that is put into the
    product, for the harness's own test.
    """

    id: str
    case: Case
    moments: tuple[Moment, ...]
    action: Action = "kill"
    is_first: bool = True
    grows: bool = False
    recovery: Recovery = "retry"
    meanwhile: bool = False
    again: bool = False
    through_airflow: bool = False
    breaks: str = ""

    @property
    def moment(self) -> Moment:
        """The first that is struck."""
        return self.moments[0]

    def __str__(self) -> str:
        struck = ", then ".join(map(str, self.moments))
        told = [f"{self.id}: {self.case.name}, {self.action} {struck}"]
        told += ["of the first load"] if self.is_first else []
        told += ["with a new column"] if self.grows else []
        told += ["the source changes", f"{self.recovery}"] if self.meanwhile else [self.recovery]
        told += ["a run is cleared at the end"] if self.again else []
        return ", ".join([*told, *(["through Airflow"] if self.through_airflow else [])])


def boundaries(case: Case, *, is_first: bool, grows: bool) -> list[Moment]:
    """List every boundary that a load of this case comes to, in order."""
    both: list[tuple[str, str, int]] = []
    if case.is_file:
        is_planned = case.spec["load"] == "transactional"
        objects = 1 if case.strategy == "files latest" else 2
        both += [("extract", "plan", 1)] * is_planned + [("extract", "object", n + 1) for n in range(objects)]
    elif case.type == "bigquery":
        both += [("extract", "plan", 1), ("extract", "staging", 1), ("extract", "submit", 1)]
    else:
        both += [("extract", "plan", 1), ("extract", "object", 1)]
        both += [("extract", "object", 2)] * (is_first or case.strategy == "catalog")
    both += [("extract", "manifest", 1)]
    both += [("sanitize", "object", 1)] * case.rewrites + [("sanitize", "manifest", 1)]
    if case.type != "bigquery":
        both += [("load", "staging", 1), ("load", "submit", 1)]
    both += [("load", "manifest", 1), ("publish", "ledger", 1)]
    both += [("publish", "ledger table", 1), ("publish", "ddl", 2)] * is_first
    both += [("publish", "ddl", 1)] * (is_first or grows)
    both += [("publish", "submit", 1), ("publish", "ledger", 2), ("publish", "ledger", 3)]
    both += [("publish", "cleanup", n + 1) for n in range(CLEANUPS)]
    moments = [Moment(step, kind, side, nth) for step, kind, nth in both for side in SIDES]
    done = [step for step, kind, _ in both if kind == "submit"]
    return moments + [Moment(step, "done", "after") for step in done]


def draw(seed: int, count: int, *, through_airflow: int) -> Iterator[Trial]:
    """Draw `count` trials, the last `through_airflow` of them with real DAG runs."""
    order = list(CASES)
    Random(seed).shuffle(order)
    for number in range(count):
        in_airflow = number >= count - through_airflow
        name = f"{'a' if in_airflow else 'c'}{number:03}"
        yield _draw(Random(f"{seed} {name}"), name, order[number % len(order)], in_airflow)


def _draw(dice: Random, name: str, case: Case, through_airflow: bool) -> Trial:
    is_first = dice.random() < 0.4
    grows = not is_first and dice.random() < 0.4
    recovery = dice.choices(RECOVERIES, (5, 3, 2))[0]
    action: Action = "kill" if dice.random() < 0.8 else "orphan" if through_airflow else "stop"
    is_timed = action == "kill" and dice.random() < 0.25
    moment = (
        _at_random(dice, STEPS) if is_timed else dice.choice(boundaries(case, is_first=is_first, grows=grows))
    )
    moments = (moment,)
    if action == "kill" and not through_airflow and dice.random() < 0.25:
        moments += (_at_random(dice, STEPS[STEPS.index(moment.step) :]),)
    return Trial(
        id=name,
        case=case,
        moments=moments,
        action=action,
        is_first=is_first,
        grows=grows,
        recovery=recovery,
        meanwhile=dice.random() < 0.35,
        again=not through_airflow and dice.random() < 0.15,
        through_airflow=through_airflow,
    )


def _at_random(dice: Random, steps: tuple[str, ...]) -> Moment:
    """Return a random moment of a random step; most of them fall inside it."""
    step = dice.choice(steps)
    longest = {"extract": 0.3, "sanitize": 0.3, "load": 0.6, "publish": 2.0}[step]
    return Moment(step, "time", "after", seconds=round(dice.uniform(0.0, longest), 3))
