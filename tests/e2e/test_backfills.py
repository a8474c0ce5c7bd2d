"""The past, through real DAG runs: a look at a few rows, `etl-factory backfill`, and Airflow's own backfill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import systems
from local_airflow import SECONDS, Local

pytestmark = [pytest.mark.stack, pytest.mark.airflow]
DAG = "past__calendar"
TWO_DAYS = ("--from", "2026-01-02", "--to", "2026-01-04")


def head() -> tuple[int, str]:
    """Return the ledger's version and watermark."""
    client = systems.clients.bigquery_client("e2e-project")
    sql = "SELECT version, watermark FROM past_etl._loads__calendar__days WHERE kind = 'head'"
    (row,) = client.query_and_wait(sql)
    return int(row["version"]), str(row["watermark"])


def runs(local: Local) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = local.airflow.call("GET", f"/dags/{DAG}/dagRuns?limit=100")["dag_runs"]
    return found


def await_runs(local: Local, run_type: str, count: int) -> list[Mapping[str, Any]]:
    """Wait until so many runs of a type have ended, and return them by their tick."""
    deadline = time.monotonic() + SECONDS
    while True:
        found = [run for run in runs(local) if run["run_type"] == run_type]
        ended = [run for run in found if run["state"] in ("success", "failed")]
        if len(ended) >= count:
            return sorted(ended, key=lambda run: run["logical_date"])
        assert time.monotonic() < deadline, found
        time.sleep(1)


def backfill(local: Local) -> dict[str, Any]:
    command = [
        str(Path(sys.executable).parent / "etl-factory"),
        "backfill",
        "past",
        "calendar",
        *TWO_DAYS,
        "--json",
    ]
    done = subprocess.run(
        command, env={**os.environ, **local.env}, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr + done.stdout
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture(scope="module")
def sample(local: Local) -> str:
    """Look at three rows of one resource; the scheduled run that unpausing starts loads everything beside it."""
    local.await_dags(DAG)
    local.airflow.call(
        "DELETE", f"/dags/{DAG}"
    )  # with the runs of an earlier test run, where the stack is kept
    asked = {"start": "2026-01-01", "end": "2026-02-01", "resources": ["days"], "row_limit": 3}
    ((run_id, state),) = local.run(DAG, **asked).values()
    (scheduled,) = await_runs(local, "scheduled", 1)
    assert (state, scheduled["state"]) == ("success", "success")
    return run_id


def test_a_look_at_some_rows_publishes_none(local: Local, sample: str) -> None:
    assert "not asked for in this run" in local.task(DAG, sample, "kinds.extract")
    assert local.airflow.result(DAG, sample, "days.extract")["rows"] == 3
    assert local.task(DAG, sample, "days.publish").startswith("skipped: ")
    client = systems.clients.bigquery_client("e2e-project")
    loads = client.query_and_wait("SELECT run_id FROM past_etl._loads__calendar__days WHERE kind = 'load'")
    assert sample not in {row["run_id"] for row in loads}


def test_what_cannot_be_asked_is_refused_before_the_run(local: Local, sample: str) -> None:
    from etl_factory.errors import RefusedError

    with pytest.raises(RefusedError, match="'dayz' is not one of"):
        local.airflow.trigger(DAG, {"resources": ["dayz"]})
    ((run_id, state),) = local.run(DAG, full_refesh=True).values()
    assert state == "failed"
    assert "did you mean 'full_refresh'?" in local.task(DAG, run_id, "days.extract")


def test_the_command_loads_window_after_window_once(local: Local, sample: str) -> None:
    _, watermark = head()

    first = backfill(local)
    after = head()
    count = len(runs(local))
    second = backfill(local)

    assert [(w["state"], w["already"], w["resources"]["days"]["rows_read"]) for w in first["windows"]] == [
        ("success", False, 1)
    ] * 2
    assert [(w["state"], w["already"]) for w in second["windows"]] == [("success", True)] * 2
    assert after[1] == watermark
    assert (head(), len(runs(local))) == (after, count)


def test_airflows_own_backfill_reads_from_tick_to_tick(local: Local, sample: str) -> None:
    _, watermark = head()
    body = {
        "dag_id": DAG,
        "from_date": "2026-01-04T00:00:00+01:00",
        "to_date": "2026-01-05T00:00:00+01:00",
        "max_active_runs": 1,
    }

    local.airflow.call("POST", "/backfills", body)
    own = await_runs(local, "backfill", 2)
    reports = [local.airflow.result(DAG, run["dag_run_id"], "days.publish") for run in own]
    assert [run["state"] for run in own] == ["success", "success"]
    assert [(r["mode"], r["window"], r["rows_read"]) for r in reports] == [
        ("backfill", "[2026-01-02T23:00:00+00:00, 2026-01-03T23:00:00+00:00)", 1),
        ("backfill", "[2026-01-03T23:00:00+00:00, 2026-01-04T23:00:00+00:00)", 1),
    ]
    assert head()[1] == watermark
