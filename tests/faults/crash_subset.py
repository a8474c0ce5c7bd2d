"""The trials of `make test`: every step boundary at least once, zombies, a few through Airflow, and broken products."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from itertools import cycle
from typing import TYPE_CHECKING

from crash_boundaries import Moment
from crash_cases import CASES, Case
from crash_trials import SIDES, Trial

if TYPE_CHECKING:
    from crash_play import Outcome

BY_NAME = {case.name: case for case in CASES}


def both(step: str, kind: str) -> list[Moment]:
    """Return the two sides of one boundary."""
    return [Moment(step, kind, side) for side in SIDES]


DONE = {step: Moment(step, "done", "after") for step in ("extract", "load", "publish")}
FROM_OUTSIDE = [*both("extract", "plan"), *both("extract", "object"), *both("extract", "manifest")]
FROM_BIGQUERY = [*both("extract", "staging"), *both("extract", "submit"), DONE["extract"]]
CLEANING = [*both("sanitize", "object"), *both("sanitize", "manifest")]
LOADING = [*both("load", "staging"), *both("load", "submit"), DONE["load"], *both("load", "manifest")]
FIRST = [*both("publish", "ledger table"), *both("publish", "ddl")]
PUBLISHING = [
    *both("publish", "submit"),
    DONE["publish"],
    *both("publish", "ledger"),
    *both("publish", "cleanup"),
]
BOUNDARIES = [*FROM_OUTSIDE, *FROM_BIGQUERY, *CLEANING, *LOADING, *FIRST, *PUBLISHING]

OUTSIDE = (
    "mysql keyed", "s3 files keyed", "gcs files unkeyed", "azure_blob files latest", "postgres keyed",
    "mysql catalog", "s3 files unkeyed",
)  # fmt: skip
INSIDE = (
    "bigquery keyed",
    "bigquery unkeyed",
    "bigquery catalog",
    "bigquery keyed, mark",
    "bigquery catalog, scd2",
)


def children() -> list[Trial]:
    """Return the trials in child processes: each run is struck in every step, one boundary after the other."""
    return [*_in_every_step(), *_within_bigquery(), *_zombies()]


def _in_every_step() -> Iterator[Trial]:
    """The first loads meet what a first publish creates, the others what every publish does."""
    publishing = iter([*FIRST, *PUBLISHING[:3]])
    extracting, cleaning, loading = cycle(FROM_OUTSIDE), cycle(CLEANING), iter(LOADING)
    for number, name in enumerate(OUTSIDE):
        moments = (next(extracting), next(cleaning), next(loading), next(publishing))
        yield Trial(f"s{number}", BY_NAME[name], moments, is_first=number < len(FIRST), grows=number == 4)


def _within_bigquery() -> Iterator[Trial]:
    publishing = [*PUBLISHING[3:], PUBLISHING[0]]
    for number, name in enumerate(INSIDE):
        moments = (FROM_BIGQUERY[number], publishing[number])
        yield Trial(f"b{number}", BY_NAME[name], moments, is_first=number % 2 == 0)


def _zombies() -> Iterator[Trial]:
    """A process that everybody takes for dead goes on after the retry, or after another run, has published."""
    yield _zombie("z0", BY_NAME["postgres unkeyed"], Moment("publish", "submit", "before"), recovery="clear")
    yield _zombie(
        "z1", BY_NAME["mysql catalog, snapshots"], Moment("extract", "object", "before"), recovery="retry"
    )
    yield _zombie(
        "z2", BY_NAME["postgres keyed, remove"], Moment("publish", "ledger", "after"), recovery="new run"
    )


def _zombie(name: str, case: Case, moment: Moment, **recovery: str) -> Trial:
    return Trial(name, case, (moment,), action="stop", is_first=False, **recovery)


def broken() -> list[tuple[Trial, str]]:
    """Return trials of a product with a defect, and what their verdicts must say."""
    keyed, unkeyed = BY_NAME["postgres keyed"], BY_NAME["postgres unkeyed"]
    return [
        (Trial("x0", unkeyed, (DONE["publish"],), breaks="publish twice"), "doubled"),
        (
            Trial("x1", keyed, (Moment("load", "manifest", "after"),), is_first=False, breaks="skip ahead"),
            "lost",
        ),
        (
            Trial(
                "x2", keyed, (Moment("load", "submit", "after"),), recovery="new run", breaks="forget expiry"
            ),
            "expires never",
        ),
    ]


def through_airflow() -> list[Trial]:
    """Return the trials with real DAG runs."""
    struck = (
        ("mysql keyed", Moment("extract", "object", "after"), "kill", "retry"),
        ("s3 files unkeyed", Moment("sanitize", "manifest", "before"), "kill", "new run"),
        ("bigquery unkeyed", Moment("publish", "submit", "after"), "kill", "retry"),
        ("postgres catalog", DONE["publish"], "kill", "clear"),
        ("gcs files keyed", Moment("load", "submit", "after"), "orphan", "retry"),
        ("postgres unkeyed", Moment("publish", "submit", "before"), "orphan", "retry"),
    )
    return [
        Trial(f"a{n}", BY_NAME[name], (moment,), action, recovery=recovery, through_airflow=True)
        for n, (name, moment, action, recovery) in enumerate(struck)
    ]


def check(played: Future[Outcome]) -> None:
    """Wait for a trial; every moment of it must have struck, and nothing be wrong."""
    outcome = played.result()

    assert outcome.problems == []
    assert outcome.struck
