"""A marker in columns that are excluded or masked is nowhere but at its source, for every source type.

The whole load runs for real; after each of its steps every landing object, raw and decoded, every table of the
tenant, the logs and the XCom are searched. A column that nobody hides holds another marker, which must be found.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.api_core.exceptions import NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage
from table_systems import MySQL, Postgres, System

from etl_factory.config.loading import load
from etl_factory.secret_manager import SecretAccess, shared_access
from etl_factory.sources.formats import format_of
from etl_factory.sources.formats.parsed import parsed
from etl_factory.sources.specs import CsvFormat
from file_systems import GCS, S3, AzureBlob, FileSystem, in_use

pytestmark = [
    pytest.mark.stack,
    # google's own: its clients leave connections to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
PROJECT, BUCKET = "acme-analytics", "contract-canary"
HIDDEN, SEEN, BORN = "hidden-canary-5Tj8", "seen-canary-90Qx", "1987-06-15"
KEY = "the key of the canary test"
NAMES = ("secret", "email", "token", "card", "phone", "born", "odd", "control")
ROWS = [
    {"id": n, **dict.fromkeys(NAMES[:5], f"{HIDDEN}-{n}"), "born": BORN, "odd": odd, "control": SEEN}
    for n, odd in ((1, "7"), (2, "no number"))
]
TENANT = """\
tenant: acme
project: acme-analytics
location: EU
dataset: {dataset}
landing: gs://contract-canary/{dataset}
"""
SOURCE = """\
source: canary
type: {type}
{connection}
resources:
  people:
    {reads}
    load: catalog
    max_bad_rows: {{rows: 10, ratio: 100%}}
    columns:
      exclude: [secret]
      mask: {{email: sha256, {hmac} card: last4, phone: redact, born: {{date_trunc: year}}}}
      {types}
"""


@dataclass
class Search:
    """Where a marker may be: what was found so far, by place."""

    dataset: str
    landing: storage.Client
    warehouse: bigquery.Client
    places: dict[str, str] = field(default_factory=dict)

    def look(self, step: str) -> None:
        """Keep the text of every object and table there is now."""
        for blob in self.landing.list_blobs(BUCKET, prefix=f"{self.dataset}/acme/"):
            data = blob.download_as_bytes()
            self.places[f"{step}: {blob.name}"] = (
                f"{data.decode(errors='replace')} {decoded(blob.name, data)}"
            )
        for name in (self.dataset, f"{self.dataset}_etl"):
            for table in self.tables(name):
                rows = [
                    dict(row.items()) for row in self.warehouse.query_and_wait(f"SELECT * FROM `{table}`")
                ]
                self.places[f"{step}: {table}"] = json.dumps(rows, default=str, ensure_ascii=False)

    def tables(self, dataset: str) -> list[str]:
        try:
            listed = list(self.warehouse.list_tables(f"{PROJECT}.{dataset}"))
        except NotFound:  # load makes it
            return []
        return [f"{dataset}.{item.table_id}" for item in listed if item.table_id != "source"]

    def holding(self, marker: str) -> list[str]:
        return [place for place, text in self.places.items() if marker in text]


def decoded(name: str, data: bytes) -> str:
    """Return the values of an object whose bytes are compressed."""
    if "/parsed/" in name:
        batches = list(parsed(format_of(CsvFormat(type="csv"))).read(io.BytesIO(data)))
        return json.dumps([(b.rows.to_pylist(), str(b.rejects)) for b in batches], default=str)
    if name.endswith(".parquet") and "/raw/" not in name:
        return json.dumps(pq.read_table(io.BytesIO(data)).to_pylist(), default=str)
    return ""


@pytest.fixture
def search(stack: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Search]:
    """Return datasets of its own, and the key of hmac in Secret Manager, where Airflow asks for it."""
    landing = storage.Client(PROJECT, AnonymousCredentials())
    if not landing.lookup_bucket(BUCKET):
        landing.create_bucket(BUCKET)
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "etl_factory.secret_manager.TenantSecretManagerBackend")
    shared_access.cache_clear()
    secrets = SecretAccess(stack["ETL_FACTORY_SECRETS_PROJECT"], stack["SECRET_MANAGER_ENDPOINT"])
    secrets.write("airflow-connections-acme__pii_key", json.dumps({"conn_type": "generic", "password": KEY}))
    client = bigquery.Client(PROJECT, AnonymousCredentials())
    made = Search(f"canary_{uuid4().hex[:8]}", landing, client)
    client.create_dataset(made.dataset)
    yield made
    for name in (made.dataset, f"{made.dataset}_etl"):
        client.delete_dataset(name, delete_contents=True, not_found_ok=True)
    shared_access.cache_clear()


@dataclass
class Load:
    """One load of the resource, searched after each of its steps."""

    root: Path
    search: Search
    log: pytest.LogCaptureFixture

    def run(
        self, type_: str, reads: str, connection: str, *, is_bigquery: bool = False
    ) -> list[dict[str, Any]]:
        """Load, and return the published rows."""
        self._write(type_, reads, connection, is_bigquery=is_bigquery)
        catalogue = load(self.root)
        assert [str(error) for broken in catalogue.errors for error in broken.errors] == []
        self._execute(catalogue.sources[0])
        self.search.places["log"] = self.log.text
        table = f"`{self.search.dataset}.canary__people`"
        found = self.search.warehouse.query_and_wait(f"SELECT * FROM {table} ORDER BY id")
        return [dict(row.items()) for row in found]

    def _write(self, type_: str, reads: str, connection: str, *, is_bigquery: bool) -> None:
        folder = self.root / "acme"
        folder.mkdir()
        (folder / "tenant.yaml").write_text(TENANT.format(dataset=self.search.dataset))
        hmac_, types = ("", "") if is_bigquery else ("token: hmac(pii_key),", "types: {odd: INT64}")
        said = SOURCE.format(type=type_, reads=reads, connection=connection, hmac=hmac_, types=types)
        said = said.replace("card: last4", "token: sha256, card: last4") if is_bigquery else said
        (folder / "canary.yaml").write_text(said)

    def _execute(self, source: Any) -> None:
        from etl_factory.factory import build_dag

        dag = build_dag(source.tenant, source.spec)
        left: dict[str, Any] = {}
        task = SimpleNamespace(try_number=1, xcom_pull=lambda task_ids: left[task_ids])
        after = datetime(2100, 1, 1, tzinfo=UTC)
        run = SimpleNamespace(run_id=uuid4().hex, run_after=after, run_type="manual", conf={})
        for step in ("extract", "sanitize", "load", "publish"):
            context = {"ti": task, "dag_run": run, "params": {}, "dag": dag}
            left[f"people.{step}"] = dag.task_dict[f"people.{step}"].execute(context)
            self.search.look(step)
        self.search.places["XCom"] = json.dumps(left, default=str)


@pytest.fixture
def canary(search: Search, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Load:
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, logger="etl_factory")
    return Load(tmp_path, search, caplog)


def demand_hidden(search: Search, rows: list[dict[str, Any]]) -> None:
    """Demand that no marker is anywhere, that the control's is where it must be, and what stands instead."""
    assert search.holding(HIDDEN) == []
    assert search.holding(BORN) == []
    assert search.holding(KEY) == []
    places = search.holding(SEEN)
    assert any(place.startswith("publish") and "canary__people" in place for place in places)
    first = rows[0]
    value = f"{HIDDEN}-1"
    assert "secret" not in first
    assert first["email"] == hashlib.sha256(value.encode()).hexdigest()
    assert first["card"] == "*" * (len(value) - 4) + value[-4:]
    assert (first["phone"], str(first["born"])) == ("REDACTED", "1987-01-01")


def demand_hidden_in_quarantine(search: Search, rows: list[dict[str, Any]], bad: int) -> None:
    """Demand the same of a load with bad rows, which are in landing, staging and quarantine."""
    demand_hidden(search, rows)
    places = search.holding(SEEN)
    assert any(place.startswith("extract") for place in places)
    assert any(place.startswith("sanitize") and "quarantine-" in place for place in places)
    assert any(place.startswith("publish") and "_quarantine__" in place for place in places)
    assert [row["id"] for row in rows] == [1]
    assert rows[0]["token"] == hmac.digest(KEY.encode(), f"{HIDDEN}-1".encode(), "sha256").hex()
    held = search.warehouse.query_and_wait(
        f"SELECT * FROM `{search.dataset}_etl._quarantine__canary__people`"
    )
    assert len(list(held)) == bad


@pytest.mark.parametrize("system_class", [Postgres, MySQL], ids=lambda made: made.name)
def test_databases(canary: Load, system_class: type[System], monkeypatch: pytest.MonkeyPatch) -> None:
    system = system_class()
    system.set_up()
    texts = ", ".join(f"{name} {'date' if name == 'born' else 'varchar(40)'}" for name in NAMES)
    system.execute(f"CREATE TABLE people (id int PRIMARY KEY, {texts})")
    for row in ROWS:
        system.execute(f"INSERT INTO people VALUES ({', '.join(repr(value) for value in row.values())})")
    to = system.connection
    address = f"{system.name}://{to.login}:{to.password}@{to.host}:{to.port}/{to.database}"
    monkeypatch.setenv("AIRFLOW_CONN_ACME__CONTRACT", address)

    rows = canary.run(system.name, f"table: {system.schema}people", "connection: contract")

    demand_hidden_in_quarantine(canary.search, rows, bad=1)
    system.tear_down()


def csv_file() -> bytes:
    lines = [",".join(ROWS[0]), *(",".join(map(str, row.values())) for row in ROWS)]
    ragged = f"3,{HIDDEN},{HIDDEN}"
    cannot_be_cut = ",".join(map(str, {**ROWS[0], "id": 4, "born": f"{HIDDEN}!"}.values()))
    return "\n".join([*lines, ragged, cannot_be_cut, ""]).encode()


def json_file() -> bytes:
    broken, cannot_be_cut = f'{{"id": 3, "email": "{HIDDEN}"', {**ROWS[0], "id": 4, "born": HIDDEN}
    no_text = f'{{"id": 5, "email": "{HIDDEN}'.encode() + b'\xff"}'
    return b"\n".join(
        [*(json.dumps(row).encode() for row in (*ROWS, cannot_be_cut)), broken.encode(), no_text]
    )


def parquet_file() -> bytes:
    stream = io.BytesIO()
    born = pa.array([BORN, BORN]).cast(pa.date32())
    pq.write_table(pa.Table.from_pylist(ROWS).drop_columns("born").append_column("born", born), stream)
    return stream.getvalue()


FILES = {"csv": (csv_file, 3), "jsonl": (json_file, 4), "parquet": (parquet_file, 1)}


def connection_of(system: FileSystem) -> str:
    if isinstance(system, AzureBlob):
        return json.dumps({"conn_type": "wasb", "extra": {"connection_string": system.text}})
    extra = {"endpoint_url": os.environ["S3_ENDPOINT_URL"], "region_name": "us-east-1"}
    return json.dumps({"conn_type": "aws", "login": "local", "password": "local-secret", "extra": extra})


@pytest.mark.parametrize(
    ("system_class", "format_"), [*((S3, name) for name in FILES), (GCS, "csv"), (AzureBlob, "parquet")]
)
def test_files(
    canary: Load, system_class: type[FileSystem], format_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, bad = FILES[format_]
    with in_use(system_class()) as system:
        system.put(f"people.{format_}", make())
        if not isinstance(system, GCS):
            monkeypatch.setenv("AIRFLOW_CONN_ACME__CONTRACT", connection_of(system))
        connection = "" if isinstance(system, GCS) else "connection: contract"

        reads = f"path: {system.uri('*')}\n    format: {format_}"
        rows = canary.run(system.name, reads, connection)

    demand_hidden_in_quarantine(canary.search, rows, bad)


def test_bigquery(canary: Load) -> None:
    """Rows never leave BigQuery, so none is quarantined, and no hash has a key."""
    client, table = canary.search.warehouse, f"{PROJECT}.{canary.search.dataset}.source"
    texts = ", ".join(f"{name} {'DATE' if name == 'born' else 'STRING'}" for name in NAMES)
    client.query_and_wait(f"CREATE TABLE `{table}` (id INT64, {texts})")
    for row in ROWS:
        client.query_and_wait(f"INSERT INTO `{table}` VALUES ({', '.join(map(repr, row.values()))})")

    rows = canary.run("bigquery", f"table: {table}", "", is_bigquery=True)

    demand_hidden(canary.search, rows)
    assert any(place.startswith("extract") for place in canary.search.holding(SEEN))
    assert len(rows) == 2
