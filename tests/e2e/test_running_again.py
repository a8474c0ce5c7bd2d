"""A run that is cleared, a backfill and a full refresh, through real DAG runs: each converges to what is true."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import systems
from local_airflow import Local
from main_job import CATALOG, KEYED, UNKEYED, Loaded, read_tables
from records import comparable

pytestmark = [pytest.mark.stack, pytest.mark.airflow]
DAG = "e2e__shop_pg"


def watermark() -> str:
    client = systems.clients.bigquery_client("e2e-project")
    sql = "SELECT watermark FROM raw_etl._loads__shop_pg__keyed WHERE kind = 'head'"
    (row,) = client.query_and_wait(sql)
    return str(row["watermark"])


def test_clearing_the_first_run_changes_nothing(loaded: Loaded, local: Local) -> None:
    run_id, _ = loaded.runs[0][DAG]
    before = watermark()

    ((_, state),) = local.clear(DAG, run_id).values()

    tables = read_tables()
    assert state == "success"
    assert watermark() == before
    assert comparable(tables["shop_pg", "keyed"]) == comparable(KEYED)
    assert comparable(tables["shop_pg", "unkeyed"]) == comparable(UNKEYED)
    assert comparable(tables["shop_pg", "snapshot"]) == comparable(CATALOG)


def test_a_backfill_reads_its_window_and_leaves_the_watermark(loaded: Loaded, local: Local) -> None:
    before = watermark()
    bounds = {"start": "2025-03-29", "end": "2025-03-31T00:00:00+00:00"}

    ((run_id, state),) = local.run(DAG, **bounds).values()

    # `queried` has an integer cursor, which no date bounds.
    assert state == "failed"
    assert "cannot bound cursor 'id'" in local.task(DAG, run_id, "queried.extract")
    report = local.airflow.result(DAG, run_id, "keyed.publish")
    assert (report["mode"], report["rows_read"], report["inserted"]) == ("backfill", 4, 0)
    assert "a catalog has none" in local.task(DAG, run_id, "snapshot.extract")
    assert watermark() == before
    assert comparable(read_tables()["shop_pg", "keyed"]) == comparable(KEYED)
    assert comparable(read_tables()["shop_pg", "unkeyed"]) == comparable(UNKEYED)


def test_a_full_refresh_holds_what_the_source_holds(loaded: Loaded, local: Local) -> None:
    ((_, state),) = local.run(DAG, full_refresh=True).values()

    tables = read_tables()
    assert state == "success"
    for resource in ("keyed", "unkeyed", "snapshot"):
        assert comparable(tables["shop_pg", resource]) == comparable(CATALOG)
    assert datetime.fromisoformat(watermark()) > datetime.now(UTC) - timedelta(hours=1)
