"""Runs over a modelled source: the real extract, plan and publish; only Airflow, landing and BigQuery are models."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from duck import PROJECT, Client
from model_source import Database, Model, Row

from etl_factory.config.resource import Resource
from etl_factory.errors import NothingToLoad, TransientError
from etl_factory.landing.manifest import Manifest, load_manifest
from etl_factory.operators.publishing import Publisher
from etl_factory.schema.types import Field
from etl_factory.transfers.base import extract_table
from etl_factory.warehouse.client import Warehouse
from etl_factory.warehouse.ledger import Head, Ledger
from etl_factory.windows import Window, decode
from fakes import FakeLanding

TYPES = {"instant": "TIMESTAMP", "naive": "DATETIME", "date": "DATE", "integer": "INT64"}


@dataclass
class Run:
    """One DAG run of the resource: what was asked, and what its newest extract left for publish."""

    run_id: str
    run_after: datetime
    conf: dict[str, Any]
    tries: int = 0
    manifest: Manifest | None = None
    rows: tuple[Row, ...] = ()
    keys: tuple[int, ...] = ()

    def context(self) -> dict[str, Any]:
        dag_run = SimpleNamespace(
            run_id=self.run_id, run_after=self.run_after, run_type="manual", conf=self.conf
        )
        return {"dag_run": dag_run, "ti": SimpleNamespace(try_number=self.tries), "params": {}}


@dataclass(frozen=True)
class Commit:
    """One publish that committed: what it had read, and when by the source's clock."""

    load_id: str
    mode: str
    snapshot_at: datetime
    rows: Counter[Row]


@dataclass
class Loader:
    """A resource, its warehouse, and every run of it so far; `commits` are in their own order."""

    database: Database
    resource: Resource
    client: Client
    landing: FakeLanding = field(default_factory=FakeLanding)
    runs: list[Run] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    known: Head = field(default_factory=Head)
    staged: int = 0

    def __post_init__(self) -> None:
        self.warehouse = Warehouse(self.client, self.resource.target)  # type: ignore[arg-type]  # a model
        self.ledger = Ledger(self.warehouse)
        target = self.resource.target.destination
        self.client.reset(target.dataset, target.etl_dataset)

    # Extract

    def start(self, conf: dict[str, Any], delay: int = 0) -> Run:
        """Begin a run that was due `delay` seconds ago, by Airflow's clock, and extract."""
        shift = timedelta(seconds=self.database.setting.ahead - delay)
        run = Run(f"run-{len(self.runs)}", self.database.latest + shift, conf)
        self.runs.append(run)
        self.extract(run)
        return run

    def extract(self, run: Run) -> None:
        """Try the run's extract again, from its own stored plan if it has one."""
        run.tries += 1
        run.manifest, run.rows = None, ()
        self.client.seen = 0
        try:
            left = extract_table(run.context(), self.resource, Model(self.database))
        except NothingToLoad:
            left = None
        assert self.client.seen <= 2, (
            "planning reads the head, and the run's own load, whatever happened before"
        )
        if left is None:
            return
        text = self.landing.read_text(left["manifest"])
        assert text
        run.manifest = load_manifest(text)
        rows = self.landing.rows(run.manifest.parts)
        run.rows = tuple(Row(**row) for row in rows)
        run.keys = tuple(row["id"] for row in self.landing.rows(run.manifest.keys))
        if run.manifest.plan.mode == "live" and run.tries == 1:
            self._check_lower_bound(run.manifest.plan.window)

    def _check_lower_bound(self, window: Window | None) -> None:
        """Below a new window's start, everything visible has been read and published."""
        if window is None or window.start is None:
            return
        passed = [row for row in self.database.visible() if row.seen is not None and row.seen < window.start]  # type: ignore[operator]  # one kind
        unread = [row for row in passed if all(row not in read for read in self.reads())]
        assert unread == [], f"window {window} passes rows that were never published"

    # Publish

    def publish(self, run: Run) -> str:
        """Load what the run has extracted, and publish it; `retry` when the error says so."""
        if run.manifest is None:
            return "nothing"
        manifest = self._load(run)
        try:
            return str(Publisher(self.resource, self.warehouse, manifest, run.run_id).run()["outcome"])
        except TransientError:
            return "retry"
        finally:
            self._note(run)

    def _note(self, run: Run) -> None:
        assert run.manifest
        before, self.known, plan = self.known, self.head(), run.manifest.plan
        if self.known.version == before.version:
            return
        assert self.known.version == before.version + 1
        assert self.ledger.load(plan.load_id, run.manifest.attempt)
        moment = datetime.fromisoformat(run.manifest.snapshot_at)
        self.commits.append(Commit(plan.load_id, plan.mode, moment, Counter(run.rows)))
        self._check_watermark(run, before)

    def _check_watermark(self, run: Run, before: Head) -> None:
        assert run.manifest
        plan, after = run.manifest.plan, self.known
        if plan.window is None:
            return
        if plan.mode == "full_refresh":
            assert (after.epoch, after.watermark) == (before.epoch + 1, plan.window.to_json()["end"])
        elif before.watermark is not None:
            assert after.watermark is not None
            held, now = (decode(plan.window.kind, text) for text in (before.watermark, after.watermark))
            assert now >= held  # type: ignore[operator]  # one kind

    def _load(self, run: Run) -> Manifest:
        """Stand in for sanitize and load: the rows as they are, in a staging table."""
        assert run.manifest
        kind = self.database.setting.kind
        fields = (Field("id", "INT64"), Field("seen", TYPES[kind]), Field("body", "STRING"))
        self.staged = self.staged % 8 + 1  # few names, since the engine keeps a translation by its text
        to = self.resource.target.destination
        staging = f"{PROJECT}.{to.etl_dataset}._staging_{self.staged}"
        self.client.fill(staging, fields, ((row.id, row.seen, row.body) for row in run.rows))
        keys = f"{staging}_keys" if run.manifest.keys else ""
        if keys:
            self.client.fill(keys, fields[:1], ((key,) for key in run.keys))
        by = self.resource.spec.partition_by
        create = {"op": "create", "fields": [f.to_json() for f in fields], "partition_by": by}
        is_new = self.warehouse.table(self.resource.table_id) is None
        return run.manifest.then(
            step="load", rows_staged=len(run.rows), fields=tuple(f.to_json() for f in fields),
            ddl=(create,) if is_new else (), staging_table=staging, keys_table=keys,
        )  # fmt: skip

    # Looking

    def head(self) -> Head:
        return self.ledger.head()

    def reads(self) -> list[Counter[Row]]:
        """Return what was published since the last full refresh, that one included."""
        modes = [commit.mode for commit in self.commits]
        first = len(modes) - 1 - modes[::-1].index("full_refresh") if "full_refresh" in modes else 0
        return [commit.rows for commit in self.commits[first:]]

    def held(self, *columns: str, where: str = "TRUE") -> Counter[tuple[Any, ...]]:
        """Return the published rows, each with these columns of ours, and how many times it is there."""
        if self.warehouse.table(self.resource.table_id) is None:
            return Counter()
        listed = ", ".join(("id", "seen", "body", *columns))
        found = self.client.rows(f"SELECT {listed} FROM `{self.resource.table_id}` WHERE {where}")
        return Counter((Row(r["id"], r["seen"], r["body"]), *(r[c] for c in columns)) for r in found)

    def published(self, where: str = "TRUE") -> Counter[Row]:
        """Return the published rows, each with how many times it is there."""
        return Counter({row: count for (row,), count in self.held(where=where).items()})
