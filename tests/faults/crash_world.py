"""The servers as the crash trials use them: databases, buckets and datasets of this harness run's own."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import yaml
from crash_cases import Case
from crash_sources import PARTNER, Source

from demo import systems
from etl_factory.config.loading import load
from etl_factory.config.resource import Resource, resources

TENANT, PROJECT, BUCKET, RESOURCE = "faults", "faults-project", "faults-landing", "r"


@dataclass(frozen=True)
class World:
    """One harness run's own places on the servers; `env` is what clients and children need."""

    env: Mapping[str, str]
    folder: Path
    dataset: str

    @property
    def tenant(self) -> dict[str, Any]:
        """The tenant's YAML."""
        return {
            "tenant": TENANT,
            "project": PROJECT,
            "location": "EU",
            "dataset": self.dataset,
            "landing": f"gs://{BUCKET}/{self.dataset}",
            "limits": {"max_active_tasks": 8},
            "defaults": {"retries": 3, "retry_delay": "1s"},
        }

    def name(self, trial_id: str) -> str:
        """Name a trial's source, unlike any of another harness run."""
        return f"{trial_id}_{self.dataset.rpartition('_')[2]}"

    def source_yaml(self, case: Case, source: Source) -> str:
        """Return a trial's source file, with its one resource."""
        document = {
            "source": source.source_name,
            "type": case.type,
            "resources": {RESOURCE: {**source.place, **case.spec}},
        } | ({} if case.type in ("bigquery", "gcs") else {"connection": case.type})
        return yaml.safe_dump(document, allow_unicode=True)

    def resource(self, case: Case, source: Source) -> Resource:
        """Return a trial's resource, as its YAML says."""
        name = source.source_name
        root = self.folder / name / "tenants"
        (root / TENANT).mkdir(parents=True)
        (root / TENANT / "tenant.yaml").write_text(yaml.safe_dump(self.tenant))
        (root / TENANT / f"{name}.yaml").write_text(self.source_yaml(case, source))
        catalogue = load(root)
        assert not catalogue.errors, catalogue.errors
        return resources(catalogue.sources[0].tenant, catalogue.sources[0].spec)[0]

    def connections(self) -> dict[str, str]:
        """Return the tenant's connections by id."""
        env = self.env
        aws = {
            "conn_type": "aws",
            "login": env["AWS_ACCESS_KEY_ID"],
            "password": env["AWS_SECRET_ACCESS_KEY"],
            "extra": {"endpoint_url": env["S3_ENDPOINT_URL"], "region_name": env["AWS_DEFAULT_REGION"]},
        }
        azure = {"conn_type": "wasb", "extra": {"connection_string": env["AZURE_STORAGE_CONNECTION_STRING"]}}
        return {
            f"{TENANT}__postgres": env["FAULTS_POSTGRES_URL"],
            f"{TENANT}__mysql": env.get("FAULTS_MYSQL_URL", ""),
            f"{TENANT}__s3": json.dumps(aws),
            f"{TENANT}__azure_blob": json.dumps(azure),
        }


@contextmanager
def world(env: Mapping[str, str], folder: Path) -> Iterator[World]:
    """Make databases, buckets and datasets under a name of their own, and remove them at the end."""
    name = f"faults_{secrets.token_hex(3)}"
    made = _environment(env, name)
    os.environ.update(made)
    try:
        _make(made, name)
        yield World(made, folder, name)
    finally:
        _remove(made, name)


def _environment(env: Mapping[str, str], name: str) -> dict[str, str]:
    own = {
        "FAULTS_POSTGRES_URL": env["POSTGRES_URL"].rpartition("/")[0] + f"/{name}",
        "FAULTS_BUCKET": name.replace("_", "-"),
    }
    if "MYSQL_URL" in env:
        own["FAULTS_MYSQL_URL"] = env["MYSQL_URL"].rpartition("/")[0] + f"/{name}"
    # Without what would make the children Airflow's own processes.
    kept = {name: value for name, value in env.items() if not name.startswith("AIRFLOW__")}
    made = {**kept, **own}
    connections = World(made, Path(), name).connections()
    return made | {f"AIRFLOW_CONN_{conn_id.upper()}": value for conn_id, value in connections.items()}


def _administer(env: Mapping[str, str], statement: str) -> None:
    with closing(psycopg2.connect(env["POSTGRES_URL"])) as connection:
        connection.autocommit = True
        connection.cursor().execute(statement)


def _administer_mysql(env: Mapping[str, str], statement: str) -> None:
    if "MYSQL_URL" in env:
        with closing(systems.mysql_connection(env["MYSQL_URL"])) as connection:
            connection.cursor().execute(statement)


def _make(env: Mapping[str, str], name: str) -> None:
    _administer(env, f"CREATE DATABASE {name}")
    _administer_mysql(env, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    systems.bigquery_client(PARTNER).query_and_wait("CREATE SCHEMA IF NOT EXISTS shared")
    for bucket in (BUCKET, env["FAULTS_BUCKET"]):
        systems._bucket(bucket)
    systems.s3_client(env).create_bucket(Bucket=env["FAULTS_BUCKET"])
    with systems.azure_client(env).get_container_client(env["FAULTS_BUCKET"]) as container:
        container.create_container()


def _remove(env: Mapping[str, str], name: str) -> None:
    """Remove all that the trials made; what was never made is fine."""
    for drop in (
        lambda: _administer(env, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        lambda: _administer_mysql(env, f"DROP DATABASE IF EXISTS {name}"),
        lambda: _drop_datasets(name),
        lambda: _drop_objects(BUCKET, f"{name}/"),
        lambda: _drop_objects(env["FAULTS_BUCKET"], ""),
    ):
        with suppress(Exception):
            drop()


def _drop_datasets(name: str) -> None:
    client = systems.bigquery_client(PROJECT)
    for dataset in (name, f"{name}_etl"):
        client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)


def _drop_objects(bucket: str, prefix: str) -> None:
    for blob in systems.storage_client().list_blobs(bucket, prefix=prefix):
        blob.delete()
