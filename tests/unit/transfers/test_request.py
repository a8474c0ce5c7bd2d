"""What a run asks, as Airflow's own objects say it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.api.datamodels._generated import DagRunType
from airflow.timetables.trigger import CronTriggerTimetable
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
WARSAW = replace(RESOURCE, timezone="Europe/Warsaw")
TASKS = ["lines.extract", "lines.publish", "orders.extract", "orders.publish"]
RUN_AFTER = datetime(2025, 1, 1, tzinfo=UTC)


def context(
    conf: dict[str, Any] | None = None,
    params: dict[str, Any] | None = None,
    run_type: Any = DagRunType.MANUAL,
) -> dict[str, Any]:
    run = SimpleNamespace(run_id="manual__1", run_type=run_type, run_after=RUN_AFTER, conf=conf)
    return {"dag_run": run, "ti": SimpleNamespace(try_number=2), "params": params}


def of_dag(conf: dict[str, Any]) -> dict[str, Any]:
    return {**context(conf), "dag": SimpleNamespace(task_ids=TASKS)}


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


DAILY = CronTriggerTimetable("0 6 * * *", timezone="Europe/Warsaw")


def own_backfill(tick: str, conf: dict[str, Any] | None = None, run_type: Any = DagRunType.BACKFILL) -> Any:
    made = context(conf, run_type=run_type)
    made["dag_run"].logical_date = datetime.fromisoformat(tick)
    return {**made, "dag": SimpleNamespace(timetable=DAILY, task_ids=TASKS)}


@pytest.mark.parametrize("run_type", [DagRunType.BACKFILL, ServerDagRunType.BACKFILL_JOB, "backfill"])
def test_airflows_own_backfill_reads_from_tick_to_tick(run_type: Any) -> None:
    request = read_request(own_backfill("2025-03-30T04:00:00+00:00", run_type=run_type), WARSAW)

    assert request.mode == "backfill"
    assert (request.start, request.end) == ("2025-03-29T06:00:00+01:00", "2025-03-30T06:00:00+02:00")


def test_airflows_own_backfill_with_bounds_is_ours_too() -> None:
    request = read_request(
        own_backfill("2025-03-30T04:00:00+00:00", {"start": "2025-01-01", "end": "2025-02-01"}), RESOURCE
    )

    assert (request.mode, request.start, request.end) == ("backfill", "2025-01-01", "2025-02-01")


def test_airflows_own_backfill_is_no_full_refresh() -> None:
    with pytest.raises(TerminalError, match="trigger one run with full_refresh instead"):
        read_request(own_backfill("2025-03-30T04:00:00+00:00", {"full_refresh": True}), RESOURCE)


def test_bounds_without_an_offset_are_on_the_tenants_clock() -> None:
    request = read_request(context({"start": "2025-03-30", "end": "2025-03-31T00:00"}), WARSAW)

    assert [moment.isoformat() for moment in request.instants()] == [
        "2025-03-30T00:00:00+01:00",
        "2025-03-31T00:00:00+02:00",
    ]


@pytest.mark.parametrize("asked", [None, "", []])
def test_a_run_that_names_no_resource_is_for_all(asked: Any) -> None:
    assert read_request(context({"resources": asked}), RESOURCE).is_wanted


@pytest.mark.parametrize(
    ("asked", "wanted"), [(["orders"], True), (["lines"], False), (["lines", "orders"], True)]
)
def test_a_run_is_for_the_resources_that_it_names(asked: list[str], wanted: bool) -> None:
    assert read_request(of_dag({"resources": asked}), RESOURCE).is_wanted is wanted


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["lines", "ordrs"], "'ordrs' is not one of lines, orders; did you mean 'orders'?"),
        ("orders", "resources of this run is 'orders': give a list, such as [orders]"),
        ([["orders"]], "['orders'] is not one of lines, orders"),
    ],
)
def test_resources_that_the_dag_does_not_have_are_refused(asked: Any, message: str) -> None:
    with pytest.raises(TerminalError, match=re.escape(message)):
        read_request(of_dag({"resources": asked}), RESOURCE)


@pytest.mark.parametrize(("asked", "limit"), [(None, None), ("", None), (1, 1), (500, 500), ("20", 20)])
def test_a_row_limit_is_a_number(asked: Any, limit: int | None) -> None:
    assert read_request(context({"row_limit": asked}), RESOURCE).row_limit == limit


@pytest.mark.parametrize("asked", [0, -1, 1.5, "many", True, False])
def test_any_other_row_limit_is_refused(asked: Any) -> None:
    with pytest.raises(TerminalError, match="give a whole number from 1 on, or leave it out"):
        read_request(context({"row_limit": asked}), RESOURCE)


@pytest.mark.parametrize("asked", [{"full_refresh": True}, {"start": "2025-01-01", "end": "2025-02-01"}, {}])
def test_a_row_limit_goes_with_every_kind_of_run(asked: dict[str, Any]) -> None:
    assert read_request(context({**asked, "row_limit": 5}), RESOURCE).row_limit == 5


@pytest.mark.parametrize("asked", [True, "true", "True"])
def test_a_replay_is_a_mode_of_its_own(asked: Any) -> None:
    assert read_request(context({"replay": asked}), RESOURCE).mode == "replay"
    assert read_request(context({"replay": False}), RESOURCE).mode == "live"


@pytest.mark.parametrize("other", [{"full_refresh": True}, {"start": "2025-01-01", "end": "2025-02-01"}])
def test_a_replay_reads_nothing_else(other: dict[str, Any]) -> None:
    with pytest.raises(TerminalError, match="asks for replay, which reads the quarantine, and for"):
        read_request(context({"replay": True, **other}), RESOURCE)


def test_a_replay_is_asked_for_by_yes_or_no() -> None:
    with pytest.raises(TerminalError, match="replay of this run is 'some': give true or false"):
        read_request(context({"replay": "some"}), RESOURCE)


def test_a_key_that_nothing_reads_is_refused_by_the_name_of_the_nearest() -> None:
    with pytest.raises(TerminalError) as raised:
        read_request(context({"full_refesh": True}), RESOURCE)

    assert str(raised.value) == (
        "nothing reads the key 'full_refesh' of this run's configuration, whose keys are start, end, full_refresh,"
        " resources, row_limit, replay. Nothing was loaded; trigger another run; did you mean 'full_refresh'?"
    )
