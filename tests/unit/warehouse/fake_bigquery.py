"""A BigQuery that answers the real client at its HTTP seam: jobs as the test says, tables and datasets by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from requests.adapters import BaseAdapter

RUNNING: dict[str, Any] = {"state": "RUNNING"}
DONE: dict[str, Any] = {"state": "DONE"}
Answer = tuple[int, dict[str, Any]]


def failed(reason: str, message: str) -> dict[str, Any]:
    """Return the status of a job that ended with an error."""
    return {"state": "DONE", "errorResult": {"reason": reason, "message": message}}


def refusal(code: int, reason: str, message: str) -> Answer:
    """Return an error as BigQuery's REST API gives it."""
    return code, {
        "error": {"code": code, "message": message, "errors": [{"reason": reason, "message": message}]}
    }


class Session(requests.Session):
    """A session as google's client wants it: it asks for this attribute."""

    is_mtls = False


@dataclass
class FakeBigQuery(BaseAdapter):
    """Jobs by id, each with the statuses that it goes through as it is asked for.

    `outcomes`: statuses of a job to come, by id. `rows`: what a SELECT answers. `faults`: answers that
    come instead, by method and end of path. `seen`: every request as method, path and body.
    """

    outcomes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    rows: Callable[[str], list[Mapping[str, Any]]] = lambda sql: []
    faults: dict[tuple[str, str], Answer | Exception] = field(default_factory=dict)
    jobs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    seen: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    configurations: dict[str, dict[str, Any]] = field(default_factory=dict)

    def client(self) -> bigquery.Client:
        """Return a real client that talks to this."""
        session = Session()
        session.mount("https://", self)
        return bigquery.Client(
            "acme-analytics",
            AnonymousCredentials(),
            _http=session,
            location="EU",
            client_options={"api_endpoint": "https://bigquery.example"},
        )

    def found(self, job_id: str, *statuses: dict[str, Any]) -> None:
        """Have a job of an earlier try."""
        self.jobs[job_id] = list(statuses)
        self.configurations[job_id] = {"query": {"query": "SELECT 1"}}

    def submitted(self) -> list[str]:
        """List the ids of the jobs that were asked for, refused ones included."""
        return [
            body["jobReference"]["jobId"]
            for method, path, body in self.seen
            if (method, path) == ("POST", "jobs")
        ]

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        path = urlsplit(request.url or "").path.partition("/projects/acme-analytics/")[2]
        body = json.loads(request.body) if request.body else {}
        self.seen.append((request.method or "", path, body))
        answer = self._fault(request.method or "", path) or self._answer(request.method or "", path, body)
        if isinstance(answer, Exception):
            raise answer
        response = requests.Response()
        response.status_code, content = answer
        response._content = json.dumps(content).encode()
        response.headers["Content-Type"] = "application/json"
        response.url, response.request = request.url or "", request
        return response

    def close(self) -> None:
        return

    def _fault(self, method: str, path: str) -> Answer | Exception | None:
        return next(
            (answer for (m, end), answer in self.faults.items() if m == method and path.endswith(end)), None
        )

    def _answer(self, method: str, path: str, body: dict[str, Any]) -> Answer:
        kind, _, name = path.partition("/")
        if kind == "jobs":
            return self._insert(body) if method == "POST" else self._job(name)
        if kind == "queries":
            return 200, self._query(body) if method == "POST" else self._results(name)
        return self._table(method, name, body)

    def _insert(self, body: dict[str, Any]) -> Answer:
        name = body["jobReference"]["jobId"]
        if name in self.jobs:
            return refusal(409, "duplicate", f"Already Exists: Job {name}")
        self.jobs[name] = list(self.outcomes.get(name, [DONE]))
        self.configurations[name] = body["configuration"]
        return self._job(name)

    def _query(self, body: dict[str, Any]) -> dict[str, Any]:
        name = f"query_{len(self.jobs)}"
        self.jobs[name], self.configurations[name] = [DONE], {"query": body}
        return self._results(name)

    def _job(self, name: str) -> Answer:
        if name not in self.jobs:
            return refusal(404, "notFound", f"Not found: Job {name}")
        statuses = self.jobs[name]
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        reference = {"projectId": "acme-analytics", "jobId": name, "location": "EU"}
        return 200, {"jobReference": reference, "status": status, "configuration": self.configurations[name]}

    def _results(self, name: str) -> dict[str, Any]:
        if self.jobs[name][0] == RUNNING:
            return {"jobComplete": False, "jobReference": {"projectId": "acme-analytics", "jobId": name}}
        rows = self.rows(self.configurations[name]["query"]["query"])
        fields = [{"name": key, "type": _type(value)} for key, value in rows[0].items()] if rows else []
        return {
            "jobComplete": True,
            "jobReference": {"projectId": "acme-analytics", "jobId": name},
            "totalRows": str(len(rows)),
            "schema": {"fields": fields},
            "rows": [{"f": [{"v": _text(value)} for value in row.values()]} for row in rows],
        }

    def _table(self, method: str, name: str, body: dict[str, Any]) -> Answer:
        held = self.tables.get(name)
        if method == "GET":
            return (200, held) if held else refusal(404, "notFound", f"Not found: Table {name}")
        return 200, {**(held or {}), **body} if method == "PATCH" else body


def _type(value: Any) -> str:
    return "INTEGER" if isinstance(value, int) else "STRING"


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
