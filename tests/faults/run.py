"""Plays crash trials and prints what became of them: `make faults`, or `python tests/faults/run.py --help`.

Exits with 1 when a row is lost or doubled, when any other verdict fails, or when another of the fault tests fails.
"""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crash_play import Outcome
    from crash_trials import Trial
    from crash_world import World

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
PATHS = [str(REPOSITORY / "plugins"), str(REPOSITORY / "include"), str(HERE.parent), str(HERE)]
CHILDREN_AT_ONCE, DAG_RUNS_AT_ONCE = 2, 2
REPORT = REPOSITORY / ".faults/report.json"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**6), help="what the trials are drawn from"
    )
    parser.add_argument("--trials", type=int, default=200, help="how many, those through Airflow included")
    parser.add_argument(
        "--airflow", type=int, default=None, help="how many of them through Airflow (a fifth)"
    )
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="ID", help="play just these trials of the seed"
    )
    parser.add_argument("--home", default=str(REPOSITORY / ".devstack/faults"), help="the servers' folder")
    parser.add_argument("--keep", action="store_true", help="leave the servers running")
    parser.add_argument("--alone", action="store_true", help="leave the other fault tests out")
    return parser.parse_args()


def prepare(home: Path, *, with_airflow: bool) -> dict[str, str]:
    """Start the servers; return their environment."""
    sys.path[:0] = PATHS
    os.environ["PYTHONPATH"] = os.pathsep.join(PATHS)
    os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="etl-factory-faults-"))
    os.environ |= {"AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING"}
    logging.getLogger("azure").setLevel(logging.WARNING)
    from devstack.stack import Stack
    from fault_profile import fault_profile

    with fault_profile(home):
        return Stack(home, lambda line: print(line, flush=True)).start(with_airflow=with_airflow)


def stop(home: Path) -> None:
    """Stop the servers."""
    from devstack.stack import Stack

    Stack(home).stop()


def play(asked: argparse.Namespace, env: Mapping[str, str]) -> bool:
    """Play the trials and print their table; tell whether all is well."""
    import crash_report
    from crash_trials import draw
    from crash_world import world
    from rich.console import Console
    from rich.progress import Progress

    drawn = draw(asked.seed, asked.trials, through_airflow=asked.airflow)
    trials = [trial for trial in drawn if not asked.only or trial.id in asked.only]
    console, outcomes, begin = Console(), [], time.monotonic()
    if not console.is_terminal:
        console = Console(width=150)
    console.print(f"{len(trials)} trials, seed {asked.seed}")
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as folder,
        world(env, Path(folder)) as made,
        Progress(console=console, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task("trials", total=len(trials))
        for outcome in _outcomes(trials, made, Path(asked.home)):
            outcomes.append(outcome)
            bar.advance(task)
            if not console.is_terminal:
                print(f"{len(outcomes)}/{len(trials)} {outcome.seconds:.0f} s: {outcome.trial}", flush=True)
            if outcome.problems:
                told = "\n  ".join(outcome.problems)
                again = f"--seed {asked.seed} --trials {asked.trials} --airflow {asked.airflow}"
                bar.console.print(
                    f"FAILED {outcome.trial}\n  {told}\n  again: --only {outcome.trial.id} {again}"
                )
    seconds = time.monotonic() - begin
    crash_report.print_table(console, outcomes)
    crash_report.write(REPORT, asked.seed, outcomes, seconds)
    console.print(f"{seconds:.0f} s; {REPORT}")
    return not any(outcome.problems for outcome in outcomes)


def _outcomes(trials: list[Trial], made: World, home: Path) -> Iterator[Outcome]:
    """Play them, some at once, and yield each outcome as it comes."""
    from crash_airflow import Ground
    from crash_play import play_one

    from demo.airflow_api import Airflow

    dag_runs = [trial for trial in trials if trial.through_airflow]
    with ThreadPoolExecutor(CHILDREN_AT_ONCE) as few, ThreadPoolExecutor(DAG_RUNS_AT_ONCE) as more:
        playing = [few.submit(play_one, trial, made) for trial in trials if not trial.through_airflow]
        if dag_runs:
            ground = Ground(Airflow(made.env), home)
            ground.prepare(made, dag_runs)
            playing += [more.submit(play_one, trial, made, ground.make_run) for trial in dag_runs]
        yield from (done.result() for done in as_completed(playing))


def other_tests() -> bool:
    """Run the other fault tests and the search for stories that lose a row, at length; tell whether they pass."""
    folders = (str(HERE), str(HERE.parent / "properties"))
    command = [sys.executable, "-m", "pytest", "-q", *folders, f"--ignore-glob={HERE}/test_crashes*.py"]
    return (
        subprocess.run(command, env={**os.environ, "ETL_FACTORY_FAULTS": "all"}, check=False).returncode == 0
    )


def main() -> int:
    """Attack everything; return the exit code."""
    asked = arguments()
    if asked.airflow is None:
        asked.airflow = asked.trials // 5
    home = Path(asked.home)
    try:
        well = play(asked, prepare(home, with_airflow=asked.airflow > 0))
    finally:
        if not asked.keep:
            stop(home)
    if not (asked.only or asked.alone):
        well = other_tests() and well
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
