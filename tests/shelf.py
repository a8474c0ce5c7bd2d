"""One resource on the local servers: its rows at the source, its YAML, and runs of its four steps."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg2

from demo import systems
from etl_factory.config.loading import load
from etl_factory.config.resource import Resource, resources
from etl_factory.factory import operator_class
from etl_factory.operators import google

STEPS = ("extract", "sanitize", "load", "publish")
COUNTED = ("inserted", "updated", "unchanged", "superseded", "quarantined")


@dataclass
class Steps:
    """One DAG run's part for one resource; each step finds what the one before it left."""

    resource: Resource
    conf: Mapping[str, Any] = field(default_factory=dict)
    run_id: str = field(default_factory=lambda: f"manual__{uuid.uuid4().hex[:8]}")
    left: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    tries: int = 0

    def do(self, *steps: str) -> Mapping[str, Any]:
        """Execute steps, once each; return what the last one left."""
        for step in steps or STEPS:
            operator = operator_class(step, self.resource.source_type)
            self.tries += 1
            self.left[step] = operator(task_id=step, resource=self.resource).execute(self._context())
        return self.left[(steps or STEPS)[-1]]

    def _context(self) -> dict[str, Any]:
        def pull(task_ids: str) -> Any:
            return self.left.get(task_ids.rpartition(".")[2])

        task = SimpleNamespace(try_number=self.tries, xcom_pull=pull)
        now = datetime.now(UTC)
        run = SimpleNamespace(run_id=self.run_id, run_after=now, run_type="manual", conf=dict(self.conf))
        return {"ti": task, "dag_run": run, "params": {}}


class Shelf:
    """A PostgreSQL schema and an S3 bucket of their own, and the one resource that reads one of them."""

    def __init__(self, env: Mapping[str, str], root: Path, name: str) -> None:
        self.env, self.root, self.name, self.bucket = env, root, name, name.replace("_", "-")
        extra = {"endpoint_url": env["S3_ENDPOINT_URL"], "region_name": env["AWS_DEFAULT_REGION"]}
        login = {"login": env["AWS_ACCESS_KEY_ID"], "password": env["AWS_SECRET_ACCESS_KEY"]}
        aws = {"conn_type": "aws", "extra": extra} | login
        os.environ.update(AIRFLOW_CONN_ACME__PG=env["POSTGRES_URL"], AIRFLOW_CONN_ACME__AWS=json.dumps(aws))
        systems._bucket(self.bucket)
        self.store = systems.s3_client(env)
        self.store.create_bucket(Bucket=self.bucket)
        self.sql(f"CREATE SCHEMA {name}")
        self.resource: Resource

    def remove(self) -> None:
        """Remove what was made, and what was loaded."""
        self.sql(f"DROP SCHEMA {self.name} CASCADE")
        for dataset in (self.name, f"{self.name}_etl"):
            systems.bigquery_client("acme-analytics").delete_dataset(
                dataset, delete_contents=True, not_found_ok=True
            )

    def sql(self, *statements: str) -> None:
        """Run statements at the source, each as a transaction; `{s}` is the schema."""
        with closing(psycopg2.connect(self.env["POSTGRES_URL"])) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement.replace("{s}", self.name))

    def put(self, key: str, text: str | bytes) -> None:
        """Put a file into the bucket."""
        self.store.put_object(
            Bucket=self.bucket, Key=key, Body=text if isinstance(text, bytes) else text.encode()
        )

    def drop(self, key: str, data: bytes) -> None:
        """Put an object into the folder `drop` of the landing bucket."""
        google.landing(self.resource).blob(f"gs://{self.bucket}/drop/{key}").upload_from_string(data)

    def table(self, *lines: str) -> Resource:
        """Write the YAML of a resource that reads the table `things`."""
        return self._write("postgres", "pg", f"table: {self.name}.things", *lines)

    def files(self, *lines: str) -> Resource:
        """Write the YAML of a resource that reads the bucket's files."""
        return self._write("s3", "aws", f"path: s3://{self.bucket}/**", *lines)

    def objects(self, *lines: str) -> Resource:
        """Write the YAML of a resource that reads the folder `drop` of the landing bucket."""
        return self._write("gcs", "", f"path: gs://{self.bucket}/drop/**", *lines)

    def _write(self, type_: str, connection: str, *lines: str) -> Resource:
        tenant = {
            "tenant": "acme", "project": "acme-analytics", "location": "EU", "dataset": self.name,
            "landing": f"gs://{self.bucket}",
        }  # fmt: skip
        body = "".join(f"    {line}\n" for line in lines)
        named = f"connection: {connection}\n" if connection else ""
        text = f"source: shop\ntype: {type_}\n{named}resources:\n  things:\n{body}"
        (self.root / "acme").mkdir(parents=True, exist_ok=True)
        (self.root / "acme" / "tenant.yaml").write_text("".join(f"{k}: {v}\n" for k, v in tenant.items()))
        (self.root / "acme" / "shop.yaml").write_text(text)
        catalogue = load(self.root)
        assert [str(error) for broken in catalogue.errors for error in broken.errors] == []
        (source,) = catalogue.sources
        (self.resource,) = resources(source.tenant, source.spec)
        return self.resource

    def steps(self, **conf: Any) -> Steps:
        """Begin a run of the resource as it is written now."""
        return Steps(self.resource, conf)

    def run(self, **conf: Any) -> dict[str, int]:
        """Run all steps; return the counts that are not zero."""
        return shown(self.steps(**conf).do())

    def replay(self) -> dict[str, Any]:
        """Replay all steps; return what became of the rows in quarantine."""
        return dict(self.steps(replay=True).do()["replay"])

    def rows(self, columns: str = "id, v") -> list[tuple[Any, ...]]:
        """Return the published rows, sorted."""
        found = self._warehouse.rows(f"SELECT {columns} FROM `{self.resource.table_id}`", absent_ok=True)
        return sorted((tuple(row.values()) for row in found), key=str)

    def aside(self, columns: str = "value") -> list[tuple[Any, ...]]:
        """Return what is in quarantine, sorted."""
        sql = f"SELECT {columns} FROM `{self.resource.target.quarantine_id}`"
        return sorted((tuple(row.values()) for row in self._warehouse.rows(sql, absent_ok=True)), key=str)

    def loads(self) -> list[dict[str, Any]]:
        """Return the ledger's loads, the earliest first; every one must add up."""
        sql = f"SELECT * FROM `{self.resource.target.ledger_id}` WHERE kind = 'load' ORDER BY version"
        rows = self._warehouse.rows(sql)
        for row in rows:
            assert row["rows_read"] == sum(row[name] for name in COUNTED)
        return rows

    @property
    def _warehouse(self) -> Any:
        return google.warehouse(self.resource)


def shown(report: Mapping[str, Any]) -> dict[str, int]:
    """Return a publish's counts, zeros left out."""
    return {name: report[name] for name in (*COUNTED, "deleted") if report[name]}
