"""A client of BigQuery whose jobs run on DuckDB in memory, for the package's own `Warehouse` to sit upon."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from google.api_core.exceptions import BadRequest, Conflict, NotFound, ServiceUnavailable

from etl_factory.schema.types import Field
from examples import REPOSITORY

PROJECT = "acme-analytics"
_PARTITIONED = re.compile(
    r"CREATE TABLE IF NOT EXISTS `([^`]+)`.*\nPARTITION BY (?:(\w+)_TRUNC\()?`(\w+)`", re.DOTALL
)
ENVIRONMENT = REPOSITORY / ".venvs/bigquery"


class Engine:
    """The process that holds the tables; it answers one request at a time."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [str(ENVIRONMENT / "bin/python"), str(Path(__file__).parent / "duck_server.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            env={**os.environ, "HOME": str(ENVIRONMENT), "PYTHONPATH": ""},
        )  # fmt: skip

    def ask(self, verb: str, **values: Any) -> dict[str, Any]:
        """Send one request; raises google's exception for an error."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin
        assert stdout
        stdin.write(json.dumps({"verb": verb, **values}) + "\n")
        answer: dict[str, Any] = json.loads(stdout.readline(), object_hook=_decode)
        if "error" in answer:
            raise (NotFound if answer["reason"] == "notFound" else BadRequest)(answer["error"])
        return answer

    def close(self) -> None:
        """End the process."""
        for stream in (self.process.stdin, self.process.stdout):
            assert stream
            with suppress(BrokenPipeError):
                stream.close()
        self.process.wait(timeout=10)


def _decode(document: dict[str, Any]) -> Any:
    match document:
        case {"datetime": text}:
            return datetime.fromisoformat(text)
        case {"date": text}:
            return date.fromisoformat(text)
        case {"bytes": text}:
            return bytes.fromhex(text)
    return document


@dataclass
class Job:
    """A job that has ended; its error, and whether the answer about it was lost on the way."""

    job_id: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    error: Exception | None = None
    lost: bool = False

    @property
    def error_result(self) -> dict[str, str] | None:
        return {"message": str(self.error)} if self.error else None

    def reload(self, **options: object) -> None:
        return

    def result(self, **options: object) -> list[dict[str, Any]]:
        if self.lost:
            self.lost = False
            raise ServiceUnavailable("the connection broke before the answer came")
        if self.error:
            raise self.error
        return self.rows


@dataclass
class Client:
    """What the package asks of google's client.

    `before_publish` runs once, between a publish's reading of the head and its transaction. `lose_answer`:
    the next publish commits, and nobody hears of it. `seen` counts the rows handed to whoever asks. The engine has no
    partitions: `partitions` keeps by which column, of which type, a table would have them.
    """

    engine: Engine
    jobs: dict[str, Job] = field(default_factory=dict)
    before_publish: Callable[[], None] | None = None
    lose_answer: bool = False
    seen: int = 0
    partitions: dict[str, tuple[str, str]] = field(default_factory=dict)

    def query(self, sql: str, job_config: Any, job_id: str | None = None, **options: object) -> Job:
        """Run a query job to its end; raises Conflict for an id that is taken."""
        if job_id in self.jobs:
            raise Conflict(f"job {job_id} exists")
        is_publish = job_id is not None
        if is_publish and self.before_publish:
            meanwhile, self.before_publish = self.before_publish, None
            meanwhile()
        if made := _PARTITIONED.match(sql):
            self.partitions[made[1]] = (made[3], made[2] or "DATE")
        job = self._run(sql, job_config, job_id or "")
        if is_publish:
            job.lost, self.lose_answer = self.lose_answer, False
            self.jobs[job.job_id] = job
        return job

    def _run(self, sql: str, job_config: Any, job_id: str) -> Job:
        parameters = [parameter.to_api_repr() for parameter in job_config.query_parameters]
        try:
            answer = self.engine.ask("query", sql=sql, parameters=parameters)
        except (BadRequest, NotFound) as error:
            return Job(job_id, error=error)
        rows = [dict(zip(answer["names"], row, strict=True)) for row in answer["rows"]]
        self.seen += len(rows)
        return Job(job_id, rows)

    def query_and_wait(self, sql: str, job_config: Any, **options: object) -> Iterator[dict[str, Any]]:
        return iter(self._run(sql, job_config, "").result())

    def get_job(self, job_id: str, **options: object) -> Job:
        return self.jobs[job_id]

    def get_table(self, table_id: str, **options: object) -> Any:
        """Return a table with its column names; raises NotFound."""
        _, dataset, table = table_id.split(".")
        names = self.engine.ask("columns", dataset=dataset, table=table)["names"]
        if not names:
            raise NotFound(table_id)
        column, type_ = self.partitions.get(table_id, ("", ""))
        schema = [SimpleNamespace(name=name, field_type=type_ if name == column else "") for name in names]
        by = SimpleNamespace(field=column, type_="DAY") if column else None
        return SimpleNamespace(schema=schema, time_partitioning=by)

    # What only the tests ask

    def reset(self, *datasets: str) -> None:
        """Empty these datasets, and forget every job."""
        self.jobs.clear()
        self.partitions.clear()
        self.before_publish, self.lose_answer = None, False
        self.engine.ask("reset", datasets=list(datasets))

    def fill(self, table_id: str, fields: tuple[Field, ...], rows: Iterable[tuple[Any, ...]]) -> None:
        """Make a table of these rows, or make it anew."""
        table = table_id.split(".", 1)[1]
        columns = ", ".join(f'"{field.name}" {_DUCK_TYPES[field.type]}' for field in fields)
        values = ", ".join(f"({', '.join(map(_literal, row))})" for row in rows)
        insert = f"; INSERT INTO {table} VALUES {values}" if values else ""
        self.engine.ask("native", sql=f"CREATE OR REPLACE TABLE {table} ({columns}){insert}")

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Run BigQuery's SQL."""
        answer = self.engine.ask("query", sql=sql, parameters=[])
        return [dict(zip(answer["names"], row, strict=True)) for row in answer["rows"]]


_QUOTE = "'"
_DUCK_TYPES = {
    "TIMESTAMP": "TIMESTAMPTZ", "DATETIME": "TIMESTAMP", "DATE": "DATE", "INT64": "BIGINT", "STRING": "VARCHAR",
    "BYTES": "BLOB", "BOOL": "BOOLEAN",
}  # fmt: skip


def _literal(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{'TIMESTAMPTZ' if value.tzinfo else 'TIMESTAMP'} '{value.isoformat(sep=' ')}'"
    if isinstance(value, date):
        return f"DATE '{value}'"
    if isinstance(value, bytes):
        return f"from_hex('{value.hex()}')"
    if isinstance(value, str):
        return f"'{value.replace(_QUOTE, _QUOTE * 2)}'"
    return "NULL" if value is None else str(value)
