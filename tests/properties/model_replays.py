"""A table and a bucket in memory, and loads of them: everything real but the source, the landing and BigQuery."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
from duck import PROJECT, Client

from etl_factory.config.loading import load
from etl_factory.config.resource import Resource, resources
from etl_factory.errors import StaleError
from etl_factory.landing.manifest import Manifest, Part, load_manifest
from etl_factory.operators.publishing import Publisher
from etl_factory.operators.quarantine import QUARANTINE
from etl_factory.operators.replaying import replay_sanitizer, told
from etl_factory.operators.sanitizing import Sanitizer
from etl_factory.schema.types import Field
from etl_factory.sources.base import Connection, Selection, SourceObject, TableSnapshot, TableSource
from etl_factory.sources.s3 import S3Source
from etl_factory.sources.specs import Files
from etl_factory.transfers.base import extract_files, extract_table
from etl_factory.warehouse.client import Warehouse
from etl_factory.warehouse.ddl import QUARANTINE_COLUMNS
from etl_factory.warehouse.ledger import Head, Ledger
from etl_factory.windows import CursorKind, Window
from fakes import FakeLanding

BEGIN = datetime(2025, 6, 1, 12, tzinfo=UTC)
DECLARED = pa.schema([("id", pa.int64()), ("v", pa.date32()), ("at", pa.timestamp("us", "UTC"))])
READ = pa.schema([("id", pa.int64()), ("v", pa.string()), ("at", pa.timestamp("us", "UTC"))])
COUNTED = ("inserted", "updated", "unchanged", "superseded", "quarantined")
_TYPES = {"BIGINT": "INT64", "VARCHAR": "STRING", "DATE": "DATE", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP"}


class Clock:
    """A clock that goes on by a minute whenever it is looked at."""

    def __init__(self) -> None:
        self.moment = BEGIN

    def now(self) -> datetime:
        self.moment += timedelta(minutes=1)
        return self.moment


class Things(TableSource):
    """A table of things: an id, a date that is read as text, and when it was written."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(Connection("acme__shop"))
        self.clock, self.rows = clock, []  # type: ignore[var-annotated]  # the next line says it
        self.rows: list[tuple[int | None, str | None, datetime]]

    def put(self, id_: int | None, v: str | None) -> None:
        """Write a row; a row of the same id stays beside it, unless it was removed."""
        self.rows.append((id_, v, self.clock.now()))

    def change(self, id_: int, v: str | None) -> None:
        """Write another version of a row."""
        self.rows = [row for row in self.rows if row[0] != id_]
        self.put(id_, v)

    def check(self) -> str:
        return "a model"

    def discover(self) -> Iterator[Any]:
        yield from ()

    @contextmanager
    def snapshot(self, selection: Selection) -> Iterator[TableSnapshot]:
        yield ThingsSnapshot(self)


class ThingsSnapshot(TableSnapshot):
    """The table as it is."""

    def __init__(self, things: Things) -> None:
        self.schema, self.now, self.rows = DECLARED, things.clock.now(), list(things.rows)

    def cursor_kind(self) -> CursorKind:
        return "instant"

    def greatest(self) -> int | None:
        return None

    def count(self, window: Window | None) -> int:
        return len(self._within(window))

    def read(self, window: Window | None) -> Iterator[pa.RecordBatch]:
        columns = list(zip(*self._within(window), strict=True)) or [(), (), ()]
        yield pa.RecordBatch.from_arrays(
            [pa.array(c, f.type) for c, f in zip(columns, READ, strict=True)], schema=READ
        )

    def _within(self, window: Window | None) -> list[tuple[Any, ...]]:
        if window is None:
            return self.rows
        start: Any = window.start or BEGIN
        return [row for row in self.rows if start <= row[2] < window.end]  # type: ignore[operator]  # instants


class Bucket(S3Source):
    """Files by name, each with a version of its own."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(Connection("acme__shop", "aws"))
        self.clock, self.held = clock, {}  # type: ignore[var-annotated]  # the next line says it
        self.held: dict[str, tuple[SourceObject, bytes]]

    def put(self, name: str, text: str) -> None:
        """Write a file, or another version of it."""
        uri, data = f"s3://drops/{name}", text.encode()
        self.held[uri] = (SourceObject(uri, f"v-{uuid.uuid4().hex[:6]}", len(data), self.clock.now()), data)

    def objects(self, path: str) -> Iterator[SourceObject]:
        yield from (listed for _, (listed, _) in sorted(self.held.items()))

    def copy(self, source: SourceObject, uri: str, landing: Any) -> Part:
        """Copy a file at the version that was listed."""
        part: Part = landing.put(uri, self.open(source).read())
        return part

    def open(self, source_object: SourceObject) -> io.BytesIO:
        """Open a file at the version that was listed."""
        listed, data = self.held.get(source_object.uri, (None, b""))
        if listed is None or listed.version != source_object.version:
            raise StaleError(f"{source_object.uri} has changed or gone since it was listed")
        return io.BytesIO(data)


class ModelWarehouse(Warehouse):
    """BigQuery on DuckDB, which tells its types in words of its own."""

    def published_fields(self) -> tuple[Field, ...] | None:
        """Return the published table's fields."""
        _, dataset, table = self.target.table_id.split(".")
        sql = (
            "SELECT column_name, data_type FROM duckdb_columns()"
            f" WHERE schema_name = '{dataset}' AND table_name = '{table}' ORDER BY column_index"
        )
        client: Any = self.client
        rows = client.engine.ask("native", sql=sql)["rows"]
        return tuple(Field(name, _TYPES[t]) for name, t in rows if not name.startswith("_etl_")) or None


@dataclass
class Steps:
    """One run of the resource, step by step; `manifest` is what the last step left."""

    shelf: Shelf
    conf: dict[str, Any]
    run_id: str = field(default_factory=lambda: f"run-{uuid.uuid4().hex[:8]}")
    tries: int = 0
    manifest: Any = None

    def extract(self) -> Steps:
        """Read, or take out of quarantine."""
        self.tries += 1
        context = {
            "dag_run": SimpleNamespace(
                run_id=self.run_id, run_after=self.shelf.clock.now(), run_type="manual", conf=self.conf
            ),
            "ti": SimpleNamespace(try_number=self.tries),
            "params": {},
        }
        shelf, resource = self.shelf, self.shelf.resource
        if isinstance(resource.spec, Files):
            left = extract_files(context, resource, shelf.bucket, shelf.bucket.copy)
        else:
            left = extract_table(context, resource, shelf.things)
        self.manifest = load_manifest(shelf.landing.read_text(left["manifest"]) or "")
        return self

    def stage(self) -> Steps:
        """Sanitize and load what was extracted."""
        landing: Any = self.shelf.landing
        resource, name = self.shelf.resource, f"sanitize-{self.tries}-{uuid.uuid4().hex[:8]}"
        published = self.shelf.warehouse.published_fields()
        if self.manifest.plan.mode == "replay":
            sanitizer = replay_sanitizer(resource, landing, self.manifest, name)
            done = told(sanitizer.run(published), sanitizer)
        else:
            done = Sanitizer(resource, landing, self.manifest, name).run(published)
        self.manifest = self._loaded(load_manifest_again(done))
        return self

    def _loaded(self, done: Manifest) -> Manifest:
        table = f"{PROJECT}.{self.shelf.resource.destination.etl_dataset}._staging_{uuid.uuid4().hex[:8]}"
        self._fill(table, tuple(Field.from_json(f) for f in done.fields), done.parts)
        if not done.quarantine:
            return done.then(step="load", staging_table=table)
        fields = tuple(Field(name, QUARANTINE_COLUMNS[name]) for name in QUARANTINE.names)
        self._fill(f"{table}_quarantine", fields, done.quarantine)
        return done.then(step="load", staging_table=table, quarantine_table=f"{table}_quarantine")

    def _fill(self, table: str, fields: tuple[Field, ...], parts: tuple[Part, ...]) -> None:
        rows = [tuple(row[f.name] for f in fields) for row in self.shelf.landing.rows(parts)]
        self.shelf.client.fill(table, fields, rows)

    def publish(self) -> dict[str, Any]:
        """Publish; return the report."""
        shelf = self.shelf
        return Publisher(shelf.resource, shelf.warehouse, self.manifest, self.run_id).run()


def load_manifest_again(done: Manifest) -> Manifest:
    """Return a manifest as the next step reads it."""
    from etl_factory.landing.manifest import dumps

    return load_manifest(dumps(done))


class Shelf:
    """One resource, its source, and every load of it."""

    def __init__(self, client: Client, root: Path) -> None:
        self.client, self.root, self.clock, self.landing = client, root, Clock(), FakeLanding()
        self.things, self.bucket = Things(self.clock), Bucket(self.clock)
        self.resource: Resource
        client.reset("raw", "raw_etl")

    @property
    def warehouse(self) -> ModelWarehouse:
        """The resource's warehouse."""
        return ModelWarehouse(self.client, self.resource.target)  # type: ignore[arg-type]  # a model

    def table(self, *lines: str) -> None:
        """Write the YAML of the table."""
        self._write("postgres", "table: public.things", *lines)

    def files(self, *lines: str) -> None:
        """Write the YAML of the files."""
        self._write("s3", "path: s3://drops/**", *lines)

    def _write(self, type_: str, *lines: str) -> None:
        tenant = {
            "tenant": "acme", "project": PROJECT, "location": "EU", "dataset": "raw", "landing": "gs://acme-landing",
        }  # fmt: skip
        body = "".join(f"    {line}\n" for line in lines)
        text = f"source: shop\ntype: {type_}\nconnection: shop\nresources:\n  things:\n{body}"
        (self.root / "acme").mkdir(parents=True, exist_ok=True)
        (self.root / "acme/tenant.yaml").write_text("".join(f"{k}: {v}\n" for k, v in tenant.items()))
        (self.root / "acme/shop.yaml").write_text(text)
        catalogue = load(self.root)
        assert [str(error) for broken in catalogue.errors for error in broken.errors] == []
        (source,) = catalogue.sources
        (self.resource,) = resources(source.tenant, source.spec)

    def steps(self, **conf: Any) -> Steps:
        """Begin a run."""
        return Steps(self, conf)

    def run(self, **conf: Any) -> dict[str, int]:
        """Run all steps; return the counts that are not zero."""
        report = self.steps(**conf).extract().stage().publish()
        return {name: report[name] for name in COUNTED if report[name]}

    def replay(self) -> dict[str, int]:
        """Replay; return what became of the rows in quarantine, zeros left out."""
        return counted(self.steps(replay=True).extract().stage().publish())

    def rows(self, columns: str = "id, v") -> list[tuple[Any, ...]]:
        """Return the published rows, sorted."""
        if not self.warehouse.published_fields():
            return []
        found = self.client.rows(f"SELECT {columns} FROM `{self.resource.table_id}`")
        return sorted((tuple(row.values()) for row in found), key=str)

    def aside(self, columns: str = "value") -> list[tuple[Any, ...]]:
        """Return what is in quarantine, sorted."""
        found = self.client.rows(f"SELECT {columns} FROM `{self.resource.target.quarantine_id}`")
        return sorted((tuple(row.values()) for row in found), key=str)

    def head(self) -> Head:
        """Return the ledger's head, as far as a replay must leave it."""
        head = Ledger(self.warehouse).head()
        return replace(head, version=0, published_at=None)

    def modes(self) -> list[str]:
        """Return the mode of every load in the ledger, each of which must add up."""
        rows = self.client.rows(
            f"SELECT * FROM `{self.resource.target.ledger_id}` WHERE kind = 'load' ORDER BY version"
        )
        for row in rows:
            assert row["rows_read"] == sum(row[name] for name in COUNTED)
        return [row["mode"] for row in rows]


def counted(report: dict[str, Any]) -> dict[str, int]:
    """Return what a replay's report says of the rows in quarantine, which must add up."""
    told = report["replay"]
    assert told["rows"] == told["loaded"] + told["superseded"] + told["stay"]
    return {name: told[name] for name in ("loaded", "superseded", "stay") if told[name]}
