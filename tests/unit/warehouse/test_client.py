"""Jobs that run exactly once, errors by remedy, and what every statement carries."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fake_bigquery import DONE, RUNNING, FakeBigQuery, failed, refusal

from etl_factory.errors import (
    AccessDeniedError,
    EtlFactoryError,
    NotFoundError,
    TerminalError,
    TransientError,
)
from etl_factory.schema.types import Field
from etl_factory.warehouse import patience
from etl_factory.warehouse.client import JOB_TRIES, MOST_BYTES, Warehouse
from etl_factory.warehouse.target import Destination, Target

TARGET = Target(
    "acme", "shop_db", "orders", "orders", Destination("acme-analytics", "EU", "raw", "gs://acme-landing")
)
CONFLICT = (
    "Transaction is aborted due to concurrent update against table acme-analytics:raw_etl._loads__shop_db__orders."
    " Transaction ID: 65"
)


@pytest.fixture
def fake() -> FakeBigQuery:
    return FakeBigQuery()


@pytest.fixture
def warehouse(fake: FakeBigQuery) -> Warehouse:
    return Warehouse(fake.client(), TARGET)


def run(warehouse: Warehouse, *effects: bool) -> None:
    """Run job `j` once; `effects` is what is found each time that its effect is looked for."""
    found = iter(effects)
    warehouse.run_once("j", lambda name: warehouse.start_query("SELECT 1", {}, name), lambda: next(found))


def test_a_new_job_that_has_its_effect_is_enough(fake: FakeBigQuery, warehouse: Warehouse) -> None:
    run(warehouse, True)

    assert fake.submitted() == ["j_0"]


def test_a_new_job_is_waited_for(fake: FakeBigQuery, warehouse: Warehouse) -> None:
    fake.outcomes["j_0"] = [RUNNING, RUNNING, RUNNING, DONE]

    run(warehouse, True)

    assert fake.submitted() == ["j_0"]
    assert fake.jobs["j_0"] == [DONE]


def test_a_job_found_running_is_waited_for_and_not_run_again(
    fake: FakeBigQuery, warehouse: Warehouse
) -> None:
    fake.found("j_0", RUNNING, RUNNING, DONE)

    run(warehouse, True)

    assert fake.submitted() == ["j_0"]
    assert fake.jobs["j_0"] == [DONE]


def test_a_job_found_finished_counts_with_its_effect(fake: FakeBigQuery, warehouse: Warehouse) -> None:
    fake.found("j_0", DONE)

    run(warehouse, True)

    assert fake.submitted() == ["j_0"]


def test_a_job_whose_effect_is_gone_runs_under_the_next_id(fake: FakeBigQuery, warehouse: Warehouse) -> None:
    fake.found("j_0", DONE)

    run(warehouse, False, True)

    assert fake.submitted() == ["j_0", "j_1"]


def test_a_job_found_failed_runs_under_the_next_id(fake: FakeBigQuery, warehouse: Warehouse) -> None:
    fake.found("j_0", failed("invalidQuery", "no"))
    fake.found("j_1", RUNNING, failed("backendError", "no"))

    run(warehouse, True)

    assert fake.submitted() == ["j_0", "j_1", "j_2"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (failed("invalidQuery", "Syntax error"), TerminalError),
        (failed("invalidQuery", CONFLICT), TransientError),
        (failed("backendError", "try again"), TransientError),
        (failed("accessDenied", "no"), AccessDeniedError),
        (failed("notFound", "Not found: Table t"), NotFoundError),
        (failed("bytesBilledLimitExceeded", "limit"), TerminalError),
        (failed("stopped", "Job was cancelled"), TerminalError),
    ],
)
def test_a_new_job_that_fails_says_why_and_is_not_run_again(
    fake: FakeBigQuery, warehouse: Warehouse, status: dict[str, Any], error: type[EtlFactoryError]
) -> None:
    fake.outcomes["j_0"] = [RUNNING, status]

    with pytest.raises(EtlFactoryError) as raised:
        run(warehouse)

    assert type(raised.value) is error
    assert fake.submitted() == ["j_0"]


def test_a_new_job_without_its_effect_is_not_run_again(fake: FakeBigQuery, warehouse: Warehouse) -> None:
    """An INSERT would do its work twice."""
    with pytest.raises(TerminalError) as raised:
        run(warehouse, False)

    assert str(raised.value) == (
        "BigQuery job j_0 succeeded, but its effect is not there: clear the run from `extract`"
    )
    assert fake.submitted() == ["j_0"]


def test_a_job_that_cannot_be_asked_for_is_not_run_again(fake: FakeBigQuery, warehouse: Warehouse) -> None:
    """It may still be running: only its own end says that it failed."""
    fake.found("j_0", RUNNING)
    fake.faults["GET", "queries/j_0"] = refusal(403, "quotaExceeded", "slow down")

    with pytest.raises(TransientError, match="slow down"):
        run(warehouse)

    assert fake.submitted() == ["j_0"]


def test_a_job_that_fails_while_it_is_waited_for_runs_under_the_next_id(
    fake: FakeBigQuery, warehouse: Warehouse
) -> None:
    fake.found("j_0", RUNNING, RUNNING, failed("invalidQuery", "no"))
    fake.faults["GET", "queries/j_0"] = refusal(400, "invalidQuery", "no")

    run(warehouse, True)

    assert fake.submitted() == ["j_0", "j_1"]


def test_ids_run_out_at_last(fake: FakeBigQuery, warehouse: Warehouse) -> None:
    for number in range(JOB_TRIES):
        fake.found(f"j_{number}", failed("invalidQuery", "no"))

    with pytest.raises(TerminalError) as raised:
        run(warehouse)

    assert str(raised.value) == "BigQuery job j had no effect 20 times: clear the run from `extract`"


class FailsAtFirst(dict[str, list[dict[str, Any]]]):
    """The outcomes of jobs whose ids are not known before: the first of them fails."""

    def __init__(self, reason: str) -> None:
        self.coming = [[failed(reason, "no")]]

    def get(self, job_id: str, default: Any = None) -> Any:
        return self.coming.pop() if self.coming else default


def test_a_statement_that_failed_for_the_moment_runs_again_under_another_id(
    fake: FakeBigQuery, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT", 0.01)
    fake.outcomes = FailsAtFirst("jobBackendError")

    warehouse.query("SELECT 1")

    assert len(set(fake.submitted())) == 2


def test_a_statement_that_failed_for_good_does_not_run_again(
    fake: FakeBigQuery, warehouse: Warehouse
) -> None:
    fake.outcomes = FailsAtFirst("invalidQuery")

    with pytest.raises(TerminalError):
        warehouse.query("SELECT 1")

    assert len(fake.submitted()) == 1


def test_a_refused_request_becomes_ours(fake: FakeBigQuery, warehouse: Warehouse) -> None:
    fake.faults["POST", "jobs"] = refusal(403, "accessDenied", "Access Denied: Project acme-analytics")

    with pytest.raises(AccessDeniedError, match="Access Denied: Project acme-analytics"):
        warehouse.query("SELECT 1")


def test_rows_come_as_dicts_by_parameters(fake: FakeBigQuery, warehouse: Warehouse) -> None:
    fake.rows = lambda sql: [{"n": 1, "name": "a"}, {"n": 2, "name": None}]

    rows = warehouse.rows("SELECT * FROM t WHERE a = @a", a="x`'\n")

    assert rows == [{"n": 1, "name": "a"}, {"n": 2, "name": None}]
    ((_, _, query),) = fake.seen
    assert query["query"] == "SELECT * FROM t WHERE a = @a"
    assert query["queryParameters"] == [
        {"name": "a", "parameterType": {"type": "STRING"}, "parameterValue": {"value": "x`'\n"}}
    ]


@pytest.mark.parametrize(
    ("value", "type_", "written"),
    [
        (True, {"type": "BOOL"}, {"value": "true"}),
        (7, {"type": "INT64"}, {"value": "7"}),
        (0.5, {"type": "FLOAT64"}, {"value": 0.5}),
        (None, {"type": "STRING"}, {"value": None}),
        (
            datetime(2025, 1, 1, 0, 0, 0, 1, UTC),
            {"type": "TIMESTAMP"},
            {"value": "2025-01-01 00:00:00.000001+00:00"},
        ),
        (
            ("a", "b"),
            {"type": "ARRAY", "arrayType": {"type": "STRING"}},
            {"arrayValues": [{"value": "a"}, {"value": "b"}]},
        ),
        ((1,), {"type": "ARRAY", "arrayType": {"type": "INT64"}}, {"arrayValues": [{"value": "1"}]}),
        ((), {"type": "ARRAY", "arrayType": {"type": "STRING"}}, {"arrayValues": []}),
    ],
)
def test_a_parameter_has_its_values_type(
    fake: FakeBigQuery, warehouse: Warehouse, value: Any, type_: dict[str, Any], written: dict[str, Any]
) -> None:
    warehouse.query("SELECT @a", {"a": value})

    (parameter,) = fake.seen[0][2]["configuration"]["query"]["queryParameters"]
    assert (parameter["parameterType"], parameter["parameterValue"]) == (type_, written)


def test_a_statement_carries_labels_and_the_cost_limit(fake: FakeBigQuery) -> None:
    destination = replace(TARGET.destination, maximum_bytes_billed=500 * 10**9)
    warehouse = Warehouse(fake.client(), replace(TARGET, destination=destination))

    warehouse.start_query("SELECT 1", {"load_id": "ld_1"}, "j")

    configuration = fake.seen[0][2]["configuration"]
    assert configuration["labels"] == {
        "etl_tenant": "acme",
        "etl_source": "shop_db",
        "etl_resource": "orders",
        "etl_load_id": "ld_1",
    }
    assert configuration["query"]["maximumBytesBilled"] == "500000000000"


def test_a_statement_without_a_load_or_a_limit_carries_neither(
    fake: FakeBigQuery, warehouse: Warehouse
) -> None:
    warehouse.query("SELECT 1")

    configuration = fake.seen[0][2]["configuration"]
    assert "etl_load_id" not in configuration["labels"]
    assert "maximumBytesBilled" not in configuration["query"]


def test_a_load_of_ten_thousand_objects_fits_into_one_request(
    fake: FakeBigQuery, warehouse: Warehouse
) -> None:
    warehouse.start_query(
        "SELECT 1", files(10_000, "s3://supplier/prices/2025/01/01/prices-{:06}.csv.gz"), "j"
    )

    assert len(json.dumps(fake.seen[0][2])) < MOST_BYTES


def test_a_request_that_is_too_long_for_bigquery_is_not_sent(
    fake: FakeBigQuery, warehouse: Warehouse
) -> None:
    with pytest.raises(
        TerminalError, match=r"at most 9,900,000 bytes, and this one would have \d\d,\d{3},\d{3}"
    ):
        warehouse.start_query("SELECT 1", files(10_000, "s3://supplier/" + "p" * 1000 + "{:06}"), "j")

    assert fake.seen == []


def files(number: int, uri: str) -> dict[str, Any]:
    """Return what a publish says of so many objects."""
    many = range(number)
    return {
        "uris": tuple(uri.format(n) for n in many),
        "versions": tuple(f'"{n:032x}-12"' for n in many),
        "sizes": tuple(10**9 + n for n in many),
        "modified": tuple(datetime(2025, 1, 1, 12, 30, 15, n, UTC) for n in many),
        "file_rows": tuple(10**6 + n for n in many),
        "file_quarantined": tuple(many),
    }


def test_a_missing_table_has_no_rows_where_that_is_fine(fake: FakeBigQuery, warehouse: Warehouse) -> None:
    fake.faults["POST", "queries"] = refusal(404, "notFound", "Not found: Table t")

    assert warehouse.rows("SELECT 1", absent_ok=True) == []
    assert warehouse.row_count("p.d.t") is None
    with pytest.raises(NotFoundError, match="Not found: Table t"):
        warehouse.rows("SELECT 1")


def test_a_denied_table_is_not_a_missing_one(fake: FakeBigQuery, warehouse: Warehouse) -> None:
    fake.faults["POST", "queries"] = refusal(403, "accessDenied", "no")

    with pytest.raises(AccessDeniedError):
        warehouse.rows("SELECT 1", absent_ok=True)


def test_row_count_quotes_the_table(fake: FakeBigQuery, warehouse: Warehouse) -> None:
    fake.rows = lambda sql: [{"n": 3}]

    assert warehouse.row_count("p.d.t` --") == 3
    assert fake.seen[0][2]["query"] == "SELECT COUNT(*) AS n FROM `p.d.t\\` --`"


def test_a_read_carries_labels_and_the_cost_limit_too(fake: FakeBigQuery) -> None:
    destination = replace(TARGET.destination, maximum_bytes_billed=5)
    warehouse = Warehouse(fake.client(), replace(TARGET, destination=destination))

    warehouse.rows("SELECT 1", load_id="ld_1")

    ((method, path, query),) = fake.seen
    assert (method, path, query["maximumBytesBilled"]) == ("POST", "queries", "5")
    assert query["labels"] == TARGET.labels | {"etl_load_id": "ld_1"}


def test_published_fields_leave_ours_out(fake: FakeBigQuery, warehouse: Warehouse) -> None:
    assert warehouse.published_fields() is None

    ours, theirs = (
        {"name": "_etl_load_id", "type": "STRING"},
        {"name": "id", "type": "INTEGER", "mode": "REQUIRED"},
    )
    fake.tables["raw/tables/orders"] = {
        "tableReference": {"projectId": "acme-analytics", "datasetId": "raw", "tableId": "orders"},
        "schema": {"fields": [theirs, ours]},
    }

    assert warehouse.published_fields() == (Field("id", "INT64", "REQUIRED"),)


def test_staging_expires_and_keeps_no_type_that_parquet_lacks(
    fake: FakeBigQuery, warehouse: Warehouse
) -> None:
    fields = (Field("id", "INT64", "REQUIRED"), Field("doc", "JSON"))

    warehouse.create_staging("acme-analytics.raw_etl._staging", fields)
    warehouse.create_staging("acme-analytics.raw_etl._staging", fields, as_is=True)

    staged, as_is = (body for _, _, body in fake.seen)
    expires = datetime.fromtimestamp(int(staged["expirationTime"]) / 1000, UTC)
    assert timedelta(days=6, hours=23) < expires - datetime.now(UTC) < timedelta(days=7, seconds=1)
    assert [(f["name"], f["type"], f["mode"]) for f in staged["schema"]["fields"]] == [
        ("id", "INT64", "NULLABLE"),
        ("doc", "STRING", "NULLABLE"),
    ]
    assert [f["type"] for f in as_is["schema"]["fields"]] == ["INT64", "JSON"]


def test_a_staging_table_that_exists_is_left_alone(fake: FakeBigQuery, warehouse: Warehouse) -> None:
    reference = {"projectId": "acme-analytics", "datasetId": "raw_etl", "tableId": "_staging"}
    fake.faults["POST", "tables"] = refusal(409, "duplicate", "Already Exists: Table")
    fake.faults["GET", "tables/_staging"] = (200, {"tableReference": reference})

    warehouse.create_staging("acme-analytics.raw_etl._staging", (Field("id", "INT64"),))

    assert {method for method, _, _ in fake.seen} <= {"POST", "GET"}


def test_datasets_that_exist_are_only_looked_at(fake: FakeBigQuery, warehouse: Warehouse) -> None:
    for name in ("raw", "raw_etl"):
        reference = {"projectId": "acme-analytics", "datasetId": name}
        fake.tables[name] = {"datasetReference": reference}

    warehouse.ensure_datasets()

    assert [(method, path) for method, path, _ in fake.seen] == [
        ("GET", "datasets/raw"),
        ("GET", "datasets/raw_etl"),
    ]


def test_both_datasets_are_made_in_the_tenants_location(fake: FakeBigQuery, warehouse: Warehouse) -> None:
    warehouse.ensure_datasets()

    posted = [body for method, _, body in fake.seen if method == "POST"]
    made = [(body["datasetReference"]["datasetId"], body["location"]) for body in posted]
    assert made == [("raw", "EU"), ("raw_etl", "EU")]


def test_a_dataset_that_another_task_made_meanwhile_is_fine(fake: FakeBigQuery, warehouse: Warehouse) -> None:
    fake.faults["POST", "datasets"] = refusal(409, "duplicate", "Already Exists: Dataset")

    warehouse.ensure_datasets()

    assert [method for method, _, _ in fake.seen] == ["GET", "POST", "GET", "POST"]


def test_a_dataset_that_may_not_be_made_says_what_to_grant(fake: FakeBigQuery, warehouse: Warehouse) -> None:
    fake.faults["POST", "datasets"] = refusal(403, "accessDenied", "Access Denied: Project acme-analytics")

    with pytest.raises(AccessDeniedError, match=r"^dataset acme-analytics\.raw does not exist") as raised:
        warehouse.ensure_datasets()

    assert str(raised.value).endswith(
        "Access Denied: Project acme-analytics. Make it beforehand in EU, with BigQuery Data Editor for this identity,"
        " or grant bigquery.datasets.create (BigQuery User) on its project"
    )
    assert fake.seen[-1][1] == "datasets"


def test_a_dataset_that_may_not_be_looked_at_is_not_a_missing_one(
    fake: FakeBigQuery, warehouse: Warehouse
) -> None:
    fake.faults["GET", "datasets/raw"] = refusal(403, "accessDenied", "Access Denied: Dataset raw")

    with pytest.raises(AccessDeniedError, match=r"BigQuery refused: .*Access Denied: Dataset raw"):
        warehouse.ensure_datasets()

    assert [method for method, _, _ in fake.seen] == ["GET"]
