"""The e2e tests' Airflow: scheduler, DAG processor and API server over the tenants of this folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import failures
import main_job
import pytest
import systems
from local_airflow import TENANTS, Local

from demo.airflow_api import Airflow
from etl_factory.secret_manager import SecretAccess
from fault_profile import fault_profile


@pytest.fixture(scope="session")
def local(stack: dict[str, str]) -> Iterator[Local]:
    """Start Airflow beside the servers, on a copy of the tenants that tests may change."""
    from devstack.stack import Stack

    home = Path(os.environ["AIRFLOW_HOME"]).parent
    root = home / "tenants"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(TENANTS, root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ETL_FACTORY_CONFIG_ROOT", str(root))
        # One tenant has a schedule, whose ticks Airflow's own backfill needs.
        patch.setenv("ETL_FACTORY_SCHEDULES", "on")
        with fault_profile(home):  # the crash trials use this Airflow too
            env = Stack(home).start(with_airflow=True)
    forget()
    systems.seed(env)
    secrets = SecretAccess(env["ETL_FACTORY_SECRETS_PROJECT"], env["SECRET_MANAGER_ENDPOINT"])
    for conn_id, value in systems.connections(env).items():
        secrets.write(f"airflow-connections-{conn_id}", value)
    deny(secrets, "airflow-connections-bad__denied")
    yield Local(env, Airflow(env), root, home)


@pytest.fixture(scope="session")
def loaded(local: Local) -> main_job.Loaded:
    """Run the DAGs of all source types three times: afresh, after changes, and with nothing changed."""
    return main_job.load(local)


@pytest.fixture(scope="session")
def failed(local: Local) -> dict[str, tuple[str, str]]:
    """Run every source of tenant `bad`, all at once."""
    return local.run(*(f"bad__{source}" for source in failures.SOURCES))


def forget() -> None:
    """Drop what an earlier test run published, where the stack is kept."""
    for project, dataset in (("e2e-project", "raw"), ("e2e-project", "past"), ("bad-project", "raw")):
        for name in (dataset, f"{dataset}_etl"):
            client = systems.clients.bigquery_client(project)
            client.delete_dataset(name, delete_contents=True, not_found_ok=True)


def deny(secrets: SecretAccess, secret_id: str) -> None:
    """Make a secret that exists and may not be read."""
    secrets.write(secret_id, f"postgresql://x:{systems.CANARY}@localhost/x")
    name = f"projects/{secrets.project}/secrets/{secret_id}"
    update = {"secret": {"name": name, "labels": {"access": "denied"}}, "update_mask": {"paths": ["labels"]}}
    secrets.client.update_secret(request=update)
