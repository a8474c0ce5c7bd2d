"""A worker, which builds one DAG only, builds the very DAG that the scheduler has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.serialization.serialized_objects import DagSerialization, OperatorSerialization

from etl_factory import loader
from etl_factory.loader import tenant_dags
from examples import REPOSITORY, SOURCE, TENANT, Write

GLOBEX = TENANT.replace("tenant: acme", "tenant: globex")
INITECH = TENANT.replace("acme", "initech")
CRM = SOURCE.replace("shop_db", "crm_db")
CLAIMS_ORDERS = CRM + "    target_table: Shop_DB__orders\n"
HIDDEN = CRM + '    target_table: "shop\\x5fdb__orders"\n'
TWICE = SOURCE + CLAIMS_ORDERS.split("resources:\n")[1].replace("  orders:", "  lines:")
ROOTS = {
    "valid": {"acme/shop_db.yaml": SOURCE, "acme/crm_db.yaml": CRM},
    "bad YAML": {"acme/shop_db.yaml": "type: ["},
    "an unknown key": {"acme/shop_db.yaml": SOURCE + "colour: red\nschedule: daily\n"},
    "not its file's name": {"acme/shop_db.yaml": CRM},
    "one source in two files": {"acme/shop_db.yaml": SOURCE, "acme/copy.yaml": SOURCE},
    "one source in three files": {
        "acme/shop_db.yaml": SOURCE,
        "acme/b.yaml": SOURCE,
        "acme/a.yaml": SOURCE,
        "acme/z.yaml": CRM,
    },
    "one source in a file that is broken": {"acme/shop_db.yaml": SOURCE, "acme/b.yaml": SOURCE + "c: 1\n"},
    "one source, its name hidden": {
        "acme/shop_db.yaml": SOURCE,
        "acme/b.yaml": CRM.replace("source: crm_db", 'source: "shop\\x5fdb"'),
    },
    "one table in two files": {"acme/shop_db.yaml": SOURCE, "acme/crm_db.yaml": CLAIMS_ORDERS},
    "one table, its name hidden": {"acme/shop_db.yaml": SOURCE, "acme/crm_db.yaml": HIDDEN},
    "one table by another's default name": {
        "acme/a.yaml": SOURCE.replace("shop_db", "a") + "    target_table: crm_db__orders\n",
        "acme/crm_db.yaml": CRM,
    },
    "one table claimed by a broken file": {
        "acme/shop_db.yaml": SOURCE,
        "acme/crm_db.yaml": CLAIMS_ORDERS + "    c: 1\n",
    },
    "one table of two tenants": {
        "acme/shop_db.yaml": SOURCE,
        "globex/tenant.yaml": GLOBEX,
        "globex/shop_db.yaml": SOURCE,
        "initech/tenant.yaml": INITECH,
        "initech/shop_db.yaml": SOURCE,
    },
    "one dataset spelt in two ways": {
        "acme/shop_db.yaml": SOURCE,
        "globex/tenant.yaml": GLOBEX.replace("dataset: raw", "dataset: RAW"),
        "globex/crm_db.yaml": CLAIMS_ORDERS,
    },
    "one ledger of two tenants": {
        "acme/shop_db.yaml": SOURCE,
        "globex/tenant.yaml": GLOBEX,
        "globex/shop_db.yaml": SOURCE + "    target_table: other\n",
    },
    "one table within a file": {"acme/shop_db.yaml": TWICE},
    "a broken tenant": {"acme/tenant.yaml": TENANT + "c: 1\n", "acme/shop_db.yaml": SOURCE},
    "an unknown role": {"acme/tenant.yaml": TENANT + "airflow_role: bosses\n", "acme/shop_db.yaml": SOURCE},
    "no tenant": {"globex/shop_db.yaml": SOURCE},
    "odd places": {"acme/shop_db.yml": SOURCE, "acme/deep/crm_db.yaml": CRM, "stray.yaml": "a", "A B/c__d.yaml": "a"},
    "ids alike": {"a__b/c.yaml": SOURCE, "a/b__c.yaml": SOURCE},
}  # fmt: skip


def parse_for(monkeypatch: pytest.MonkeyPatch, dag_id: str, task_id: str | None = None) -> None:
    """Pretend that Airflow is about to run a task of one DAG."""
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", dag_id)
    if task_id:
        monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", task_id)


def spelt(dag: DAG) -> str:
    """Return all that Airflow keeps of a DAG, and what it alone runs on."""
    messages = [getattr(task, "message", "") for task in dag.tasks]
    return json.dumps([DagSerialization.to_dict(dag), messages])


@pytest.mark.parametrize("files", ROOTS.values(), ids=ROOTS)
def test_one_dags_parse_gives_the_dag_of_the_whole(
    files: dict[str, str], write: Write, monkeypatch: pytest.MonkeyPatch, environment: Callable[..., None]
) -> None:
    environment(write({"acme/tenant.yaml": TENANT, **files}))
    whole = {dag_id: spelt(dag) for dag_id, dag in tenant_dags().items()}

    for dag_id, expected in whole.items():
        parse_for(monkeypatch, dag_id)
        assert {made: spelt(dag) for made, dag in tenant_dags().items()} == {dag_id: expected}
    assert len(whole) >= len([name for name in files if not name.endswith("tenant.yaml")])


def test_a_task_is_itself_among_stand_ins_of_the_same_names(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tenant_dags("acme")["acme__shop_db"]

    for task in whole.tasks:
        parse_for(monkeypatch, whole.dag_id, task.task_id)
        made = tenant_dags()[whole.dag_id]
        assert {t.task_id: t.downstream_task_ids for t in made.tasks} == {
            t.task_id: t.downstream_task_ids for t in whole.tasks
        }
        own = made.get_task(task.task_id)
        assert OperatorSerialization.serialize_operator(own) == OperatorSerialization.serialize_operator(task)
        assert own.resource == task.resource
        assert {type(t) for t in made.tasks if t is not own} == {BaseOperator}
        assert made.params.dump() == whole.params.dump()


@pytest.mark.parametrize(
    ("step", "needless"),
    [
        ("extract", {"boto3", "azure.storage", "MySQLdb", "pandas"}),
        (
            "sanitize",
            {"boto3", "azure.storage", "MySQLdb", "psycopg2", "psycopg", "pandas", "google.cloud.bigquery"},
        ),
        ("load", {"azure.storage", "MySQLdb", "psycopg2", "psycopg"}),
        ("publish", {"azure.storage", "MySQLdb", "psycopg2", "psycopg", "pandas"}),
    ],
)
def test_a_task_imports_what_it_uses(step: str, needless: set[str]) -> None:
    """As the task of a PostgreSQL source, in a process of its own."""
    program = (
        "import sys; from etl_factory.loader import tenant_dags; dag = tenant_dags()['acme__shop_db'];"
        "print(type(dag.get_task(sys.argv[1])).__module__, *sys.modules)"
    )
    env = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY / "plugins"),
        "ETL_FACTORY_CONFIG_ROOT": str(Path(__file__).parent / "tenants"),
        "ETL_FACTORY_ROLES": "acme,globex",
        "_AIRFLOW_PARSING_CONTEXT_DAG_ID": "acme__shop_db",
        "_AIRFLOW_PARSING_CONTEXT_TASK_ID": f"orders.{step}",
    }
    command = [sys.executable, "-c", program, f"orders.{step}"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    module, *imported = done.stdout.splitlines()[-1].split()

    assert module.startswith("etl_factory.")
    assert needless & set(imported) == set()


def test_a_task_id_of_another_dag_makes_no_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow leaves its variables in the environment of what a task starts."""
    parse_for(monkeypatch, "acme__shop_db", "elsewhere.extract")

    assert BaseOperator not in {type(task) for task in tenant_dags()["acme__shop_db"].tasks}


def test_a_clash_of_two_files_is_what_a_task_of_either_fails_with(
    write: Write, monkeypatch: pytest.MonkeyPatch, environment: Callable[..., None]
) -> None:
    environment(write({"acme/tenant.yaml": TENANT, **ROOTS["one table in two files"]}))

    for dag_id in ("acme__shop_db", "acme__crm_db"):
        parse_for(monkeypatch, dag_id)
        (task,) = tenant_dags()[dag_id].tasks
        assert task.task_id == "config_error"
        assert "is also written by" in task.message


def test_a_parse_for_one_dag_validates_no_file_that_cannot_clash(
    write: Write, monkeypatch: pytest.MonkeyPatch, environment: Callable[..., None]
) -> None:
    from etl_factory.config import reading

    others = {f"acme/s{n}.yaml": SOURCE.replace("shop_db", f"s{n}") for n in range(30)}
    environment(write({"acme/tenant.yaml": TENANT, "acme/shop_db.yaml": SOURCE, **others}))
    read: list[str] = []
    whole = reading.read_document
    monkeypatch.setattr(reading, "read_document", lambda path: (read.append(path.name), whole(path))[1])
    monkeypatch.setattr(loader, "load", None)  # a full read would fail here
    parse_for(monkeypatch, "acme__shop_db")

    assert list(tenant_dags()) == ["acme__shop_db"]
    assert sorted(read) == ["shop_db.yaml", "tenant.yaml"]
