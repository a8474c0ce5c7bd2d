"""Which DAGs a DAG file gets, and what stands in for a broken one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException
from typer.testing import CliRunner

from etl_factory import loader
from etl_factory.cli import app
from etl_factory.errors import ConfigError
from etl_factory.loader import tenant_dags
from etl_factory.sources import source_class
from examples import SOURCE, TENANT, Write


def parse_for(monkeypatch: pytest.MonkeyPatch, dag_id: str) -> None:
    """Pretend that Airflow is about to run a task of one DAG."""
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", dag_id)


def test_one_tenants_dags() -> None:
    assert sorted(tenant_dags("globex")) == ["globex__broken", "globex__crm_db"]
    assert tenant_dags("nobody") == {}


def test_a_task_start_reads_two_files_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environment: object
) -> None:
    root = tmp_path / "tenants"
    shutil.copytree(Path(__file__).parent / "tenants", root)
    environment(root)
    parse_for(monkeypatch, "acme__shop_db")
    monkeypatch.setattr(loader, "load", None)  # a full read would fail here

    assert list(tenant_dags()) == ["acme__shop_db"]
    assert list(tenant_dags("acme")) == ["acme__shop_db"]
    assert tenant_dags("globex") == {}


def test_a_task_of_a_broken_file_finds_its_dag(
    monkeypatch: pytest.MonkeyPatch, write: Write, environment: object
) -> None:
    root = write({"acme/tenant.yaml": TENANT, "acme/shop_db.yml": SOURCE, "acme/crm_db.yaml": "["})
    environment(root)
    ids = sorted(tenant_dags())

    for dag_id in ids:
        parse_for(monkeypatch, dag_id)
        assert list(tenant_dags()) == [dag_id]
    assert len(ids) == 2


def test_a_config_error_dag_says_and_fails_with_the_exact_message() -> None:
    dag = tenant_dags("globex")["globex__broken"]
    message = (
        f"{Path(__file__).parent}/tenants/globex/broken.yaml:6: resources.contacts.load:"
        " 'catlog' is not one of transactional, catalog; did you mean 'catalog'?"
    )

    assert dag.tags == {"config-error", "globex"}
    assert message in dag.doc_md
    assert dag.timetable.summary == "0 0 * * *"
    with pytest.raises(AirflowFailException) as raised:
        dag.get_task("config_error").execute({})
    assert str(raised.value) == message


def test_a_role_that_airflow_lacks_makes_config_error_dags(environment: object) -> None:
    environment(roles="bosses")

    dags = tenant_dags()

    assert {dag_id for dag_id, dag in dags.items() if "config-error" not in dag.tags} == {"globex__crm_db"}
    assert "airflow_role: role 'acme' is not named in ETL_FACTORY_ROLES" in dags["acme__shop_db"].doc_md
    assert all(not dag.access_control for dag in dags.values())


def test_a_provider_that_is_not_installed_costs_one_dag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_class("s3"), "transfer", "airflow.providers.gone.transfers:Gone")

    dags = tenant_dags("acme")

    assert "config-error" in dags["acme__price_lists"].tags
    assert "source type s3 needs the Python module airflow.providers.gone" in dags["acme__price_lists"].doc_md
    assert "config-error" not in dags["acme__shop_db"].tags


def test_no_root_is_an_import_error(environment: object) -> None:
    environment(Path("/nowhere"))

    with pytest.raises(ConfigError, match="config root /nowhere is not a folder"):
        tenant_dags()


def test_a_root_given_in_the_call_wins() -> None:
    assert tenant_dags(config_root=Path(__file__).parent / "snapshots") == {}


@pytest.mark.parametrize("roles", ["", "acme", "bosses,globex"])
def test_validate_finds_what_the_loader_finds(
    roles: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write({"acme/tenant.yaml": TENANT + "airflow_role: acme\n", "acme/shop_db.yaml": SOURCE})
    monkeypatch.setenv("ETL_FACTORY_ROLES", roles)

    result = CliRunner().invoke(app, ["validate", "--config-root", str(root)])

    broken = [dag for dag in tenant_dags(config_root=root).values() if "config-error" in dag.tags]
    assert bool(broken) == (result.exit_code == 1) == (roles != "acme")
    for dag in broken:
        assert dag.get_task("config_error").message in result.stdout
        assert f"set the variable (now {roles.replace(',', ', ') or 'empty'})" in dag.doc_md


def test_a_schedule_without_words_is_shown_as_it_is(write: Write) -> None:
    unspoken = SOURCE + 'schedule: "2 10,*/3 * * *"\n'
    dags = tenant_dags(config_root=write({"acme/tenant.yaml": TENANT, "acme/shop_db.yaml": unspoken}))

    assert "**Schedule**: `2 10,*/3 * * *`, UTC time." in dags["acme__shop_db"].doc_md
    assert "config-error" not in dags["acme__shop_db"].tags
