"""What the trigger form and the REST API let a person ask of one run, checked before the run begins."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import Param
from airflow.sdk.exceptions import ParamValidationError

from etl_factory.loader import tenant_dags
from etl_factory.transfers.request import KEYS


def parameter(name: str) -> Param:
    return tenant_dags()["acme__shop_db"].params.get_param(name)


def test_what_a_run_reads_is_what_the_form_offers() -> None:
    assert tuple(tenant_dags()["acme__shop_db"].params) == KEYS


def test_the_defaults_are_valid_though_the_factory_does_not_let_airflow_validate_them() -> None:
    for dag in tenant_dags().values():
        dag.params.validate()


def test_the_form_offers_the_dags_own_resources_as_a_choice() -> None:
    for dag in tenant_dags("acme").values():
        schema = dag.params.get_param("resources").schema
        groups = [name for name in dag.task_group.get_task_group_dict() if name]

        # An array with examples is what Airflow's form makes a multi-select of.
        assert ("array" in schema["type"], schema["examples"], schema["items"]["enum"]) == (
            True,
            groups,
            groups,
        )


def test_nothing_asked_is_all_resources_and_all_rows() -> None:
    assert (parameter("resources").value, parameter("row_limit").value) == (None, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("resources", None),
        ("resources", []),
        ("resources", ["orders"]),
        ("row_limit", None),
        ("row_limit", 1),
    ],
)
def test_what_may_be_asked(name: str, value: Any) -> None:
    assert parameter(name).resolve(value) == value


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("resources", ["ordrs"], "'ordrs' is not one of"),
        ("resources", "orders", "is not of type 'null', 'array'"),
        ("resources", ["orders", "orders"], "non-unique"),
        ("row_limit", 0, "0 is less than the minimum of 1"),
        ("row_limit", "many", "is not of type 'null', 'integer'"),
        ("row_limit", 1.5, "is not of type 'null', 'integer'"),
    ],
)
def test_what_may_not_be_asked(name: str, value: Any, message: str) -> None:
    with pytest.raises(ParamValidationError, match=message):
        parameter(name).resolve(value)
