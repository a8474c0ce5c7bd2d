"""One run of one resource whose steps are real operators on the local servers, and hands that edit what they leave."""

from __future__ import annotations

import io
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
from google.cloud import storage

from demo import systems
from etl_factory.config.loading import load
from etl_factory.config.resource import Resource, resources
from etl_factory.factory import operator_class
from etl_factory.landing.manifest import Manifest, load_manifest
from etl_factory.operators import google
from etl_factory.operators.load import GCSToStagingOperator
from etl_factory.warehouse.ledger import Head, Ledger

STEPS = ("extract", "sanitize", "load", "publish")
ROWS = [(number, f"name {number}") for number in range(1, 7)]
Edit = Callable[[list[Any]], list[Any]]
EDITS: dict[str, Edit] = {
    "dropped": lambda rows: rows[:-1],
    "doubled": lambda rows: [*rows, rows[-1]],
    "altered": lambda rows: [*rows[:-1], {**rows[-1], "name": "other"}],
}


class EditedWhileLoading(GCSToStagingOperator):
    """The load, in whose job's first moment somebody else does something."""

    meanwhile: ClassVar[Callable[[], None]] = staticmethod(lambda: None)

    def _insert_job(self, configuration: dict[str, Any], job_id: str) -> Any:
        type(self).meanwhile()
        return super()._insert_job(configuration, job_id)


@dataclass
class Run:
    """One DAG run's part for one resource; each step finds what the one before it left last."""

    resource: Resource
    run_id: str = field(default_factory=lambda: f"manual__{uuid.uuid4().hex[:8]}")
    run_after: datetime = field(default_factory=lambda: datetime.now(UTC))
    left: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    tries: int = 0

    def until(self, step: str) -> Manifest:
        """Do what clearing from extract does, up to and with `step`; return what it left."""
        for name in STEPS[: STEPS.index(step) + 1]:
            self.do(name)
        return self.manifest(step)

    def do(self, step: str, class_: type[Any] | None = None) -> Mapping[str, Any]:
        """Execute one step, once."""
        operator = class_ or operator_class(step, self.resource.source_type)
        self.tries += 1
        self.left[step] = operator(task_id=step, resource=self.resource).execute(self._context())
        return self.left[step]

    def _context(self) -> dict[str, Any]:
        def pull(task_ids: str) -> Any:
            return self.left.get(task_ids.rpartition(".")[2])

        task = SimpleNamespace(try_number=self.tries, xcom_pull=pull)
        run = SimpleNamespace(run_id=self.run_id, run_after=self.run_after, run_type="manual", conf={})
        return {"ti": task, "dag_run": run, "params": {}}

    def manifest(self, step: str) -> Manifest:
        """Return what a step left; of publish, which leaves none, what load left."""
        uri = self.left["load" if step == "publish" else step]["manifest"]
        return load_manifest(self.landing.read_text(uri) or "")

    @property
    def landing(self) -> Any:
        """The resource's landing bucket."""
        return google.landing(self.resource)

    @property
    def warehouse(self) -> Any:
        """The resource's warehouse."""
        return google.warehouse(self.resource)

    def published(self) -> list[tuple[int, str]]:
        """Return the published rows."""
        sql = f"SELECT id, name FROM `{self.resource.table_id}` ORDER BY id, name"
        return [(row["id"], row["name"]) for row in self.warehouse.rows(sql, absent_ok=True)]

    def head(self) -> Head:
        """Return the ledger's head."""
        return Ledger(self.warehouse).head()

    def objects(self) -> set[str]:
        """Return the landing objects of this run's load, by their names in its folder."""
        folder = f"{self.resource.target.landing_prefix(self.manifest('extract').plan.load_id)}/"
        return {uri.removeprefix(folder) for uri in self.landing.list(folder)}


def blob_of(uri: str) -> storage.Blob:
    """Return a handle on an object, through a client of our own."""
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    return systems.storage_client().bucket(bucket).blob(name)


def rewrite(uri: str, edit: Edit) -> None:
    """Put other rows under the same name, as any client of the bucket may."""
    blob = blob_of(uri)
    blob.upload_from_string(edited(blob.download_as_bytes(), edit))


def edited(content: bytes, edit: Edit) -> bytes:
    """Return a CSV or Parquet file with other rows."""
    if not content.startswith(b"PAR1"):
        head, *lines = content.decode().splitlines()
        rows = edit([dict(zip(head.split(","), line.split(","), strict=True)) for line in lines])
        return "\n".join([head, *(",".join(row.values()) for row in rows), ""]).encode()
    table, stream = pq.read_table(io.BytesIO(content)), io.BytesIO()
    pq.write_table(pa.Table.from_pylist(edit(table.to_pylist()), table.schema), stream)
    return stream.getvalue()


SPECS = {
    "table": ("postgres", "connection: pg", "table: {name}.orders\nload: transactional\ncursor: id\nprimary_key: [id]"),
    "file": ("s3", "connection: aws", "path: s3://{bucket}/*.csv\nformat: csv\nload: transactional"),
    "bigquery": ("bigquery", "", "table: acme-analytics.{name}_shop.orders\nload: catalog"),
}  # fmt: skip


@contextmanager
def sources(env: Mapping[str, str], root: Path) -> Iterator[dict[str, Resource]]:
    """Make the three sources under a name of their own, and remove them and all they left at the end."""
    name = f"accounts_{uuid.uuid4().hex[:6]}"
    bucket = name.replace("_", "-")
    made = {
        **env,
        "AIRFLOW_CONN_ACME__PG": env["POSTGRES_URL"],
        "AIRFLOW_CONN_ACME__AWS": json.dumps(_aws(env)),
    }
    os.environ.update(made)
    client = systems.bigquery_client("acme-analytics")
    _fill(env, name, bucket, client)
    yield _resources(root, name, bucket)
    _execute(env["POSTGRES_URL"], f"DROP SCHEMA {name} CASCADE")
    for dataset in (name, f"{name}_etl", f"{name}_shop"):
        client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)


def _aws(env: Mapping[str, str]) -> dict[str, Any]:
    extra = {"endpoint_url": env["S3_ENDPOINT_URL"], "region_name": env["AWS_DEFAULT_REGION"]}
    return {
        "conn_type": "aws",
        "login": env["AWS_ACCESS_KEY_ID"],
        "password": env["AWS_SECRET_ACCESS_KEY"],
        "extra": extra,
    }


def _fill(env: Mapping[str, str], name: str, bucket: str, client: Any) -> None:
    values = ", ".join(map(str, ROWS))
    _execute(
        env["POSTGRES_URL"],
        f"CREATE SCHEMA {name}",
        f"CREATE TABLE {name}.orders (id bigint PRIMARY KEY, name text)",
        f"INSERT INTO {name}.orders VALUES {values}",
    )
    systems._bucket(bucket)
    store = systems.s3_client(env)
    store.create_bucket(Bucket=bucket)
    lines = "".join(f"{number},{text}\n" for number, text in ROWS)
    store.put_object(Bucket=bucket, Key="orders.csv", Body=f"id,name\n{lines}".encode())
    client.query_and_wait(f"CREATE SCHEMA {name}_shop")
    client.query_and_wait(f"CREATE TABLE {name}_shop.orders (id INT64, name STRING)")
    client.query_and_wait(f"INSERT INTO {name}_shop.orders VALUES {values}")


def _execute(url: str, *statements: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _resources(root: Path, name: str, bucket: str) -> dict[str, Resource]:
    tenant = {"project": "acme-analytics", "location": "EU", "dataset": name, "landing": f"gs://{bucket}"}
    files = {"tenant": "".join(f"{key}: {value}\n" for key, value in {"tenant": "acme", **tenant}.items())}
    for source, (type_, connection, spec) in SPECS.items():
        lines = "".join(f"    {line}\n" for line in spec.format(name=name, bucket=bucket).splitlines())
        files[f"{source}_shop"] = (
            f"source: {source}_shop\ntype: {type_}\n{connection}\nresources:\n  orders:\n{lines}"
        )
    (root / "acme").mkdir(parents=True)
    for file, text in files.items():
        (root / "acme" / f"{file}.yaml").write_text(text)
    catalogue = load(root)
    assert [str(error) for broken in catalogue.errors for error in broken.errors] == []
    return {s.spec.source.removesuffix("_shop"): resources(s.tenant, s.spec)[0] for s in catalogue.sources}
