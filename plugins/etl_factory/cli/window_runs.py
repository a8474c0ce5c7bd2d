"""Loads windows through a running Airflow, one DAG run at a time, each under an id of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, TypeVar

from etl_factory.cli.airflow_api import Airflow
from etl_factory.cli.bounds import Bounds, spelt
from etl_factory.errors import EtlFactoryError, NotFoundError, RefusedError, TerminalError, TransientError
from etl_factory.identity import digest

Answer = TypeVar("Answer")
POLL_SECONDS = 2.0
PATIENCE_SECONDS = 600.0
ENDED = ("success", "failed")
COUNTS = ("rows_read", "inserted", "updated", "unchanged", "superseded", "deleted", "quarantined")


@dataclass(frozen=True)
class WindowRun:
    """One window and its DAG run; `already`: an earlier call of the command had loaded it.

    `resources`: what was published, by resource. `failed_task`, `message`: what went wrong first.
    """

    start: str
    end: str
    run_id: str
    state: Literal["waiting", "running", "success", "failed"] = "waiting"
    already: bool = False
    seconds: float | None = None
    resources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    failed_task: str = ""
    message: str = ""

    def __str__(self) -> str:
        took = "" if self.seconds is None else f" in {self.seconds:.1f} s"
        told = [
            "already loaded"
            if self.already
            else f"{'loaded' if self.state == 'success' else self.state}{took}"
        ]
        told += [f"{name}: {_counts(report)}" for name, report in self.resources.items()]
        told += [": ".join(filter(None, (self.failed_task, self.message)))] if self.message else []
        return f"{self.start} to {self.end}  {'; '.join(told)}"


def _counts(report: Mapping[str, Any]) -> str:
    found = [f"{report[name]:,} {name.replace('_', ' ')}" for name in COUNTS if report.get(name)]
    return ", ".join(found) or "no rows"


def planned(bounds: Bounds, chosen: list[str]) -> WindowRun:
    """Name a window's run, so that the same window of the same resources is found again.

    Airflow keeps the prefix `backfill__` for runs of its own.
    """
    start, end = map(spelt, bounds)
    named = f"__{digest({'resources': sorted(chosen)})[:8]}" if chosen else ""
    return WindowRun(start, end, f"etl_backfill__{start}__{end}{named}")


class Loader:
    """One source's DAG in one Airflow; `say` tells the person who waits what goes on."""

    def __init__(self, airflow: Airflow, dag_id: str, chosen: list[str], say: Callable[[str], None]) -> None:
        self.airflow, self.dag_id, self.chosen, self.say = airflow, dag_id, chosen, say
        self._is_paused = False

    def demand_ready(self) -> None:
        """Raise NotFoundError or TerminalError when Airflow would start no run of this DAG."""
        dag = self.airflow.dag(self.dag_id)
        if dag is None:
            raise NotFoundError(
                f"Airflow at {self.airflow.url} has no DAG {self.dag_id}: a new file takes it a minute or so to parse;"
                " else its config root is another one"
            )
        if dag["is_paused"]:
            raise TerminalError(
                f"DAG {self.dag_id} is paused, so no run of it would begin: unpause it in Airflow's UI, or by"
                f" `airflow dags unpause {self.dag_id}`"
            )

    def load(self, window: WindowRun, *, again: bool) -> WindowRun:
        """Load one window, unless it is loaded already, and wait until its run has ended.

        A run that goes on already is waited for; one that has failed is run again.
        """
        run = self._patiently(lambda: self.airflow.run(self.dag_id, window.run_id))
        if run and run["state"] == "success" and not again:
            return replace(window, state="success", already=True, seconds=_seconds(run))
        if run is None:
            self._trigger(window)
        elif run["state"] in ENDED:
            self._clear(window, whole=run["state"] == "success")
        ended = self._await_end(window)
        return self._told(replace(window, state=ended["state"], seconds=_seconds(ended)))

    def _trigger(self, window: WindowRun) -> None:
        conf: dict[str, Any] = {"start": window.start, "end": window.end}
        conf |= {"resources": self.chosen} if self.chosen else {}
        self._patiently(lambda: self.airflow.trigger(self.dag_id, conf, window.run_id))

    def _clear(self, window: WindowRun, *, whole: bool) -> None:
        """Let a past run go again: the whole of it, or the resources that have not succeeded."""
        tasks = self._tasks(window)
        unfinished = {_resource(t) for t in tasks if t["state"] not in ("success", "skipped")}
        named = [t["task_id"] for t in tasks if _resource(t) in unfinished and not whole]
        self._patiently(lambda: self.airflow.clear(self.dag_id, window.run_id, named or None))

    def _await_end(self, window: WindowRun) -> dict[str, Any]:
        while True:
            run = self._patiently(lambda: self.airflow.run(self.dag_id, window.run_id))
            if run is None:
                raise TerminalError(
                    f"DAG run {window.run_id} of {self.dag_id} is gone: somebody deleted it. Run the command again"
                )
            if run["state"] in ENDED:
                return run
            self._tell_when_paused()
            time.sleep(POLL_SECONDS)

    def _tell_when_paused(self) -> None:
        dag = self._patiently(lambda: self.airflow.dag(self.dag_id))
        paused = bool(dag and dag["is_paused"])
        if paused and not self._is_paused:
            self.say(f"DAG {self.dag_id} has been paused: waiting until somebody unpauses it")
        self._is_paused = paused

    def _told(self, window: WindowRun) -> WindowRun:
        """Put down what a run published, and what failed first."""
        tasks = self._tasks(window)
        done = [t["task_id"] for t in tasks if t["task_id"].endswith(".publish") and t["state"] == "success"]
        reports = {task_id.partition(".")[0]: self._result(window, task_id) for task_id in done}
        failed = sorted((t for t in tasks if t["state"] == "failed"), key=lambda t: str(t["end_date"]))
        if window.state == "success" or not failed:
            return replace(window, resources=reports)
        first = failed[0]
        return replace(
            window, resources=reports, failed_task=first["task_id"], message=self._error(window, first)
        )

    def _tasks(self, window: WindowRun) -> list[dict[str, Any]]:
        return self._patiently(lambda: self.airflow.tasks(self.dag_id, window.run_id))

    def _result(self, window: WindowRun, task_id: str) -> Mapping[str, Any]:
        """Return what a task left, or nothing when that is gone: rows are published all the same."""
        try:
            return self._patiently(lambda: self.airflow.result(self.dag_id, window.run_id, task_id))
        except RefusedError:
            return {}

    def _error(self, window: WindowRun, task: Mapping[str, Any]) -> str:
        """Return a failed task's last error line; a log that cannot be had does not hide the failure."""
        try:
            log = self.airflow.log(self.dag_id, window.run_id, task["task_id"], task["try_number"])
        except EtlFactoryError as error:
            return f"its log is in Airflow ({error})"
        return next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "its log is empty")

    def _patiently(self, call: Callable[[], Answer]) -> Answer:
        """Ask again while Airflow does not answer, as during an upgrade; raises TransientError at last."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        is_told = False
        while True:
            try:
                return call()
            except TransientError as error:
                if time.monotonic() > deadline:
                    raise
                if not is_told:
                    self.say(f"{error}; asking again")
                is_told = True
                time.sleep(POLL_SECONDS)


def _resource(task: Mapping[str, Any]) -> str:
    return str(task["task_id"]).partition(".")[0]


def _seconds(run: Mapping[str, Any]) -> float | None:
    begin, end = run.get("start_date"), run.get("end_date")
    if not begin or not end:
        return None
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds(), 1)
