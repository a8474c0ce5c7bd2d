"""Runs one step of one resource in a process of its own, with a context like Airflow's, that a strike may end."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import crash_boundaries
import crash_mutations
import pyarrow.parquet  # noqa: F401 - imported once, by the server that forks the children
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.providers.google.cloud.hooks.gcs import GCSHook  # noqa: F401 - imported once, as above
from crash_boundaries import Strike

from etl_factory.config.resource import Resource
from etl_factory.factory import operator_class
from etl_factory.operators.publishing import Publisher  # noqa: F401 - imported once, as above
from etl_factory.operators.sanitizing import Sanitizer  # noqa: F401 - imported once, as above
from etl_factory.sources.specs import SourceSpec  # noqa: F401 - unpickled here

PRELOAD = (
    "crash_child", "etl_factory.operators.sanitize", "etl_factory.operators.load", "etl_factory.operators.publish",
    "google.cloud.bigquery", "google.cloud.storage", "boto3", "azure.storage.blob", "MySQLdb",
    "adbc_driver_postgresql.dbapi", "airflow.providers.google.cloud.hooks.bigquery",
    "etl_factory.transfers.postgres_to_gcs", "etl_factory.transfers.mysql_to_gcs",
    "etl_factory.transfers.bigquery_to_staging", "etl_factory.transfers.gcs_to_gcs",
    "etl_factory.transfers.s3_to_gcs", "etl_factory.transfers.azure_blob_to_gcs",
)  # fmt: skip


@dataclass(frozen=True)
class Order:
    """One try of one step: of which run, after what the steps before it left, and struck by what."""

    resource: Resource
    step: str
    run_id: str
    run_after: datetime
    try_number: int
    left: Mapping[str, Mapping[str, Any]]
    result: str
    log: str
    env: Mapping[str, str]
    strike: Strike | None = None
    breaks: str = ""
    conf: Mapping[str, Any] = field(default_factory=dict)


def start(order: Order) -> ForkServerProcess:
    """Start a child; it leaves what it says in `order.result`, unless it is killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOAD))
    child = context.Process(target=run, args=(order,), daemon=True)
    child.start()
    return child


def run(order: Order) -> None:
    """Execute the step in this process."""
    os.environ.update(order.env)
    with open(order.log, "a", encoding="utf-8") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
        print(f"--- {order.run_id} {order.step} try {order.try_number}, struck by {order.strike}", flush=True)
        crash_boundaries.install(
            lambda: order.strike if order.strike and order.strike.moment.step == order.step else None
        )
        crash_boundaries.make_small_parts(lambda: True)
        crash_mutations.put(order.breaks)
        said = json.dumps(_execute(order), default=str)
        print(said, flush=True)
    partial = Path(order.result).with_suffix(".tmp")
    partial.write_text(said)
    partial.rename(order.result)


def _execute(order: Order) -> dict[str, Any]:
    """Execute as Airflow would, and tell a retry from a failure and a skip as Airflow does."""
    try:
        return {"state": "success", "left": _operator(order).execute(_context(order))}
    except AirflowSkipException as reason:
        return {"state": "skipped", "message": str(reason)}
    except AirflowFailException as error:
        traceback.print_exc()
        return {"state": "failed", "message": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever else a task raises, Airflow tries it again
        traceback.print_exc()
        return {"state": "retry", "message": f"{type(error).__name__}: {error}"}


def _operator(order: Order) -> Any:
    class_ = operator_class(order.step, order.resource.source_type)
    return class_(task_id=order.step, resource=order.resource)


def _context(order: Order) -> dict[str, Any]:
    def pull(task_ids: str) -> Any:
        return order.left.get(task_ids.rpartition(".")[2])

    task = SimpleNamespace(try_number=order.try_number, xcom_pull=pull)
    run = SimpleNamespace(
        run_id=order.run_id, run_after=order.run_after, run_type="manual", conf=dict(order.conf)
    )
    return {"ti": task, "task_instance": task, "dag_run": run, "params": {}}
