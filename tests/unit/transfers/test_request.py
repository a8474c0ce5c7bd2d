"""What a run asks, as Airflow's own objects say it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.api.datamodels._generated import DagRunType
from airflow.utils.types import DagRunType as ServerDagRunType

from etl_factory.config.resource import Destination, Resource
from etl_factory.errors import TerminalError
from etl_factory.identity import load_id
from etl_factory.sources.specs import CatalogTable
from etl_factory.transfers.request import read_request

RESOURCE = Resource(
    tenant="acme",
    source="shop_db",
    source_type="postgres",
    name="orders",
    conn_id="acme__shop_db",
    timezone="UTC",
    destination=Destination("acme-analytics", "EU", "raw", "gs://acme-landing"),
    spec=CatalogTable.model_validate({"table": "orders", "load": "catalog"}),
)
RUN_AFTER = datetime(2025, 1, 1, tzinfo=UTC)


def context(
    conf: dict[str, Any] | None = None,
    params: dict[str, Any] | None = None,
    run_type: Any = DagRunType.MANUAL,
) -> dict[str, Any]:
    run = SimpleNamespace(run_id="manual__1", run_type=run_type, run_after=RUN_AFTER, conf=conf)
    return {"dag_run": run, "ti": SimpleNamespace(try_number=2), "params": params}


def test_a_plain_run_is_live_and_named_by_its_run() -> None:
    request = read_request(context(), RESOURCE)

    assert (request.mode, request.start, request.end) == ("live", None, None)
    assert (request.run_id, request.run_after) == ("manual__1", RUN_AFTER)
    assert request.load_id == load_id("acme__shop_db", "orders", "manual__1")
    assert re.fullmatch(r"extract-2-[0-9a-f]{8}", request.attempt)


@pytest.mark.parametrize("where", ["conf", "params"])
def test_start_and_end_make_a_backfill(where: str) -> None:
    bounds = {"start": "2025-01-01", "end": "2025-02-01", "full_refresh": False}

    request = read_request(context(**{where: bounds}), RESOURCE)

    assert (request.mode, request.start, request.end) == ("backfill", "2025-01-01", "2025-02-01")


def test_numbers_bound_a_backfill_too_zero_included() -> None:
    request = read_request(context({"start": 0, "end": 100}), RESOURCE)

    assert (request.mode, request.start, request.end) == ("backfill", "0", "100")


def test_what_the_run_says_wins_over_the_dags_own_parameters() -> None:
    request = read_request(context({"full_refresh": True}, {"full_refresh": False, "start": None}), RESOURCE)

    assert request.mode == "full_refresh"


@pytest.mark.parametrize(
    ("asked", "mode"), [(True, "full_refresh"), ("true", "full_refresh"), ("False", "live"), (None, "live")]
)
def test_a_full_refresh_may_come_as_text(asked: Any, mode: str) -> None:
    assert read_request(context({"full_refresh": asked}), RESOURCE).mode == mode


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"full_refresh": "please"}, "full_refresh of this run is 'please': give true or false"),
        ({"start": "2025-01-01"}, "this run gives only one of start and end: a backfill needs both"),
        ({"end": "2025-01-01"}, "this run gives only one of start and end: a backfill needs both"),
        (
            {"full_refresh": True, "start": "2025-01-01", "end": "2025-02-01"},
            "this run asks for full_refresh and for start or end: give one or the other",
        ),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(TerminalError) as raised:
        read_request(context(asked), RESOURCE)

    assert str(raised.value) == message


@pytest.mark.parametrize("run_type", [DagRunType.BACKFILL, ServerDagRunType.BACKFILL_JOB, "backfill"])
def test_airflows_own_backfill_must_say_what_it_reads(run_type: Any) -> None:
    with pytest.raises(TerminalError) as raised:
        read_request(context(run_type=run_type), RESOURCE)

    assert str(raised.value) == "an Airflow backfill of this DAG needs start and end in its configuration"


def test_airflows_own_backfill_with_bounds_is_ours_too() -> None:
    asked = {"start": "2025-01-01", "end": "2025-02-01"}

    assert read_request(context(asked, run_type=DagRunType.BACKFILL), RESOURCE).mode == "backfill"
