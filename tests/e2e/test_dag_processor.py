"""A broken config file, in a running Airflow: a DAG that says so, and every other DAG as if nothing happened."""

from __future__ import annotations

from contextlib import closing

import psycopg2
import pytest
from local_airflow import PARSE_SECONDS, TENANTS, Local

pytestmark = [pytest.mark.stack, pytest.mark.airflow]


def test_broken_file_is_a_dag_that_fails_with_the_message(local: Local) -> None:
    ((run_id, state),) = local.run("bad__broken").values()
    assert state == "failed"
    (task,) = local.airflow.tasks("bad__broken", run_id)
    text = local.task("bad__broken", run_id, task["task_id"])
    assert "bad/broken.yaml:4" in text
    assert "scheduel" in text
    assert "schedule" in text
    dag = local.airflow.call("GET", "/dags/bad__broken/details")
    assert "config-error" in {tag["name"] for tag in dag["tags"]}
    assert "scheduel" in dag["doc_md"]


def test_every_file_has_its_dag(local: Local) -> None:
    files = {f"{file.parent.name}__{file.stem}" for file in TENANTS.glob("*/*.yaml") if file.stem != "tenant"}
    local.await_dags(*files)
    assert local.airflow.call("GET", "/importErrors")["import_errors"] == []


def test_breaking_and_mending_a_file_changes_only_its_dag(local: Local) -> None:
    file = local.config_root / "e2e" / "shop_bq.yaml"
    whole = file.read_text()

    def tags(dag_id: str) -> set[str]:
        return {tag["name"] for tag in local.airflow.call("GET", f"/dags/{dag_id}")["tags"]}

    def await_tag(name: str) -> None:
        is_done = local.airflow.parse_until(lambda: name in tags("e2e__shop_bq"), PARSE_SECONDS)
        assert is_done, tags("e2e__shop_bq")

    try:
        file.write_text("source: shop_bq\ntype: [\n")
        await_tag("config-error")
        assert tags("e2e__shop_pg") == {"e2e", "postgres"}
        assert local.airflow.call("GET", "/importErrors")["import_errors"] == []
    finally:
        file.write_text(whole)
    await_tag("bigquery")


def test_a_tenants_role_sees_the_tenants_dags_and_no_others(local: Local) -> None:
    ids = {f"e2e__{file.stem}" for file in (TENANTS / "e2e").glob("*.yaml") if file.stem != "tenant"}
    local.await_dags(*ids)
    url = local.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT v.name FROM ab_role r JOIN ab_permission_view_role g ON g.role_id = r.id"
            " JOIN ab_permission_view p ON p.id = g.permission_view_id JOIN ab_view_menu v ON v.id = p.view_menu_id"
            " WHERE r.name = 'acme' AND v.name LIKE 'DAG:%'"
        )
        assert {row[0] for row in cursor.fetchall()} == {f"DAG:{dag_id}" for dag_id in ids}
