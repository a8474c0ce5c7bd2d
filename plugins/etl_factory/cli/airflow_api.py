"""Airflow's REST API, spoken to as one user: the one narrow seam between the command line and a running Airflow."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import quote

from etl_factory.errors import AccessDeniedError, RefusedError, TerminalError, TransientError

Login = Callable[[], str]
SECONDS = 30
PAGE = 100
BUSY = (408, 429, 500, 502, 503, 504)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the token would travel along."""

    def redirect_request(self, *_: Any) -> None:
        """Decline."""


class Airflow:
    """One user of the Airflow at `url`; `login` gives a token, and another one when that has expired."""

    def __init__(self, url: str, login: Login) -> None:
        self.url, self.login = url.rstrip("/"), login
        self._token = ""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call `/api/v2` and return the decoded answer.

        Raises TransientError (no answer), AccessDeniedError (401, 403) or RefusedError (the rest).
        """
        url, begin = f"{self.url}/api/v2{path}", self._token
        try:
            return request(method, url, body, self._token or self._renewed())
        except AccessDeniedError:
            if not begin:
                raise
            return request(method, url, body, self._renewed())

    def _renewed(self) -> str:
        self._token = self.login()
        return self._token

    def dag(self, dag_id: str) -> dict[str, Any] | None:
        """Return a DAG as Airflow knows it, None when it does not."""
        return self._found(f"/dags/{quote(dag_id, safe='')}")

    def has_dag(self, dag_id: str) -> bool:
        """Whether Airflow has parsed this DAG."""
        return self.dag(dag_id) is not None

    def run(self, dag_id: str, run_id: str) -> dict[str, Any] | None:
        """Return a DAG run, None when there is none of that id."""
        return self._found(run_path(dag_id, run_id))

    def state(self, dag_id: str, run_id: str) -> str:
        """Return a run's state."""
        return str(self.call("GET", run_path(dag_id, run_id))["state"])

    def _found(self, path: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self.call("GET", path)
        except RefusedError as error:
            if error.code == 404:
                return None
            raise
        return found

    def trigger(self, dag_id: str, conf: Mapping[str, Any], run_id: str | None = None) -> str:
        """Start a DAG run with its parameters, under an id of one's own if given; return its id.

        A run that has the id already is left as it is.
        """
        body = {"logical_date": None, "conf": dict(conf)} | ({"dag_run_id": run_id} if run_id else {})
        try:
            made = self.call("POST", f"/dags/{quote(dag_id, safe='')}/dagRuns", body)
        except RefusedError as error:
            if error.code == 409 and run_id:
                return run_id
            raise
        return str(made["dag_run_id"])

    def clear(self, dag_id: str, run_id: str, task_ids: list[str] | None = None) -> None:
        """Let a past run's tasks run again, all of them unless named."""
        body = {"dry_run": False, "dag_run_id": run_id, "only_failed": False, "reset_dag_runs": True}
        named = {"task_ids": task_ids} if task_ids else {}
        self.call("POST", f"/dags/{quote(dag_id, safe='')}/clearTaskInstances", body | named)

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        return list(self._pages(f"{run_path(dag_id, run_id)}/taskInstances", "task_instances"))

    def _pages(self, path: str, key: str) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            page = self.call("GET", f"{path}?limit={PAGE}&offset={offset}")
            yield from page[key]
            offset += PAGE
            if offset >= page["total_entries"]:
                return

    def result(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """Return what a task left in XCom."""
        path = f"{run_path(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries/return_value?deserialize=true"
        value: dict[str, Any] = self.call("GET", path)["value"]
        return value

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int) -> str:
        """Return the error lines of a task's log, or its last lines when none is one."""
        content = self.call("GET", f"{run_path(dag_id, run_id)}/taskInstances/{task_id}/logs/{try_number}")[
            "content"
        ]
        lines = [line if isinstance(line, dict) else {"event": str(line)} for line in content]
        wrong = [line for line in lines if str(line.get("level", "")).lower() in ("error", "critical")]
        return "\n".join(_line(line) for line in (wrong or lines[-20:]))


def run_path(dag_id: str, run_id: str) -> str:
    """Return the path of a DAG run."""
    return f"/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"


def _line(line: Mapping[str, Any]) -> str:
    details = line.get("error_detail") or []
    reasons = [
        f"{item.get('exc_type')}: {item.get('exc_value')}" for item in details if isinstance(item, dict)
    ]
    return "\n  ".join([str(line.get("event", "")), *reasons])


def request(method: str, url: str, body: Any = None, token: str = "") -> Any:
    """Send one request and return the decoded answer; raises as `Airflow.call` does."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = None if body is None else json.dumps(body).encode()
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(
            urllib.request.Request(url, data, headers, method=method), timeout=SECONDS
        ) as answer:
            text = answer.read()
            return json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        raise _refusal(f"{method} {url}", error) from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise TransientError(f"Airflow does not answer {method} {url}: {reason}") from None
    except ValueError:
        raise TerminalError(
            f"what answers {method} {url} is not Airflow's API, since it answers with no JSON: correct"
            " ETL_FACTORY_AIRFLOW_URL"
        ) from None


def _refusal(call: str, error: urllib.error.HTTPError) -> Exception:
    detail = " ".join((error.headers.get("Location") or error.read().decode(errors="replace")).split())[:500]
    if error.code == 401:
        return AccessDeniedError(
            f"Airflow refuses this login (401 at {call}): correct ETL_FACTORY_AIRFLOW_USERNAME and"
            " ETL_FACTORY_AIRFLOW_PASSWORD, or ETL_FACTORY_AIRFLOW_TOKEN; on Composer, log in to Google again"
        )
    if error.code == 403:
        return AccessDeniedError(
            f"Airflow forbids {call} to this user (403): it needs a role that may read, trigger and clear this DAG"
        )
    if error.code in BUSY:
        return TransientError(f"Airflow does not answer {call} for the moment: {error.code} {detail}")
    return RefusedError(f"Airflow refuses {call}: {error.code} {detail}", error.code)
