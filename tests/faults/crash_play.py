"""Plays one crash trial in child processes: load, change, strike, recover, and judge."""

from __future__ import annotations

import json
import os
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import crash_child
from crash_boundaries import Strike
from crash_sources import Source, source_of
from crash_trials import STEPS, Trial
from crash_verdict import Verdict, judge
from crash_world import World

from etl_factory.config.resource import Resource
from etl_factory.identity import load_id

SECONDS, TRIES = 180, 6


class Stuck(Exception):
    """A run did not come to its end by retries alone."""


@dataclass
class Outcome:
    """What became of a trial."""

    trial: Trial
    verdict: Verdict
    kills: int = 0
    seconds: float = 0.0

    @property
    def struck(self) -> bool:
        """Whether every moment was reached."""
        return self.kills == len(self.trial.moments)

    @property
    def problems(self) -> list[str]:
        """Everything that is wrong."""
        return self.verdict.problems


@dataclass
class Run:
    """One DAG run's part for the trial's resource."""

    resource: Resource
    world: World
    run_id: str
    breaks: str = ""
    run_after: datetime = field(default_factory=lambda: datetime.now(UTC))
    tries: Counter[str] = field(default_factory=Counter)
    left: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    stopped: Any = None
    """The child that halts at a boundary, if one does."""

    def go(self, first: str, strike: Strike | None = None) -> str:
        """Run from step `first` to the end, as Airflow would; return the step that was struck, else nothing."""
        for step in STEPS[STEPS.index(first) :]:
            self.left.pop(step, None)
            said = self._step(step, strike)
            if said["state"] in ("killed", "stopped"):
                return step
            if said["state"] == "skipped":
                return ""
            self.left[step] = said["left"]
        return ""

    def _step(self, step: str, strike: Strike | None) -> dict[str, Any]:
        for _ in range(TRIES):
            said = self._try(step, strike)
            if said["state"] == "failed":
                raise Stuck(f"{step} fails: {said['message']}")
            if said["state"] != "retry":
                return said
            strike = None
            time.sleep(0.2)
        raise Stuck(f"{step} failed {TRIES} times, at last: {said['message']}")

    def _try(self, step: str, strike: Strike | None) -> dict[str, Any]:
        self.tries[step] += 1
        folder = self.world.folder / self.resource.source
        result = folder / f"{self.run_id}-{step}-{self.tries[step]}.json"
        strike = strike if strike and not Path(strike.mark).exists() else None
        child = crash_child.start(
            crash_child.Order(
                self.resource, step, self.run_id, self.run_after, self.tries[step], dict(self.left),
                str(result), str(folder / "log"), self.world.env, strike, self.breaks,
            )
        )  # fmt: skip
        state = _await(child, strike)
        if state == "stopped":
            self.stopped = child
            return {"state": state}
        if result.exists():
            said: dict[str, Any] = json.loads(result.read_text())
            return said
        if strike and Path(strike.mark).exists():
            return {"state": "killed"}
        raise Stuck(f"{step} ended with {child.exitcode}, unasked: see {folder / 'log'}")

    def retry(self, step: str, strike: Strike | None = None) -> str:
        """Try the step that was struck again, and go on from there; return what is struck then."""
        return self.go(step, strike)

    def give_up(self) -> None:
        """Nothing goes on by itself here."""

    def end(self) -> None:
        """Leave no halted child behind."""
        if self.stopped:
            self.stopped.kill()

    def go_on(self) -> None:
        """Let the halted child run to its end; Airflow would not take what it says."""
        os.kill(self.stopped.pid, signal.SIGCONT)
        _await(self.stopped, None)


def _await(child: Any, strike: Strike | None) -> str:
    """Wait until a child has ended or halts."""
    deadline = time.monotonic() + SECONDS
    while child.is_alive():
        child.join(0.05)
        if strike and strike.action == "stop" and Path(strike.mark).exists() and _is_stopped(child.pid):
            return "stopped"
        if time.monotonic() > deadline:
            child.kill()
            raise Stuck(f"a child still ran after {SECONDS} s")
    return "ended"


def _is_stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def run_in_children(play: Play, number: int) -> Run:
    """Make a run whose steps are child processes."""
    return Run(play.resource, play.world, f"manual__{number}", play.trial.breaks)


class Play:
    """One trial on its way; `make_run` makes its next run."""

    def __init__(
        self, trial: Trial, world: World, make_run: Callable[[Play, int], Any] = run_in_children
    ) -> None:
        self.trial, self.world, self.make_run = trial, world, make_run
        self.source: Source = source_of(trial.case, world.name(trial.id), world.env)
        self.resource = world.resource(trial.case, self.source)
        self.runs: list[Any] = []

    def play(self) -> Outcome:
        """Play to the end and judge; an exception of the harness's own passes through."""
        begin = time.monotonic()
        outcome = Outcome(self.trial, Verdict())
        try:
            self._attack()
            outcome.verdict = judge(self.trial.case, self.resource, self.source, self._cleaned())
        except Stuck as error:
            outcome.verdict.problems.append(str(error))
        finally:
            outcome.kills = len(list((self.world.folder / self.resource.source).glob("*.mark")))
            for run in self.runs:
                run.end()
        outcome.seconds = time.monotonic() - begin
        return outcome

    def _attack(self) -> None:
        """Strike at every moment in turn, and recover; a moment that never comes lets the run succeed."""
        trial = self.trial
        self.source.seed()
        if not trial.is_first:
            self._run()
            self.source.change(grows=trial.grows)
        run = self._new_run()
        marks = [self._strike(number) for number in range(len(trial.moments))]
        struck = run.go("extract", marks[0])
        for strike in marks[1:]:
            struck = struck and run.retry(struck, strike)
        if trial.meanwhile:
            self.source.change(grows=False)
        last = self._recover(run, struck) if struck else run
        if run.stopped:
            run.go_on()
        self._end(last)

    def _end(self, last: Any) -> None:
        """Clear a run that has succeeded, and read what has changed meanwhile, if the trial asks for it."""
        if self.trial.again:
            (self.runs[0] if self.trial.is_first else last).go("extract")
        if self.trial.meanwhile:
            self._run()
        self.source.mark_read()

    def _run(self) -> Any:
        """Run undisturbed: the present state is read."""
        run = self._new_run()
        run.go("extract")
        self.source.mark_read()
        return run

    def _new_run(self) -> Any:
        run = self.make_run(self, len(self.runs))
        self.runs.append(run)
        return run

    def _strike(self, number: int) -> Strike:
        moments = self.trial.moments
        mark = self.world.folder / self.resource.source / f"{number}.mark"
        is_last = number == len(moments) - 1
        return Strike(moments[number], self.trial.action if is_last else "kill", str(mark))

    def _recover(self, run: Any, struck: str) -> Any:
        """Go on by a retry of the step, a clearing of the run, or another run."""
        if self.trial.recovery == "retry":
            run.retry(struck)
            return run
        if self.trial.recovery == "new run":
            run.give_up()
            run = self._new_run()
        run.go("extract")
        return run

    def _cleaned(self) -> set[str]:
        """Return the loads whose last publish came to its end, with no zombie that wrote after it."""
        done = [run for run in self.runs if "publish" in run.left and not run.stopped]
        return {load_id(self.resource.dag_id, self.resource.name, run.run_id) for run in done}

    def forget(self) -> None:
        """Remove what the trial made, so that the next ones find small catalogues."""
        from demo import systems

        client = systems.bigquery_client(self.resource.destination.project)
        target = self.resource.target
        for table in (target.table_id, target.ledger_id, target.quarantine_id):
            client.delete_table(table, not_found_ok=True)
        self.source.drop()


def play_one(trial: Trial, world: World, make_run: Callable[[Play, int], Any] = run_in_children) -> Outcome:
    """Play one trial; what the harness itself fails at is a problem of the trial too."""
    try:
        playing = Play(trial, world, make_run)
        outcome = playing.play()
        if not outcome.problems:
            playing.forget()
        return outcome
    except Exception as error:  # noqa: BLE001 - one trial that breaks must not end the others
        return Outcome(
            trial, Verdict([f"the harness fails: {''.join(traceback.format_exception(error)[-3:])}"])
        )
