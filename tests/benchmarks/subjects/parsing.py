"""Parsing: a folder of sources made into DAGs by us, by hand, by dag-factory and by Blueprint."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from benchmarks.subjects.places import TENANT

TENANTS = 100
BASES = (
    "airflow.providers.google.cloud.transfers.gcs_to_bigquery",
    "airflow.providers.google.cloud.transfers.postgres_to_gcs",
)
OURS = ("transfers.postgres_to_gcs", "operators.load", "operators.publish", "operators.sanitize", "loader")
ALLOWED = {"etl_factory", "airflow", "croniter", "cron_descriptor"}


def ours(options: dict[str, Any]) -> Iterator[Any]:
    """Build every DAG of the folder, once the operators' modules are imported."""
    from etl_factory.loader import tenant_dags

    with tempfile.TemporaryDirectory() as folder:
        root = _our_folder(Path(folder), options["sources"])
        _import_ours()
        yield
        dags = tenant_dags(config_root=root)
        yield {"rows": _checked(dags, options["sources"])}


def ours_at_task_start(options: dict[str, Any]) -> Iterator[Any]:
    """Build the one DAG that a task process needs, among all sources."""
    from etl_factory.loader import tenant_dags

    with tempfile.TemporaryDirectory() as folder:
        root = _our_folder(Path(folder), options["sources"])
        _import_ours()
        os.environ["_AIRFLOW_PARSING_CONTEXT_DAG_ID"] = "tenant007__source007"
        os.environ["_AIRFLOW_PARSING_CONTEXT_TASK_ID"] = "table.extract"
        yield
        dags = tenant_dags(config_root=root)
        yield {"rows": _checked(dags, 1)}


def ours_by_the_dag_processor(options: dict[str, Any]) -> Iterator[Any]:
    """Let Airflow's own DAG processor parse and serialise the loader's file, imports included."""
    import structlog
    from airflow.dag_processing.processor import DagFileParseRequest, _parse_file

    loader = Path(__file__).parents[3] / "dags/tenants.py"
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ETL_FACTORY_CONFIG_ROOT"] = str(_our_folder(Path(folder), options["sources"]))
        request = DagFileParseRequest(file=str(loader), bundle_path=loader.parent, bundle_name="bench")
        yield
        result = _parse_file(request, structlog.get_logger())
        assert result is not None
        assert not result.import_errors, result.import_errors
        yield {"rows": len(result.serialized_dags)}


def ours_imports(options: dict[str, Any]) -> Iterator[Any]:
    """Tell what parsing imports beyond the operators' own bases, and which of those the loader does not name."""
    for name in BASES:
        import_module(name)
    _import_assets()
    before = set(sys.modules)
    with tempfile.TemporaryDirectory() as folder:
        root = _our_folder(Path(folder), options["sources"])
        yield
        from airflow.utils.file import iter_airflow_imports

        from etl_factory.loader import tenant_dags

        dags = tenant_dags(config_root=root)
        fresh = {name.split(".")[0] for name in set(sys.modules) - before}
        sdks = sorted(name for name in fresh - set(sys.stdlib_module_names) - ALLOWED if name.isidentifier())
        named = set(iter_airflow_imports(str(Path(__file__).parents[3] / "dags/preload.py")))
        unnamed = [name for name in BASES if name not in named]
        yield {"rows": len(dags), "sdks": len(sdks), "sdk_names": sdks, "unnamed": len(unnamed)}


def by_hand(options: dict[str, Any]) -> Iterator[Any]:
    """Build the same DAGs of the same operators by plain Python, with all that the config says at hand."""
    from airflow.sdk import DAG, Asset, TaskGroup
    from airflow.timetables.trigger import CronTriggerTimetable

    from etl_factory.config.loading import load
    from etl_factory.config.resource import resources
    from etl_factory.factory import START
    from etl_factory.operators.load import GCSToStagingOperator
    from etl_factory.operators.publish import PublishOperator
    from etl_factory.operators.sanitize import SanitizeOperator
    from etl_factory.transfers.postgres_to_gcs import PostgresToGCSPartsOperator

    with tempfile.TemporaryDirectory() as folder:
        found = load(_our_folder(Path(folder), options["sources"])).sources
    known = [(file.dag_id, file.tenant.timezone, resources(file.tenant, file.spec)) for file in found]
    dags = {}
    _import_assets()
    yield
    for dag_id, timezone, listed in known:
        with DAG(
            dag_id=dag_id, schedule=CronTriggerTimetable("15 * * * *", timezone=timezone), start_date=START,
            catchup=False, max_active_runs=1, max_active_tasks=4, tags=["bench", "postgres"],
            default_args={"owner": "data"},
        ) as dag:  # fmt: skip
            for resource in listed:
                with TaskGroup(resource.name):
                    shared: dict[str, Any] = {"resource": resource, "retries": 3}
                    extract = PostgresToGCSPartsOperator(task_id="extract", **shared)
                    sanitize = SanitizeOperator(task_id="sanitize", **shared)
                    load_ = GCSToStagingOperator(task_id="load", **shared)
                    outlet = Asset(uri="bigquery://" + resource.table_id.replace(".", "/"))
                    publish = PublishOperator(task_id="publish", outlets=[outlet], **shared)
                    extract >> sanitize >> load_ >> publish
        dags[dag_id] = dag
    yield {"rows": _checked(dags, options["sources"])}


def dag_factory(options: dict[str, Any]) -> Iterator[Any]:
    """Let dag-factory build as many DAGs of four operators: the providers' that ours inherit from."""
    os.environ |= {"DO_NOT_TRACK": "true", "AIRFLOW__DAG_FACTORY__ENABLE_TELEMETRY": "false"}
    import dagfactory

    for name in (*BASES, "airflow.providers.standard.operators.empty"):
        import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        _peer_folder(Path(folder), options["sources"], _dag_factory_document, ".yaml")
        made: dict[str, Any] = {}
        yield
        dagfactory.load_yaml_dags(globals_dict=made, dags_folder=folder)
        yield {"rows": _checked(made, options["sources"])}


def blueprint(options: dict[str, Any]) -> Iterator[Any]:
    """Let Blueprint build as many DAGs of the same four operators, by a template of one step."""
    from blueprint import build_all_airflow_dags

    for name in (*BASES, "airflow.providers.standard.operators.empty"):
        import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "templates.py").write_text(TEMPLATE)
        _peer_folder(Path(folder), options["sources"], _blueprint_document, ".dag.yaml")
        made: dict[str, Any] = {}
        yield
        build_all_airflow_dags(search_path=folder, register_globals=made)
        yield {"rows": _checked(made, options["sources"])}


def _checked(dags: dict[str, Any], expected: int) -> int:
    tasks = [len(dag.tasks) for dag in dags.values() if hasattr(dag, "tasks")]
    assert tasks == [4] * expected, f"{len(tasks)} DAGs where {expected} of 4 tasks were expected"
    return len(tasks)


def _import_ours() -> None:
    _import_assets()
    for name in OURS:
        import_module(f"etl_factory.{name}")


def _import_assets() -> None:
    """Let Airflow import every provider's assets, which it does for the first asset with an address."""
    from airflow.sdk import Asset

    Asset(uri="bigquery://project/dataset/table")


def _names(sources: int) -> Iterator[tuple[str, str]]:
    tenants = min(TENANTS, sources)
    for number in range(sources):
        yield f"tenant{number % tenants:03d}", f"source{number:03d}"


def _our_folder(folder: Path, sources: int) -> Path:
    os.environ["ETL_FACTORY_SCHEDULES"] = "on"  # the local stack turns them off, and Airflow does less then
    for tenant, source in _names(sources):
        (folder / tenant).mkdir(exist_ok=True)
        (folder / tenant / "tenant.yaml").write_text(TENANT.replace("tenant: bench", f"tenant: {tenant}"))
        (folder / tenant / f"{source}.yaml").write_text(OUR_SOURCE.format(source=source))
    return folder


def _peer_folder(folder: Path, sources: int, document: Any, suffix: str) -> None:
    for tenant, source in _names(sources):
        (folder / tenant).mkdir(exist_ok=True)
        text = yaml.safe_dump(document(f"{tenant}__{source}", source), sort_keys=False)
        (folder / tenant / f"{source}{suffix}").write_text(text)


def _dag_factory_document(dag_id: str, source: str) -> dict[str, Any]:
    tasks = _tasks(source)
    listed = [
        {"task_id": name, **task, **({"dependencies": [before]} if before else {})}
        for (name, task), before in zip(tasks.items(), [None, *tasks], strict=False)
    ]
    return {
        dag_id: {
            "default_args": {"owner": "data", "retries": 3, "start_date": "2024-01-01"},
            "schedule": "15 * * * *",
            "catchup": False,
            "max_active_runs": 1,
            "tags": ["bench", "postgres"],
            "tasks": listed,
        }
    }


def _blueprint_document(dag_id: str, source: str) -> dict[str, Any]:
    step = {"blueprint": "transfer", "table": "public.orders", "source": source}
    return {"dag_id": dag_id, "schedule": "15 * * * *", "steps": {"orders": step}}


def _tasks(source: str) -> dict[str, dict[str, Any]]:
    google = "airflow.providers.google.cloud.transfers"
    empty = "airflow.providers.standard.operators.empty.EmptyOperator"
    return {
        "extract": {
            "operator": f"{google}.postgres_to_gcs.PostgresToGCSOperator",
            "sql": "SELECT * FROM public.orders",
            "bucket": "bench-landing",
            "filename": f"{source}/orders",
            "postgres_conn_id": source,
        },
        "sanitize": {"operator": empty},
        "load": {
            "operator": f"{google}.gcs_to_bigquery.GCSToBigQueryOperator",
            "bucket": "bench-landing",
            "source_objects": [f"{source}/orders"],
            "destination_project_dataset_table": f"bench.raw.{source}__orders",
        },
        "publish": {"operator": empty},
    }


OUR_SOURCE = """\
source: {source}
type: postgres
connection: main
schedule: "15 * * * *"
resources:
  orders:
    table: public.orders
    load: transactional
    cursor: updated_at
    primary_key: [id]
"""
TEMPLATE = '''\
"""What a platform team would write for Blueprint."""

from airflow.providers.google.cloud.transfers.gcs_to_bigquery import GCSToBigQueryOperator
from airflow.providers.google.cloud.transfers.postgres_to_gcs import PostgresToGCSOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import TaskGroup
from blueprint import BaseModel, Blueprint


class TransferConfig(BaseModel):
    table: str
    source: str


class Transfer(Blueprint[TransferConfig]):
    """Extract, sanitize, load and publish one table."""

    def render(self, config: TransferConfig) -> TaskGroup:
        with TaskGroup(group_id=self.step_id) as group:
            extract = PostgresToGCSOperator(
                task_id="extract", sql=f"SELECT * FROM {config.table}", bucket="bench-landing",
                filename=f"{config.source}/orders", postgres_conn_id=config.source, retries=3,
            )
            sanitize = EmptyOperator(task_id="sanitize", retries=3)
            load = GCSToBigQueryOperator(
                task_id="load", bucket="bench-landing", source_objects=[f"{config.source}/orders"],
                destination_project_dataset_table=f"bench.raw.{config.source}__orders", retries=3,
            )
            publish = EmptyOperator(task_id="publish", retries=3)
            extract >> sanitize >> load >> publish
        return group
'''
