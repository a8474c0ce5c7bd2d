"""Every source type, format and strategy, three times, through real DAG runs: exactly the right rows arrive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import systems
from local_airflow import Local
from main_job import AGAIN, EXPECTED, LOADS, Loaded
from records import comparable

pytestmark = [pytest.mark.stack, pytest.mark.airflow]


@pytest.mark.parametrize("round_", [0, 1, 2], ids=["first load", "after changes", "nothing changed"])
def test_runs_succeed(loaded: Loaded, local: Local, round_: int) -> None:
    failed = {
        f"{dag_id}.{task['task_id']}": local.task(dag_id, run_id, task["task_id"])
        for dag_id, (run_id, state) in loaded.runs[round_].items()
        if state != "success"
        for task in local.airflow.tasks(dag_id, run_id)
        if task["state"] == "failed"
    }
    assert failed == {}


@pytest.mark.parametrize(("source", "resource"), EXPECTED, ids=map(".".join, EXPECTED))
@pytest.mark.parametrize("round_", [0, 1, 2], ids=["first load", "after changes", "nothing changed"])
def test_table_equals_its_source(loaded: Loaded, source: str, resource: str, round_: int) -> None:
    expected = EXPECTED[source, resource][min(round_, 1)]
    held = loaded.tables[round_][source, resource]
    assert comparable(held) == comparable(expected)


def test_bad_row_is_quarantined_with_its_place(loaded: Loaded) -> None:
    client = systems.clients.bigquery_client("e2e-project")
    (row,) = client.query_and_wait("SELECT * FROM raw_etl._quarantine__files_s3__csv_keyed")
    assert row["file"] == "s3://e2e-files/csv/2025/b x.csv.gz"
    assert (row["record"], row["column"], row["value"]) == (4, "amount", "dwa złote")
    assert '"99"' in row["row"]


def test_query_resource_reads_new_rows_by_its_integer_cursor(loaded: Loaded) -> None:
    client = systems.clients.bigquery_client("e2e-project")
    ids = [row["id"] for row in client.query_and_wait("SELECT id FROM raw.shop_pg__queried ORDER BY id")]
    assert ids == [1, 2, 3, 4, 5, 6, 8, 9]


@pytest.mark.parametrize(("source", "resource"), EXPECTED, ids=map(".".join, EXPECTED))
def test_ledger_adds_up_to_the_table(loaded: Loaded, source: str, resource: str) -> None:
    client = systems.clients.bigquery_client("e2e-project")
    rows = [
        dict(r)
        for r in client.query_and_wait(
            f"SELECT * FROM raw_etl._loads__{source}__{resource} WHERE kind = 'load'"
        )
    ]
    # A database's third run may read its lag again, and finds nothing new in it.
    assert len(rows) in ((2, 3) if source in AGAIN else (2,))
    for row in rows:
        counted = ("inserted", "updated", "unchanged", "superseded", "quarantined")
        assert row["rows_read"] == sum(row[name] for name in counted)
    held = sum(row["inserted"] - row["deleted"] for row in rows)
    assert held == len(loaded.tables[2][source, resource])


def test_nothing_to_load_is_said(loaded: Loaded, local: Local) -> None:
    run_id, _ = loaded.runs[2]["e2e__files_gcs"]
    text = local.task("e2e__files_gcs", run_id, "json_new.extract")
    assert text.startswith("skipped: ")
    assert "no new or changed object matches gs://e2e-files/json/*.json.gz. Nothing was published" in text


def test_asset_per_published_table(loaded: Loaded, local: Local) -> None:
    found: Mapping[str, Any] = local.airflow.call(
        "GET", "/assets/events?limit=100&source_dag_id=e2e__shop_pg"
    )
    tables = {event["uri"] for event in found["asset_events"] if event["source_task_id"].endswith(".publish")}
    assert tables == {f"bigquery://e2e-project/raw/shop_pg__{name}" for name in (*LOADS, "queried")}
