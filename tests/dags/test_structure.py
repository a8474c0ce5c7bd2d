"""What each source becomes: a snapshot per DAG; `ETL_FACTORY_UPDATE_SNAPSHOTS=1` writes them anew."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from etl_factory.config.loading import load
from etl_factory.factory import build_dag
from etl_factory.loader import tenant_dags
from etl_factory.settings import Settings
from etl_factory.sources import SOURCES, source_class

SNAPSHOTS = Path(__file__).parent / "snapshots"
DAG_IDS = [
    "acme__erp_db",
    "acme__partner_bq",
    "acme__price_lists",
    "acme__product_feed",
    "acme__shop_db",
    "acme__web_events",
    "globex__broken",
    "globex__crm_db",
]


def outline(dag: DAG) -> dict[str, Any]:
    """Return what matters of a DAG, as JSON."""
    return {
        "dag_id": dag.dag_id,
        "description": dag.description,
        "doc": (dag.doc_md or "").replace(str(Path(__file__).parent), "").splitlines(),
        "schedule": getattr(dag.timetable, "serialize", dict)(),
        "start_date": str(dag.start_date),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "max_active_tasks": dag.max_active_tasks,
        "tags": sorted(dag.tags),
        "access": {r: {k: sorted(v) for k, v in a.items()} for r, a in (dag.access_control or {}).items()},
        "params": {name: dag.params.get_param(name).schema for name in sorted(dag.params)},
        "groups": sorted(dag.task_group.get_task_group_dict().keys() - {None}),
        "tasks": {task.task_id: task_outline(task) for task in sorted(dag.tasks, key=lambda t: t.task_id)},
    }


def task_outline(task: Any) -> dict[str, Any]:
    """Return what matters of a task, as JSON."""
    return {
        "operator": f"{type(task).__module__}.{type(task).__name__}",
        "downstream": sorted(task.downstream_task_ids),
        "owner": task.owner,
        "retries": task.retries,
        "retry_delay": str(task.retry_delay),
        "backoff": task.retry_exponential_backoff,
        "max_retry_delay": str(task.max_retry_delay),
        "timeout": str(task.execution_timeout),
        "outlets": [asset.uri for asset in task.outlets],
        "on_failure": [repr(callback) for callback in task.on_failure_callback or ()],
    }


def test_the_tenants_make_these_dags() -> None:
    assert sorted(tenant_dags()) == DAG_IDS


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_snapshot(dag_id: str) -> None:
    made = json.dumps(outline(tenant_dags()[dag_id]), indent=2, ensure_ascii=False) + "\n"
    file = SNAPSHOTS / f"{dag_id}.json"
    if os.environ.get("ETL_FACTORY_UPDATE_SNAPSHOTS"):
        file.write_text(made)
    assert made == file.read_text()


def test_every_source_type_has_a_snapshot() -> None:
    types = {json.loads(file.read_text())["tags"][-1] for file in SNAPSHOTS.glob("*.json")}
    assert {source.type for source in SOURCES} - types == set()


def test_a_resource_is_always_a_group_and_a_chain() -> None:
    for dag in tenant_dags("acme").values():
        for name in dag.task_group.get_task_group_dict().keys() - {None}:
            chain = [dag.get_task(f"{name}.{step}") for step in ("extract", "sanitize", "load", "publish")]
            assert [task.downstream_task_ids for task in chain] == [
                {f"{name}.sanitize"},
                {f"{name}.load"},
                {f"{name}.publish"},
                set(),
            ]


def test_adding_a_resource_renames_no_task(settings: Settings) -> None:
    file = next(s for s in load(settings.config_root).sources if s.dag_id == "acme__shop_db")
    fewer = dict(list(file.spec.resources.items())[:1])

    small = build_dag(file.tenant, file.spec.model_copy(update={"resources": fewer}), settings)

    assert set(small.task_ids) < set(build_dag(file.tenant, file.spec, settings).task_ids)


def test_tasks_carry_their_resource_and_no_template(settings: Settings) -> None:
    for dag in tenant_dags("acme").values():
        for task in dag.tasks:
            assert task.resource.dag_id == dag.dag_id
            assert tuple(task.template_fields) == ()


def test_the_transfer_is_the_source_types_own() -> None:
    for dag in tenant_dags("acme").values():
        kind = (dag.tags & {s.type for s in SOURCES}).pop()
        module, _, name = source_class(kind).transfer.partition(":")
        extracts = [type(task) for task in dag.tasks if task.task_id.endswith(".extract")]
        assert {(t.__module__, t.__name__) for t in extracts} == {(module, name)}
