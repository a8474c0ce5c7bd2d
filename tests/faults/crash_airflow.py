"""Real DAG runs for crash trials: an Airflow that notices dead tasks soon, whose tasks strike themselves when told."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import yaml
from crash_boundaries import Strike
from crash_play import Play, Stuck
from crash_sources import source_of
from crash_trials import STEPS, Trial
from crash_world import TENANT, World

from demo.airflow_api import Airflow
from etl_factory.config.resource import Resource
from etl_factory.errors import RefusedError, TransientError
from etl_factory.secret_manager import SecretAccess

SECONDS = 600


@dataclass(frozen=True)
class Ground:
    """An Airflow that runs with the profile: its API, and its stack's folder."""

    airflow: Airflow
    home: Path

    def prepare(self, world: World, trials: Iterable[Trial]) -> None:
        """Give it the tenant of all trials, and wait until it has their DAGs."""
        made = [(trial.case, source_of(trial.case, world.name(trial.id), world.env)) for trial in trials]
        sources = {source.source_name: world.source_yaml(case, source) for case, source in made}
        self._store_secrets(world)
        folder = self.home / "tenants" / TENANT
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.yaml"):
            old.unlink()
        for name, text in sources.items():
            (folder / f"{name}.yaml").write_text(text)
        (folder / "tenant.yaml").write_text(yaml.safe_dump(world.tenant))
        wanted = [f"{TENANT}__{name}" for name in sources]
        if not self.airflow.parse_until(lambda: all(map(self.airflow.has_dag, wanted)), SECONDS):
            raise Stuck(f"not all of {', '.join(wanted)} are there after {SECONDS} s")

    def _store_secrets(self, world: World) -> None:
        env = world.env
        secrets = SecretAccess(env["ETL_FACTORY_SECRETS_PROJECT"], env["SECRET_MANAGER_ENDPOINT"])
        for conn_id, value in world.connections().items():
            if value:
                secrets.write(f"airflow-connections-{conn_id}", value)

    def make_run(self, play: Play, number: int) -> DagRun:
        """Make a trial's next DAG run."""
        return DagRun(play.resource, self, f"faults__{number}")

    def strike(self, dag_id: str, strike: Strike) -> None:
        """Have the DAG's next task struck."""
        (self.home / "strikes" / f"{dag_id}.json").write_text(strike.dumps())


def until(done: Callable[[], Any], otherwise: str, seconds: float = SECONDS) -> Any:
    """Wait for a true answer, also of an Airflow that is slow to answer; raises Stuck when none comes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(TransientError):
            if answer := done():
                return answer
        time.sleep(0.5)
    raise Stuck(f"{otherwise}, still after {seconds:.0f} s")


@dataclass
class DagRun:
    """One DAG run of a trial, with the same verbs as a run in child processes."""

    ENDED: ClassVar[tuple[str, ...]] = ("success", "failed")
    resource: Resource
    ground: Ground
    run_id: str
    is_started: bool = False
    left: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    stopped: Path | None = None
    """The mark of the task that halts at a boundary, if one does."""

    @property
    def path(self) -> str:
        """Where the API has this run."""
        return f"/dags/{self.resource.dag_id}/dagRuns/{self.run_id}"

    def go(self, _: str, strike: Strike | None = None) -> str:
        """Run from `extract`, cleared if it has run before; return the step that was struck, else nothing."""
        if strike:
            self.ground.strike(self.resource.dag_id, strike)
        if self.is_started:
            until(self._cleared, f"{self.path} cannot be cleared")
        else:
            self.is_started = until(self._start, f"{self.path} cannot be started")
        return self._await(strike)

    def retry(self, _: str, strike: Strike | None = None) -> str:
        """Leave it to Airflow to try the struck task again; return what is struck then."""
        if strike:
            self.ground.strike(self.resource.dag_id, strike)
        return self._await(strike)

    def _start(self) -> bool:
        """Trigger the run, under an id of its own: asked twice, Airflow starts it once."""
        self.ground.airflow.call("PATCH", f"/dags/{self.resource.dag_id}", {"is_paused": False})
        return bool(self.ground.airflow.trigger(self.resource.dag_id, {}, self.run_id))

    def _cleared(self) -> bool:
        """Clear the run; Airflow refuses it in the moment in which it tries a task again."""
        try:
            self.ground.airflow.clear(self.resource.dag_id, self.run_id)
        except RefusedError as error:
            if error.code != 409:
                raise
            return False
        return True

    def _await(self, strike: Strike | None) -> str:
        mark = Path(strike.mark) if strike else None
        try:
            until(lambda: (mark and mark.exists()) or self._state() in self.ENDED, self.path)
        except Stuck as error:
            raise Stuck(f"{error}: {self._tasks()}") from error
        if mark and mark.exists():
            assert strike
            self.stopped = mark if strike.action != "kill" else None
            return strike.moment.step
        return self._ended()

    def _ended(self) -> str:
        if self._state() == "failed":
            raise Stuck(f"{self.path} failed: {self._tasks()}")
        states = {task["task_id"].rpartition(".")[2]: task["state"] for task in self._instances()}
        self.left = {step: {} for step in STEPS if states[step] == "success"}
        return ""

    def _state(self) -> str:
        return self.ground.airflow.state(self.resource.dag_id, self.run_id)

    def _instances(self) -> list[dict[str, Any]]:
        return self.ground.airflow.tasks(self.resource.dag_id, self.run_id)

    def _tasks(self) -> str:
        """Say how each task stands, and what a failed one logged."""
        found = []
        for task in self._instances():
            name, tries = task["task_id"], task["try_number"]
            told = f"{name} {task['state']} try {tries}"
            if task["state"] == "failed":
                told += f": {self.ground.airflow.log(self.resource.dag_id, self.run_id, name, tries)[-600:]}"
            found.append(told)
        return ", ".join(found)

    def give_up(self) -> None:
        """Fail the run, as a person would before another one."""
        until(
            lambda: self.ground.airflow.call("PATCH", self.path, {"state": "failed"}),
            f"{self.path} cannot be failed",
        )
        until(lambda: self._state() == "failed", f"{self.path} does not fail")

    def go_on(self) -> None:
        """Let the halted task go on, and wait until it is gone."""
        assert self.stopped
        pid = int(self.stopped.read_text())
        os.kill(pid, signal.SIGCONT)
        until(lambda: not _lives(pid), f"the zombie {pid} of {self.path} still lives", 90)

    def end(self) -> None:
        """Leave no halted task behind."""
        if self.stopped and _lives(pid := int(self.stopped.read_text())):
            os.kill(pid, signal.SIGKILL)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
