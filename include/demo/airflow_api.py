"""Airflow's REST API, as far as the demo needs it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from devstack.airflow import token


class ApiError(Exception):
    """Airflow's API refused a call: the message holds the call and Airflow's answer."""

    def __init__(self, message: str, code: int) -> None:
        self.code = code
        super().__init__(message)


class Airflow:
    """One logged-in user of one Airflow."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.url, self.token = env["AIRFLOW_URL"], token(dict(env))

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call `/api/v2` and return the decoded answer; raises ApiError."""
        request = urllib.request.Request(
            f"{self.url}/api/v2{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            detail = error.read().decode(errors="replace")[:500]
            raise ApiError(f"{method} {path}: {error.code} {detail}", error.code) from error

    def has_dag(self, dag_id: str) -> bool:
        """Whether Airflow has parsed this DAG."""
        try:
            self.call("GET", f"/dags/{dag_id}")
        except ApiError as error:
            if error.code == 404:
                return False
            raise
        return True

    def start(self, dag_id: str, **conf: Any) -> str:
        """Unpause and trigger a DAG, with the run's own parameters; return the run's id."""
        self.call("PATCH", f"/dags/{dag_id}", {"is_paused": False})
        run = self.call("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf})
        return str(run["dag_run_id"])

    def state(self, dag_id: str, run_id: str) -> str:
        """Return a run's state."""
        return str(self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        found: list[dict[str, Any]] = self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")[
            "task_instances"
        ]
        return found

    def result(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """Return what a task left in XCom."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value?deserialize=true"
        value: dict[str, Any] = self.call("GET", path)["value"]
        return value

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int) -> str:
        """Return the error lines of a task's log."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        content = self.call("GET", path)["content"]
        lines = [line if isinstance(line, dict) else {"event": str(line)} for line in content]
        wrong = [line for line in lines if str(line.get("level", "")).lower() in ("error", "critical")]
        return "\n".join(_line(line) for line in (wrong or lines[-20:]))


def _line(line: Mapping[str, Any]) -> str:
    details = line.get("error_detail") or []
    reasons = [
        f"{item.get('exc_type')}: {item.get('exc_value')}" for item in details if isinstance(item, dict)
    ]
    return "\n  ".join([str(line.get("event", "")), *reasons])
