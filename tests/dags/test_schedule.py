"""A schedule means the tenant's own clock, also when the clock changes."""

from __future__ import annotations

from datetime import UTC, datetime

import pendulum
import pytest
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DataInterval, TimeRestriction

from etl_factory.loader import tenant_dags


def runs_after(dag_id: str, since: datetime, count: int) -> list[str]:
    """Return when the scheduler would start the DAG's next runs, in UTC."""
    dag = DagSerialization.from_dict(DagSerialization.to_dict(tenant_dags()[dag_id]))
    last, found = DataInterval.exact(pendulum.instance(since)), []
    for _ in range(count):
        restriction = TimeRestriction(earliest=None, latest=None, catchup=True)
        info = dag.timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        found.append(info.run_after.in_timezone("UTC").format("MM-DD HH:mm"))
        last = info.data_interval
    return found


def test_a_warsaw_morning_moves_against_utc_in_spring() -> None:
    since = datetime(2025, 3, 27, 12, tzinfo=UTC)  # Thursday; clocks go forward on Sunday the 30th

    assert runs_after("acme__product_feed", since, 3) == ["03-28 03:45", "03-31 02:45", "04-01 02:45"]


def test_daily_from_the_tenants_defaults() -> None:
    assert runs_after("acme__erp_db", datetime(2025, 1, 1, 12, tzinfo=UTC), 2) == [
        "01-01 23:00",
        "01-02 23:00",
    ]


def test_none_runs_by_hand_only() -> None:
    assert tenant_dags()["acme__partner_bq"].schedule is None
    assert tenant_dags()["globex__crm_db"].schedule is None


def test_schedules_can_be_switched_off_for_a_laptop(environment: object) -> None:
    environment(ETL_FACTORY_SCHEDULES="off")

    assert {dag.schedule for dag in tenant_dags().values()} == {None}


@pytest.mark.parametrize(
    "text", ["2025-01-01", "2025-01-01T06:00:00+01:00", "2025-01-01 06:00", "100", "-5", None]
)
def test_bounds_that_the_trigger_form_takes(text: str | None) -> None:
    param = tenant_dags()["acme__shop_db"].params.get_param("start")

    assert param.resolve(text) == text


@pytest.mark.parametrize("text", ["yesterday", "01/02/2025", 5, True])
def test_bounds_that_the_trigger_form_refuses(text: object) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        tenant_dags()["acme__shop_db"].params.get_param("start").resolve(text)
