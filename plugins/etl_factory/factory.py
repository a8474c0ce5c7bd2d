"""Turns a tenant's source into its DAG: for each resource, extract >> sanitize >> load >> publish."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from typing import Any

import attrs
from airflow.sdk import DAG, Asset, BaseOperator, Param, TaskGroup, chain
from airflow.sdk.definitions.param import ParamsDict
from airflow.timetables.trigger import CronTriggerTimetable

from etl_factory import description
from etl_factory.config.document import printable
from etl_factory.config.loading import BrokenFile
from etl_factory.config.models import Tenant
from etl_factory.config.resource import Resource, resources
from etl_factory.operators.config_error import ConfigErrorOperator
from etl_factory.operators.notify import failure_callbacks
from etl_factory.settings import Settings
from etl_factory.sources import source_class
from etl_factory.sources.specs import SourceSpec
from etl_factory.sources.words import MANUAL

# Each step's operator; extract's is the source's own transfer.
STEPS = {
    "extract": "",
    "sanitize": "etl_factory.operators.sanitize:SanitizeOperator",
    "load": "etl_factory.operators.load:GCSToStagingOperator",
    "publish": "etl_factory.operators.publish:PublishOperator",
}
START = datetime(2024, 1, 1, tzinfo=UTC)
LONGEST_TAG = 100  # Airflow refuses a longer one, and with it all DAGs of the file
LONGEST_RETRY_DELAY = timedelta(minutes=30)
ACCESS = {"DAGs": {"can_read", "can_edit"}, "DAG Runs": {"can_read", "can_create"}}
BOUND = r"^(\d{4}-\d{2}-\d{2}([T ].+)?|-?\d+)$"


def build_dag(
    tenant: Tenant, source: SourceSpec, settings: Settings | None = None, only: str | None = None
) -> DAG:
    """Build a source's DAG; the same source gives the same DAG in every process.

    With `only`, the id of the one task that this process is about to run, the others are stand-ins: importing a
    provider's transfer takes seconds, and a process needs none but its own.
    """
    settings = settings or Settings.from_environment()
    if only not in {f"{name}.{step}" for name in source.resources for step in STEPS}:
        only = None
    with DAG(
        dag_id=f"{tenant.tenant}__{source.source}",
        description=source.description or description.summary(tenant, source),
        doc_md=description.document(tenant, source),
        schedule=timetable(source.schedule, tenant.timezone) if settings.schedules else None,
        start_date=START,
        catchup=False,
        max_active_runs=1,
        max_active_tasks=tenant.limits.max_active_tasks,
        tags=[tenant.tenant, source.type],
        access_control={tenant.airflow_role: ACCESS} if tenant.airflow_role else None,
        default_args={"owner": source.owner, "on_failure_callback": failure_callbacks(tenant)},
    ) as dag:
        for resource in resources(tenant, source, settings.gcp_conn_id):
            with TaskGroup(resource.name, tooltip=description.reads(resource)):
                chain(*(_task(step, resource, only) for step in STEPS))
    # After its tasks: else each would have its own copy, which Airflow validates twice whenever it serialises the DAG.
    # Unvalidated: their defaults are the same for every source, and valid, which costs as much to find as all the rest.
    with attrs.validators.disabled():
        dag.params = ParamsDict(run_parameters(list(source.resources)))
    return dag


def _task(step: str, resource: Resource, only: str | None) -> BaseOperator:
    if only not in (None, f"{resource.name}.{step}"):
        return BaseOperator(task_id=step, **task_settings(resource))
    outlets = {"outlets": [published(resource)]} if step == "publish" else {}
    made = operator_class(step, resource.source_type)
    task: BaseOperator = made(task_id=step, resource=resource, **outlets, **task_settings(resource))
    return task


def operator_class(step: str, source_type: str) -> type[Any]:
    """Import a step's operator: only the source types and steps in use cost their providers' import."""
    module, _, name = (STEPS[step] or source_class(source_type).transfer).partition(":")
    operator: type[Any] = getattr(import_module(module), name)
    return operator


@cache
def timetable(schedule: str | None, timezone: str) -> CronTriggerTimetable | None:
    """Return a timetable whose cron fields mean the tenant's own clock; None runs by hand only.

    Sources of the same schedule share it: Airflow describes each in words as it is made.
    """
    return None if schedule in (None, MANUAL) else CronTriggerTimetable(str(schedule), timezone=timezone)


def task_settings(resource: Resource) -> dict[str, Any]:
    """Return how Airflow runs each of a resource's tasks."""
    return {
        "retries": resource.spec.retries,
        "retry_delay": resource.spec.retry_delay,
        "retry_exponential_backoff": True,
        "max_retry_delay": max(LONGEST_RETRY_DELAY, resource.spec.retry_delay or LONGEST_RETRY_DELAY),
        "execution_timeout": resource.spec.execution_timeout,
    }


def published(resource: Resource) -> Asset:
    """Return the asset that tells other DAGs of the published table."""
    return Asset(uri="bigquery://" + resource.table_id.replace(".", "/"))


def run_parameters(names: list[str]) -> dict[str, Param]:
    """Return what a person may ask of one run, by hand; `names` are the source's resources.

    The trigger form makes a multi-select of an array with `examples`.
    """
    bound: dict[str, Any] = {"type": ["null", "string"], "pattern": BOUND}
    chosen: dict[str, Any] = {"items": {"type": "string", "enum": names}, "examples": names}
    return {
        "start": Param(None, **bound, title="Backfill from", description=description.START_HELP),
        "end": Param(None, **bound, title="Backfill until", description=description.END_HELP),
        "full_refresh": Param(
            False, type="boolean", title="Full refresh", description=description.FULL_REFRESH_HELP
        ),
        "resources": Param(
            None,
            type=["null", "array"],
            uniqueItems=True,
            **chosen,
            title="Only these resources",
            description=description.RESOURCES_HELP,
        ),
        "row_limit": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="Row limit",
            description=description.ROW_LIMIT_HELP,
        ),
        "replay": Param(
            False, type="boolean", title="Replay the quarantine", description=description.REPLAY_HELP
        ),
    }


def build_config_error_dag(broken: BrokenFile, settings: Settings | None = None) -> DAG:
    """Build the DAG that stands for a broken file: it says what is wrong, and fails with just that."""
    settings = settings or Settings.from_environment()
    with DAG(
        dag_id=broken.dag_id,
        description=f"Config error in {printable(broken.path.name)}",
        doc_md=description.config_error(broken),
        schedule=timetable(broken.schedule, broken.timezone) if settings.schedules else None,
        start_date=START,
        catchup=False,
        max_active_runs=1,
        tags=["config-error", printable(broken.path.parent.name)[:LONGEST_TAG]],
    ) as dag:
        ConfigErrorOperator(task_id="config_error", message=description.error_text(broken))
    return dag
