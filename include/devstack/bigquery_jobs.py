"""Runs the BigQuery emulator's jobs without what it does for each: listing all tables, and writing jobs one by one."""

from __future__ import annotations

import atexit
import contextlib
import json
import threading
from typing import Any

from local_bigquery.engine import database
from local_bigquery.jobs import query, store

Key = tuple[str, str]
load_job, list_jobs, delete_job, run_query = store.load, store.list_, store.delete, query.execute


class Fresh:
    """A connection just opened, which holds no temporary table; all else it does itself."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    def sql(self, statement: str, **options: Any) -> Any:
        """Run a statement, but not the one that looks for temporary tables through all tables of all projects."""
        if statement == "SELECT table_name FROM duckdb_tables() WHERE temporary":
            statement = "SELECT '' WHERE false"
        return self.connection.sql(statement, **options)

    def execute(self, statement: str, *parameters: Any) -> Any:
        """Run a statement, but not the one that names a schema where no name needs one."""
        if statement.startswith("USE ") and statement.endswith('."main"'):
            return self.connection
        return self.connection.execute(statement, *parameters)


def execute(connection: Any, *arguments: Any, session: Any = None, **options: Any) -> Any:
    """Run a query job; only a session's connection may hold temporary tables."""
    return run_query(connection if session else Fresh(connection), *arguments, session=session, **options)


class Jobs:
    """The jobs not yet written to the emulator's database, where a thread writes many at once."""

    def __init__(self) -> None:
        self.lock, self.writing = threading.Lock(), threading.Lock()
        self.waiting: dict[Key, Any] = {}
        self.wanted = threading.Event()

    def start(self) -> None:
        """Write every two seconds, and once more at the end."""
        threading.Thread(target=self._write_on, daemon=True).start()
        atexit.register(self.write)

    def _write_on(self) -> None:
        pause = threading.Event()
        while self.wanted.wait():
            self.wanted.clear()
            pause.wait(2)
            self.write()

    def save(self, job: Any) -> Any:
        """Take a job, or a new state of it."""
        with self.lock:
            self.waiting[(job.jobReference.projectId, job.jobReference.jobId)] = job
        self.wanted.set()
        return job

    def write(self) -> None:
        """Write down what waits."""
        with self.writing, contextlib.suppress(database.duckdb.ConnectionException):
            with self.lock:
                taken = dict(self.waiting)
            if taken:
                self._insert(taken)
            with self.lock:
                for key, job in taken.items():
                    if self.waiting.get(key) is job:
                        del self.waiting[key]

    def _insert(self, jobs: dict[Key, Any]) -> None:
        rows = [
            (
                *key,
                job.statistics.parentJobId,
                job.status.state,
                int(job.statistics.creationTime),
                json.dumps(job.dump()),
            )
            for key, job in jobs.items()
        ]
        columns = [list(column) for column in zip(*rows, strict=True)]
        database.execute(
            f"INSERT OR REPLACE INTO emulator.jobs SELECT {', '.join(['unnest(?)'] * 6)}", columns
        )

    def load(self, project_id: str, job_id: str) -> Any:
        """Return a job in its newest state, or None."""
        with self.lock:
            held = self.waiting.get((project_id, job_id))
        return held or load_job(project_id, job_id)

    def list(self, *arguments: Any, **options: Any) -> Any:
        """Return the jobs asked for."""
        self.write()
        return list_jobs(*arguments, **options)

    def delete(self, project_id: str, job_id: str) -> None:
        """Forget a job."""
        self.write()
        delete_job(project_id, job_id)


def install() -> None:
    """Put these in the place of the emulator's own."""
    jobs = Jobs()
    store.save, store.load, store.list_, store.delete = jobs.save, jobs.load, jobs.list, jobs.delete
    query.execute = execute
    jobs.start()
