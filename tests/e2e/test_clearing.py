"""A past run that is cleared reads its own window again, and a DAG run that is deleted takes no row with it."""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
import systems
from local_airflow import Local

from etl_factory.cli.airflow_login import password_login

pytestmark = [pytest.mark.stack, pytest.mark.airflow]
DAG, PROJECT = "e2e__shop_past", "e2e-project"
RESOURCES = ("keyed", "unkeyed")
SEED = [(1, "one"), (2, "two"), (3, "three")]
Rows = Counter[tuple[Any, ...]]


@pytest.fixture(scope="module")
def first(local: Local) -> str:
    """Make the table and run the DAG once; return the run's id."""
    systems.postgres(
        local.env,
        "DROP TABLE IF EXISTS e2e.past",
        "CREATE TABLE e2e.past (id bigint PRIMARY KEY, name text, updated_at timestamptz)",
        f"GRANT SELECT ON e2e.past TO {systems.LOGIN}",
    )
    insert(local, SEED, "now() - interval '1 minute'")
    return succeeds(local.run(DAG))


def succeeds(runs: dict[str, tuple[str, str]]) -> str:
    ((run_id, state),) = runs.values()
    assert state == "success"
    return run_id


def insert(local: Local, rows: list[tuple[int, str]], updated_at: str) -> None:
    values = ", ".join(f"({number}, '{name}', {updated_at})" for number, name in rows)
    systems.postgres(local.env, f"INSERT INTO e2e.past VALUES {values}")


def published(resource: str) -> Rows:
    client = systems.clients.bigquery_client(PROJECT)
    rows = client.query_and_wait(f"SELECT id, name FROM raw.shop_past__{resource}")
    return Counter(tuple(row.values()) for row in rows)


def watermarks() -> list[str]:
    client = systems.clients.bigquery_client(PROJECT)
    sql = "SELECT watermark FROM raw_etl._loads__shop_past__{} WHERE kind = 'head'"
    return [next(iter(client.query_and_wait(sql.format(name))))["watermark"] for name in RESOURCES]


def reports(local: Local, run_id: str) -> list[tuple[Any, ...]]:
    found = [local.airflow.result(DAG, run_id, f"{name}.publish") for name in RESOURCES]
    return [(report["window"], report["rows_read"]) for report in found]


def delete_run(local: Local, run_id: str) -> None:
    """Delete a DAG run by REST, whose answer is empty."""
    url, user, password = (local.env[f"AIRFLOW_{name}"] for name in ("URL", "USERNAME", "PASSWORD"))
    headers = {"Authorization": f"Bearer {password_login(url, user, password)()}"}
    path = f"/api/v2/dags/{DAG}/dagRuns/{quote(run_id, safe='')}"
    with urlopen(Request(f"{url}{path}", headers=headers, method="DELETE")) as answer:
        assert answer.status == 204


def test_a_past_run_that_is_cleared_reads_its_own_window_again(local: Local, first: str) -> None:
    before, read = watermarks(), reports(local, first)
    systems.postgres(local.env, "UPDATE e2e.past SET name = 'repaired' WHERE id = 2")
    insert(local, [(4, "later")], "now()")

    succeeds(local.clear(DAG, first))

    assert published("keyed") == Counter([SEED[0], (2, "repaired"), SEED[2]])
    assert published("unkeyed") == Counter([*SEED, (2, "repaired")])
    assert reports(local, first) == read
    assert watermarks() == before


def test_a_dag_run_and_its_landing_folder_that_are_deleted_are_not_missed(local: Local, first: str) -> None:
    delete_run(local, first)
    bucket = systems.clients.storage_client().bucket("e2e-landing")
    for blob in list(bucket.list_blobs(prefix="e2e/shop_past/")):
        blob.delete()
    insert(local, [(5, "last")], "now()")
    before = watermarks()

    second = succeeds(local.run(DAG))

    rows = [SEED[0], (2, "repaired"), SEED[2], (4, "later"), (5, "last")]
    assert published("keyed") == Counter(rows)
    assert published("unkeyed") == Counter([*rows, SEED[1]])
    assert all(now > then for now, then in zip(watermarks(), before, strict=True))
    assert second != first
