"""A small HTTP server that speaks as much of Airflow's REST API as the command line uses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

DAG = "acme__shop_db"
RUN = re.compile(r"/api/v2/dags/([^/]+)/dagRuns/([^/]+)")
Answer = tuple[int, Any]


@dataclass
class FakeRun:
    """One DAG run; every look at it takes the next of its `states`, and stays at the last."""

    conf: dict[str, Any]
    states: list[str]
    tasks: list[dict[str, Any]] = field(default_factory=list)

    def seen(self) -> str:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


@dataclass
class FakeAirflow:
    """What the server knows, and every call that it answered.

    `outcomes`: the state in which the runs to come end, by their start. `troubles`: what the next calls are
    answered instead.
    """

    url: str = ""
    dag: dict[str, Any] | None = field(default_factory=lambda: {"is_paused": False})
    runs: dict[str, FakeRun] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    troubles: list[Answer] = field(default_factory=list)
    tokens: list[str] = field(default_factory=lambda: ["first"])
    on_look: Callable[[str], None] = lambda run_id: None

    def triggered(self) -> list[dict[str, Any]]:
        """Return the configuration of every run that was started."""
        return [
            body["conf"] for method, path, body in self.calls if method == "POST" and path.endswith("dagRuns")
        ]

    def cleared(self) -> list[dict[str, Any]]:
        return [body for _, path, body in self.calls if path.endswith("clearTaskInstances")]

    def answer(self, method: str, path: str, body: Any, token: str) -> Answer:
        self.calls.append((method, unquote(urlsplit(path).path), body))
        if self.troubles:
            return self.troubles.pop(0)
        if path == "/auth/token":
            is_right = body == {"username": "admin", "password": "s3cret"}
            return (201, {"access_token": self.tokens[-1]}) if is_right else (401, {"detail": "Invalid"})
        if token != f"Bearer {self.tokens[-1]}":
            return 401, {"detail": "Invalid token"}
        if self.dag is None:
            return 404, {"detail": "not found"}
        return self._dag(method, path, body)

    def _dag(self, method: str, path: str, body: Any) -> Answer:
        if path.endswith("/dagRuns") and method == "POST":
            return self._trigger(body)
        if path.endswith("/clearTaskInstances"):
            self.runs[body["dag_run_id"]] = made(self.runs[body["dag_run_id"]].conf, "success")
            return 200, {"task_instances": []}
        found = RUN.match(path)
        if not found:
            return 200, {"dag_id": DAG, **(self.dag or {})}
        return self._run(unquote(found[2]), path[found.end() :])

    def _trigger(self, body: dict[str, Any]) -> Answer:
        run_id = body["dag_run_id"]
        if run_id in self.runs:
            return 409, {"detail": "already exists"}
        self.runs[run_id] = made(body["conf"], self.outcomes.get(body["conf"]["start"], "success"))
        return 200, {"dag_run_id": run_id}

    def _run(self, run_id: str, rest: str) -> Answer:
        run = self.runs.get(run_id)
        if run is None:
            return 404, {"detail": "no such run"}
        if rest.startswith("/taskInstances?"):
            query = {key: int(value[0]) for key, value in parse_qs(urlsplit(rest).query).items()}
            page = run.tasks[query["offset"] : query["offset"] + query["limit"]]
            return 200, {"task_instances": page, "total_entries": len(run.tasks)}
        if "/xcomEntries/" in rest:
            return 200, {"value": {"rows_read": 1200, "inserted": 3, "updated": 0}}
        if "/logs/" in rest:
            wrong = {
                "event": "Task failed",
                "level": "error",
                "error_detail": [{"exc_type": "E", "exc_value": "no disk"}],
            }
            return 200, {"content": [{"event": "begin", "level": "info"}, wrong]}
        self.on_look(run_id)
        state = run.seen()
        return 200, {"dag_run_id": run_id, "state": state, "start_date": "2026-01-01T00:00:00Z",
                     "end_date": "2026-01-01T00:00:12.340000Z" if state in ("success", "failed") else None}  # fmt: skip


def made(conf: dict[str, Any], outcome: str) -> FakeRun:
    """Return a run of two resources that ends so; of a failed one, `lines` has failed."""
    names = [(resource, step) for resource in ("orders", "lines") for step in ("extract", "publish")]
    tasks = [
        {
            "task_id": f"{resource}.{step}",
            "state": "success",
            "try_number": 1,
            "end_date": f"2026-01-01T00:00:0{n}Z",
        }
        for n, (resource, step) in enumerate(names)
    ]
    if outcome == "failed":
        tasks[2]["state"], tasks[3]["state"] = "failed", "upstream_failed"
    return FakeRun(conf, ["queued", "running", outcome], tasks)


@contextmanager
def served() -> Iterator[FakeAirflow]:
    """Serve a fake Airflow on a free port."""
    fake = FakeAirflow()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            code, document = fake.answer(self.command, self.path, body, self.headers.get("Authorization", ""))
            data = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(code)
            if code in (301, 302):
                self.send_header("Location", "https://elsewhere.example/login")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _answer

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
