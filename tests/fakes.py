"""A landing bucket and a warehouse in memory, and the resources that the operators' tests work on."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import SimpleNamespace
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from etl_factory.config.loading import load
from etl_factory.config.resource import Resource, resources
from etl_factory.errors import EtlFactoryError, StaleError
from etl_factory.landing.manifest import Manifest, Part, Plan, PlannedObject
from etl_factory.schema.types import Field
from examples import TENANT, Write

LOAD_ID = "ld_0123456789abcdef0123"
MORNING, NOON = "2025-06-01T06:00:00+00:00", "2025-06-01T12:00:00+00:00"


def resource_of(write: Write, resource: str, *, type_: str = "postgres") -> Resource:
    """Return the one resource of a source, given as the YAML lines under its name."""
    lines = "".join(f"    {line}\n" for line in resource.strip().splitlines())
    text = f"source: shop\ntype: {type_}\nconnection: shop\nresources:\n  orders:\n{lines}"
    catalogue = load(write({"acme/tenant.yaml": TENANT, "acme/shop.yaml": text}))
    assert [str(error) for broken in catalogue.errors for error in broken.errors] == []
    (source,) = catalogue.sources
    return resources(source.tenant, source.spec)[0]


def manifest_of(resource: Resource, **values: Any) -> Manifest:
    """Return what extract left, or another step."""
    plan = Plan(LOAD_ID, "live", 0, None)
    start = Manifest("extract", "extract-1-00000000", resource.spec_digest, plan, NOON)
    return replace(start, **values)


def context_of(left: Mapping[str, Any] | None, try_number: int = 1) -> dict[str, Any]:
    """Return a task's context, in which every earlier task left the same."""
    task = SimpleNamespace(try_number=try_number, xcom_pull=lambda task_ids: left)
    return {"ti": task, "dag_run": SimpleNamespace(run_id="manual__1")}


@dataclass
class FakeLanding:
    """Objects by address; every write creates, none overwrites."""

    objects: dict[str, bytes] = field(default_factory=dict)
    made: dict[str, datetime] = field(default_factory=dict)

    def put(
        self, uri: str, data: bytes, rows: int | None = None, source: PlannedObject | None = None
    ) -> Part:
        """Have an object that an earlier task wrote."""
        self.objects[uri] = data
        return replace(self.stat(uri), rows=rows, source=source)

    def put_file(self, name: str, data: bytes, modified: str = MORNING) -> Part:
        """Have a raw file that extract copied."""
        source = PlannedObject(f"s3://drops/{name}", f"etag-{name}", len(data), modified)
        return self.put(f"gs://acme-landing/raw/{name}", data, source=source)

    def put_table(self, name: str, table: pa.Table, rows: int | None = None) -> Part:
        """Have a part that extract wrote of a table."""
        stream = io.BytesIO()
        pq.write_table(table, stream)
        return self.put(
            f"gs://acme-landing/{name}.parquet", stream.getvalue(), table.num_rows if rows is None else rows
        )

    def rows(self, parts: tuple[Part, ...]) -> list[dict[str, Any]]:
        """Return all rows of some parts."""
        tables = [pq.read_table(io.BytesIO(self.objects[part.uri])) for part in parts]
        return [row for table in tables for row in table.to_pylist()]

    def write_text(self, uri: str, text: str) -> bool:
        return self.objects.setdefault(uri, text.encode()) == text.encode()

    def read_text(self, uri: str) -> str | None:
        return self.objects[uri].decode() if uri in self.objects else None

    @contextmanager
    def create(self, uri: str) -> Iterator[IO[bytes]]:
        stream = io.BytesIO()
        yield stream
        assert uri not in self.objects
        self.objects[uri] = stream.getvalue()

    def stat(self, uri: str) -> Part:
        data = self.objects[uri]
        return Part(uri, 1, len(data), base64.b64encode(hashlib.md5(data).digest()).decode())

    def demand(self, part: Part) -> None:
        """Hold an object against what its manifest lists, as the real bucket does."""
        if part.uri not in self.objects:
            raise StaleError(f"landing object {part.uri} is gone: clear the run from `extract`")
        if replace(self.stat(part.uri), rows=part.rows, source=part.source) != part:
            raise StaleError(f"landing object {part.uri} was changed: clear the run from `extract`")

    def ages(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """List what is there; what has no moment of its own was made at noon."""
        noon = datetime.fromisoformat(NOON)
        yield from ((uri, self.made.get(uri, noon)) for uri in sorted(self.objects) if uri.startswith(prefix))

    def delete(self, uri: str) -> None:
        self.objects.pop(uri, None)

    def open(self, part: Part) -> IO[bytes]:
        if part.uri not in self.objects:
            raise StaleError(f"landing object {part.uri} is gone or changed: clear the run from `extract`")
        return io.BytesIO(self.objects[part.uri])


@dataclass
class FakeWarehouse:
    """Tables by id; a job runs once, ends as `failure` says, and its effect is what `publish` does.

    `heads`, `loads` and `files` are the ledger's rows by kind; `partitions` says by which columns tables are
    partitioned, and `begins` where the partitions begin that a publish touches.
    """

    target: Any
    tables: dict[str, tuple[Field, ...]] = field(default_factory=dict)
    heads: list[dict[str, Any]] = field(default_factory=list)
    loads: list[dict[str, Any]] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    failure: EtlFactoryError | None = None
    publish: Callable[[str, Mapping[str, Any]], None] = lambda job_id, parameters: None
    partitions: dict[str, str] = field(default_factory=dict)
    begins: list[Any] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def ensure_datasets(self) -> None:
        return

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        self.statements.append(sql)

    def rows(self, sql: str, *, absent_ok: bool = False, **parameters: Any) -> list[dict[str, Any]]:
        if " AS part FROM " in sql:
            self.statements.append(sql)
            return [{"part": begin} for begin in self.begins]
        kinds = {"kind = 'load'": self.loads, "kind = 'file'": self.files}
        return next((rows for kind, rows in kinds.items() if kind in sql), self.heads)

    def table(self, table_id: str) -> Any:
        if table_id not in self.tables:
            return None
        schema = [SimpleNamespace(name=of.name, field_type=of.type) for of in self.tables[table_id]]
        column = self.partitions.get(table_id)
        by = SimpleNamespace(field=column, type_="DAY") if column else None
        return SimpleNamespace(schema=schema, num_rows=0, modified=NOON, time_partitioning=by)

    def extend(self, table_id: str, field: Field) -> None:
        self.statements.append(f"extend {table_id} {field.ddl}")

    def drop(self, table_id: str) -> None:
        self.tables.pop(table_id, None)

    def published_fields(self) -> tuple[Field, ...] | None:
        return self.tables.get(self.target.table_id)

    def create_staging(self, table_id: str, fields: tuple[Field, ...]) -> None:
        self.tables.setdefault(table_id, fields)

    def row_count(self, table_id: str) -> int:
        return 0

    def start_query(self, sql: str, parameters: Mapping[str, Any], job_id: str) -> None:
        self.statements.append(sql)
        self.parameters = parameters

    def run_once(self, job_id: str, submit: Callable[[str], Any], is_done: Callable[[], bool]) -> None:
        self.jobs.append(job_id)
        submit(job_id)
        if self.failure:
            raise self.failure
        self.publish(job_id, self.parameters)
