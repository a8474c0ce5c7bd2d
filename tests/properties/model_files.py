"""A modelled store of objects, and runs over it: the real extract, plan and publish of files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import IO, Any

from duck import PROJECT, Client
from model_runs import Run

from etl_factory.config.resource import Destination, Resource
from etl_factory.errors import NothingToLoad, StaleError, TransientError
from etl_factory.landing.manifest import FileTally, Manifest, Part, load_manifest
from etl_factory.operators.publishing import Publisher
from etl_factory.schema.types import Field
from etl_factory.sources.base import Connection, FileSource, SourceObject
from etl_factory.sources.specs import CatalogFiles, ResourceSpec, TransactionalFiles
from etl_factory.transfers.base import extract_files
from etl_factory.warehouse.client import Warehouse
from etl_factory.warehouse.ledger import Ledger
from fakes import FakeLanding

FIELDS = (Field("id", "INT64"), Field("body", "STRING"))
Line = tuple[str, int, str]  # the object's address, a row's id and its body


@dataclass(frozen=True)
class Drop:
    """How a store is used: `load` and `files` as the config says them, and what a time is exact to.

    `goes_back`: an object may be replaced by one of an earlier time, as S3 dates an upload in parts by its begin.
    """

    load: str = "transactional"
    files: str = "all"
    is_keyed: bool = False
    exact: timedelta = timedelta(seconds=1)
    goes_back: bool = False


@dataclass(frozen=True)
class Held:
    """An object at one version: its rows, and `number`, which counts every write to the store."""

    uri: str
    number: int
    modified: datetime
    lines: tuple[Line, ...]

    @property
    def data(self) -> bytes:
        return json.dumps([list(line) for line in self.lines]).encode()

    @property
    def listed(self) -> SourceObject:
        return SourceObject(self.uri, f"v{self.number}", len(self.data), self.modified)


@dataclass
class Bucket(FileSource):
    """Objects by address; one that is `hidden` is there, and not listed yet."""

    drop: Drop
    now: datetime = datetime(2025, 6, 1, 12, tzinfo=UTC)
    held: dict[str, Held] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    ever: set[Line] = field(default_factory=set)
    changes_after_listing: str = ""
    writes: int = 0

    def __post_init__(self) -> None:
        super().__init__(Connection("acme__drops"))

    def check(self) -> str:
        return "a model"

    def discover(self) -> Iterator[Any]:
        yield from ()

    def open(self, source_object: SourceObject) -> IO[bytes]:
        raise NotImplementedError

    def put(self, name: str, keys: tuple[int, ...], ago: int = 0) -> None:
        """Write an object, whose time is of `ago` seconds before."""
        self.writes += 1
        uri = f"gs://drops/{name}"
        seconds = (self.now - timedelta(seconds=ago) - datetime.min.replace(tzinfo=UTC)) // self.drop.exact
        modified = datetime.min.replace(tzinfo=UTC) + seconds * self.drop.exact
        if uri in self.held and not self.drop.goes_back:
            modified = max(modified, self.held[uri].modified)
        lines = tuple((uri, key, f"w{self.writes}-{n}") for n, key in enumerate(keys))
        self.held[uri] = Held(uri, self.writes, modified, lines)
        self.ever.update(lines)

    def objects(self, path: str) -> Iterator[SourceObject]:
        yield from [self.held[uri].listed for uri in sorted(self.held) if uri not in self.hidden]
        if name := self.changes_after_listing:
            self.changes_after_listing = ""
            self.put(name, (1,))

    def copy(self, source: SourceObject, uri: str, landing: FakeLanding) -> Part:
        """Copy an object, while it is the one that was listed."""
        held = self.held.get(source.uri)
        if held is None or held.listed != source:
            raise StaleError(f"{source.uri} has changed since it was listed")
        return landing.put(uri, held.data)


@dataclass
class FileLoader:
    """A resource of files, its warehouse, and every run of it so far; `published` are its commits' objects."""

    bucket: Bucket
    client: Client
    landing: FakeLanding = field(default_factory=FakeLanding)
    runs: list[Run] = field(default_factory=list)
    known: int = 0
    published: list[list[Held]] = field(default_factory=list)
    versions: dict[tuple[str, str], Held] = field(default_factory=dict)
    staged: int = 0

    def __post_init__(self) -> None:
        drop = self.bucket.drop
        said: dict[str, Any] = {"path": "gs://drops/*.json", "format": "json", "load": drop.load}
        said["primary_key"] = ["id"] if drop.is_keyed else []
        spec: ResourceSpec = (
            TransactionalFiles.model_validate(said)
            if drop.load == "transactional"
            else CatalogFiles.model_validate({**said, "files": drop.files, "max_shrink": 1.0})
        )
        to = Destination(PROJECT, "EU", "raw_files", "gs://acme-landing")
        self.resource = Resource("acme", "drops", "gcs", "prices", "acme__drops", "UTC", to, spec)
        self.warehouse = Warehouse(self.client, self.resource.target)  # type: ignore[arg-type]  # a model
        self.ledger = Ledger(self.warehouse)
        self.client.reset(to.dataset, to.etl_dataset)

    def start(self, conf: dict[str, Any]) -> Run:
        """Begin a run, and extract."""
        run = Run(f"run-{len(self.runs)}", self.bucket.now, conf)
        self.runs.append(run)
        self.extract(run)
        return run

    def extract(self, run: Run) -> bool:
        """Try a run's extract, again if it was tried before; tell whether it left anything."""
        run.tries += 1
        run.manifest = None
        try:
            left = extract_files(run.context(), self.resource, self.bucket, self.bucket.copy)  # type: ignore[arg-type]  # a fake landing
        except (NothingToLoad, TransientError):
            return False
        text = self.landing.read_text(left["manifest"])
        assert text
        run.manifest = load_manifest(text)
        return True

    def publish(self, run: Run) -> str:
        """Load what the run has extracted, and publish it; `retry` when the error says so."""
        if run.manifest is None or not {part.uri for part in run.manifest.parts} <= set(self.landing.objects):
            return "nothing"  # what was copied is gone: sanitize would say so
        manifest = self._load(run.manifest)
        try:
            return str(Publisher(self.resource, self.warehouse, manifest, run.run_id).run()["outcome"])
        except TransientError:
            return "retry"
        finally:
            self._note(manifest)

    def _note(self, manifest: Manifest) -> None:
        before, self.known = self.known, self.ledger.head().version
        if self.known == before:
            return
        assert self.known == before + 1
        if manifest.plan.mode == "full_refresh" or self.bucket.drop.load == "catalog":
            self.published.clear()
        self.published.append([self.versions[file.uri, file.version] for file in manifest.files])

    def _load(self, extracted: Manifest) -> Manifest:
        """Stand in for sanitize and load: parse the copies, and put their rows in a staging table."""
        rows, tallies = [], []
        for part in extracted.parts:
            source = part.source
            assert source
            lines = [tuple(line) for line in json.loads(self.landing.objects[part.uri])]
            rows += [(key, body, uri, n) for n, (uri, key, body) in enumerate(lines, 1)]
            tally = (source.uri, source.version, source.modified, source.size, len(lines), 0)
            tallies.append(FileTally(*tally))
            held = Held(
                source.uri, int(source.version[1:]), datetime.fromisoformat(source.modified), tuple(lines)
            )
            self.versions[source.uri, source.version] = held
        self.staged = self.staged % 8 + 1
        staging = f"{PROJECT}.{self.resource.target.destination.etl_dataset}._staging_{self.staged}"
        origin = (Field("_etl_source_uri", "STRING"), Field("_etl_record", "INT64"))
        self.client.fill(staging, (*FIELDS, *origin), rows)
        create = {"op": "create", "fields": [f.to_json() for f in FIELDS]}
        is_new = self.warehouse.table(self.resource.table_id) is None
        return extracted.then(
            step="load", rows_read=len(rows), rows_staged=len(rows), files=tuple(tallies),
            fields=tuple(f.to_json() for f in (*FIELDS, *origin)), ddl=(create,) if is_new else (),
            staging_table=staging,
        )  # fmt: skip

    def rows(self) -> Counter[Line]:
        """Return the published rows."""
        if self.warehouse.table(self.resource.table_id) is None:
            return Counter()
        found = self.client.rows(f"SELECT _etl_source_uri, id, body FROM `{self.resource.table_id}`")
        return Counter((row["_etl_source_uri"], row["id"], row["body"]) for row in found)
