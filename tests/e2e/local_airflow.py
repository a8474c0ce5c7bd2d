"""The running stack as the e2e tests see it: trigger DAGs, wait, and read what their tasks say."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.airflow_api import Airflow

TENANTS = Path(__file__).parent / "tenants"
SECONDS, PARSE_SECONDS = 600, 90


@dataclass(frozen=True)
class Local:
    """The running stack: its environment, its Airflow, and the config root that both read."""

    env: Mapping[str, str]
    airflow: Airflow
    config_root: Path
    home: Path

    def run(self, *dag_ids: str, **conf: Any) -> dict[str, tuple[str, str]]:
        """Trigger these DAGs at once and wait; return each one's run id and final state."""
        self.await_dags(*dag_ids)
        return self.wait({dag_id: self.airflow.start(dag_id, **conf) for dag_id in dag_ids})

    def clear(self, dag_id: str, run_id: str) -> dict[str, tuple[str, str]]:
        """Clear all tasks of a past run and wait until it has run again."""
        body = {"dry_run": False, "dag_run_id": run_id, "only_failed": False, "reset_dag_runs": True}
        self.airflow.call("POST", f"/dags/{dag_id}/clearTaskInstances", body)
        return self.wait({dag_id: run_id})

    def wait(self, runs: Mapping[str, str]) -> dict[str, tuple[str, str]]:
        """Wait for runs by DAG; return each one's id and final state."""
        deadline = time.monotonic() + SECONDS
        while True:
            states = {dag_id: self.airflow.state(dag_id, run) for dag_id, run in runs.items()}
            if all(state in ("success", "failed") for state in states.values()):
                return {dag_id: (runs[dag_id], state) for dag_id, state in states.items()}
            assert time.monotonic() < deadline, f"still running after {SECONDS} s: {states}"
            time.sleep(1)

    def await_dags(self, *dag_ids: str) -> None:
        """Wait until the DAG processor has made these DAGs."""
        done = self.airflow.parse_until(lambda: all(map(self.airflow.has_dag, dag_ids)), PARSE_SECONDS)
        assert done, f"no DAG {dag_ids}; import errors: {self.airflow.call('GET', '/importErrors')}"

    def task(self, dag_id: str, run_id: str, task_id: str) -> str:
        """Return a task's final state and what it logged as an error or as its reason to skip."""
        (found,) = [t for t in self.airflow.tasks(dag_id, run_id) if t["task_id"] == task_id]
        return f"{found['state']}: {self.airflow.log(dag_id, run_id, task_id, found['try_number'])}"
