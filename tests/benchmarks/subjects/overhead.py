"""What a run costs beside its data: calls to Google's services and seconds in our tasks, counted at the transport."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from benchmarks.subjects import places

RESOURCE = "  one:\n    table: bench_overhead\n    load: transactional\n    cursor: updated_at\n    primary_key: [id]\n"
ROWS = """
DROP TABLE IF EXISTS bench_overhead;
CREATE TABLE bench_overhead (id bigint PRIMARY KEY, name text, updated_at timestamptz);
INSERT INTO bench_overhead SELECT i, 'n' || i, timestamptz '2025-01-01 00:00+00' + i * interval '1 second'
FROM generate_series(1, 1000) AS i;
"""
STEPS = ("extract", "sanitize", "load", "publish")


def first_run(options: dict[str, Any]) -> Iterator[Any]:
    """Load 1,000 rows for the first time."""
    tasks = _tasks()
    with _counted() as calls:
        yield
        ran, said = _run(tasks)
        yield _told(calls, ran, said)


def empty_run(options: dict[str, Any]) -> Iterator[Any]:
    """Run once more, when there is nothing new."""
    tasks = _tasks()
    _run(tasks)
    _forget_secrets()
    with _counted() as calls:
        yield
        ran, said = _run(tasks)
        yield _told(calls, ran, said)


def imports(options: dict[str, Any]) -> Iterator[Any]:
    """Import what Airflow imports for any task, then, measured, the one module of a task that is asked for."""
    from importlib import import_module

    import airflow.sdk  # noqa: F401 - what every task process has

    yield
    import_module(options["module"])
    yield {"rows": 1}


def _tasks() -> Any:
    """Make a source of its own, with a secret for its connection; return its DAG."""
    import psycopg2

    from etl_factory.config.loading import load
    from etl_factory.factory import build_dag
    from etl_factory.secret_manager import SecretAccess

    os.environ["AIRFLOW__SECRETS__BACKEND"] = "etl_factory.secret_manager.TenantSecretManagerBackend"
    with psycopg2.connect(os.environ["POSTGRES_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute(ROWS)
    secrets = SecretAccess(os.environ["ETL_FACTORY_SECRETS_PROJECT"], os.environ["SECRET_MANAGER_ENDPOINT"])
    secrets.write(
        "airflow-connections-bench__own", os.environ["POSTGRES_URL"].replace("postgresql", "postgres")
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bench").mkdir()
        tenant = places.TENANT.replace("dataset: raw", f"dataset: bench_{uuid4().hex[:8]}")
        Path(folder, "bench/tenant.yaml").write_text(tenant.replace("bench-project", "acme-analytics"))
        text = f"source: shop\ntype: postgres\nconnection: own\nresources:\n{RESOURCE}"
        Path(folder, "bench/shop.yaml").write_text(text)
        (source,) = load(Path(folder)).sources
        return build_dag(source.tenant, source.spec)


def _run(dag: Any) -> tuple[dict[str, float], str]:
    """Execute the tasks in their order until one skips; return the seconds of each, and what the last one said."""
    from airflow.providers.common.compat.sdk import AirflowSkipException

    left: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    task = SimpleNamespace(try_number=1, xcom_pull=lambda task_ids: left[task_ids])
    later = datetime.now(UTC) + timedelta(days=1)
    run = SimpleNamespace(run_id=uuid4().hex, run_after=later, run_type="manual", conf={})
    for step in STEPS:
        name, begin = f"one.{step}", time.perf_counter()
        try:
            context = {"ti": task, "dag_run": run, "params": {}, "dag": dag}
            left[name] = dag.task_dict[name].execute(context)
        except AirflowSkipException as reason:
            seconds[step] = time.perf_counter() - begin
            return seconds, str(reason)
        seconds[step] = time.perf_counter() - begin
    return seconds, ""


def _told(calls: Counter[str], ran: dict[str, float], said: str) -> dict[str, Any]:
    services = ("bigquery", "storage", "secretmanager")
    return {
        "rows": 1,
        "tasks": len(ran),
        **{f"calls_{name}": sum(n for key, n in calls.items() if key.startswith(name)) for name in services},
        "load_jobs": calls["bigquery load job"],
        "other_jobs": calls["bigquery query job"],
        "calls": dict(sorted(calls.items())),
        "step_seconds": {step: round(spent, 4) for step, spent in ran.items()},
        "said": len(said),
    }


def _forget_secrets() -> None:
    """Let the next run find no secret in this process's cache, as a task in a process of its own would."""
    from etl_factory.secret_manager import shared_access

    shared_access.cache_clear()


@contextmanager
def _counted() -> Iterator[Counter[str]]:
    """Count what leaves this process: HTTP requests by service and kind, and reads of Secret Manager."""
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient
    from requests.adapters import HTTPAdapter

    calls: Counter[str] = Counter()
    hosts = {
        urlsplit(os.environ["BIGQUERY_EMULATOR_HOST"]).netloc: "bigquery",
        urlsplit(os.environ["STORAGE_EMULATOR_HOST"]).netloc: "storage",
    }
    send, read = HTTPAdapter.send, SecretManagerServiceClient.access_secret_version

    def sent(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        service = hosts.get(urlsplit(request.url).netloc, "other")
        calls[f"{service} {_kind(request)}"] += 1
        return send(self, request, *args, **kwargs)

    def asked(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls["secretmanager read"] += 1
        return read(self, *args, **kwargs)

    HTTPAdapter.send, SecretManagerServiceClient.access_secret_version = sent, asked  # type: ignore[method-assign]  # counted
    try:
        yield calls
    finally:
        HTTPAdapter.send, SecretManagerServiceClient.access_secret_version = send, read  # type: ignore[method-assign]  # as before


def _kind(request: Any) -> str:
    """Name a request by what it asks for: a job by its type, else its method."""
    body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
    if request.method == "POST" and urlsplit(request.url).path.endswith("/jobs"):
        return "load job" if b'"load"' in body else "query job"
    if request.method == "POST" and urlsplit(request.url).path.endswith("/queries"):
        return "query"
    return str(request.method)
