"""Shows a harness run: a progress bar, a table by what was struck where, and a report for machines."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from crash_play import Outcome
from rich.console import Console
from rich.table import Table

COUNTS = ("trials", "kills", "lost", "doubled", "orphans", "failed")


def counts(outcomes: Iterable[Outcome]) -> dict[str, float]:
    """Add up some trials."""
    found = list(outcomes)
    return {
        "trials": len(found),
        "kills": sum(outcome.kills for outcome in found),
        "lost": sum(outcome.verdict.lost for outcome in found),
        "doubled": sum(outcome.verdict.doubled for outcome in found),
        "orphans": sum(outcome.verdict.orphans for outcome in found),
        "failed": sum(bool(outcome.problems) for outcome in found),
        "seconds": round(sum(outcome.seconds for outcome in found), 1),
    }


def print_table(console: Console, outcomes: list[Outcome]) -> None:
    """Print one line per source type, strategy and kind of boundary, and the sum of all."""
    groups: dict[tuple[str, ...], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        trial = outcome.trial
        driver = "Airflow" if trial.through_airflow else "child"
        groups[
            trial.case.type, trial.case.strategy, f"{trial.moment.step} {trial.moment.kind}", driver
        ].append(outcome)
    table = Table("source", "strategy", "struck at", "through", *COUNTS, "seconds")
    for name in sorted(groups):
        table.add_row(*name, *map(str, counts(groups[name]).values()))
    table.add_section()
    table.add_row("all", "", "", "", *map(str, counts(outcomes).values()))
    console.print(table)


def write(path: Path, seed: int, outcomes: list[Outcome], seconds: float) -> None:
    """Write what a machine may read of a harness run."""
    path.parent.mkdir(exist_ok=True)
    document = {
        "seed": seed,
        "seconds": round(seconds, 1),
        "sum": counts(outcomes),
        "trials": [_trial(outcome) for outcome in outcomes],
    }
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False, default=str))


def _trial(outcome: Outcome) -> dict[str, Any]:
    trial, verdict = outcome.trial, outcome.verdict
    return {
        "id": trial.id,
        "source": trial.case.type,
        "strategy": trial.case.strategy,
        "what": str(trial),
        "kills": outcome.kills,
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "orphans": verdict.orphans,
        "problems": verdict.problems,
        "seconds": round(outcome.seconds, 1),
    }
