"""The load job: exactly the listed objects, a declared schema, and an id that a retry finds again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from airflow.sdk.exceptions import AirflowFailException

from etl_factory.config.resource import Resource
from etl_factory.landing.manifest import Manifest, dumps, load_manifest
from etl_factory.operators import google
from etl_factory.operators.load import GCSToStagingOperator
from etl_factory.schema.types import Field
from etl_factory.warehouse.sql import QUARANTINE_COLUMNS, TALLY_COLUMNS
from examples import Write
from fakes import LOAD_ID, NOON, FakeLanding, FakeWarehouse, context_of, manifest_of, resource_of

STAGING = f"_staging__shop__orders__{LOAD_ID}_sanitize_1_00000000"
FIELDS = (Field("id", "INT64"), Field("doc", "JSON"), Field("at", "TIMESTAMP", "REQUIRED"))
SANITIZED = FakeLanding()
PARTS = tuple(SANITIZED.put_table(f"part-{n}", pa.table({"id": range(5)})) for n in range(2))
BAD = (SANITIZED.put_table("quarantine-0", pa.table({"row": ["1"]})),)
KEYS = (SANITIZED.put_table("keys-0", pa.table({"id": range(7)})),)
URI = "gs://acme-landing/sanitize/manifest.json"


class Load(GCSToStagingOperator):
    """The operator, with its jobs kept instead of sent."""

    jobs: list[tuple[str, dict[str, Any]]]

    def _insert_job(self, configuration: dict[str, Any], job_id: str) -> None:  # type: ignore[override]  # nobody asks
        self.jobs.append((job_id, configuration))


@pytest.fixture(autouse=True)
def connection(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"is_anonymous": True, "project": "composer-project"}
    value = json.dumps({"conn_type": "google_cloud_platform", "extra": extra})
    monkeypatch.setenv("AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT", value)


@pytest.fixture
def resource(write: Write) -> Resource:
    return resource_of(write, "table: public.orders\nload: catalog")


@pytest.fixture
def landing() -> FakeLanding:
    return FakeLanding(dict(SANITIZED.objects))


@pytest.fixture
def warehouse(resource: Resource) -> FakeWarehouse:
    return FakeWarehouse(resource.target)


def sanitized(resource: Resource, **values: Any) -> Manifest:
    fields = tuple(field.to_json() for field in FIELDS)
    defaults = {"step": "sanitize", "attempt": "sanitize-1-00000000", "parts": PARTS, "fields": fields}
    return manifest_of(resource, **(defaults | values))


@pytest.fixture
def run(
    resource: Resource, landing: FakeLanding, warehouse: FakeWarehouse, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Return a function that executes the task on a manifest; it returns the jobs and what XCom carries."""
    monkeypatch.setattr(google, "landing", lambda of: landing)
    monkeypatch.setattr(google, "warehouse", lambda of: warehouse)

    def execute(manifest: Manifest, try_number: int = 1) -> tuple[list[tuple[str, dict[str, Any]]], Any]:
        landing.objects[URI] = dumps(manifest).encode()
        operator = Load(task_id="load", resource=resource)
        operator.jobs = []
        left = operator.execute(context_of({"manifest": URI}, try_number))
        return operator.jobs, left

    return execute


def test_the_job_loads_exactly_the_listed_objects(run: Any, resource: Resource) -> None:
    [(_, job)], _ = run(sanitized(resource))

    assert job["load"].pop("destinationTableProperties") == {"labels": resource.target.labels}
    assert job["load"].pop("parquetOptions") == {}
    assert job == {
        "load": {
            "sourceUris": [part.uri for part in PARTS],
            "sourceFormat": "PARQUET",
            "autodetect": False,
            "ignoreUnknownValues": False,
            "schema": {
                "fields": [
                    {"name": "id", "type": "INT64", "mode": "NULLABLE"},
                    {"name": "doc", "type": "STRING", "mode": "NULLABLE"},
                    {"name": "at", "type": "TIMESTAMP", "mode": "NULLABLE"},
                ]
            },
            "destinationTable": {
                "projectId": "acme-analytics", "datasetId": "raw_etl", "tableId": STAGING,
            },
            "createDisposition": "CREATE_IF_NEEDED",
            "writeDisposition": "WRITE_TRUNCATE",
        },
        "labels": {**resource.target.labels, "etl_load_id": LOAD_ID},
    }  # fmt: skip


def test_any_number_of_objects_is_one_job(run: Any, resource: Resource, landing: FakeLanding) -> None:
    """Load jobs are counted by BigQuery, per table and day; staging has a table of its own per load, too."""
    parts = tuple(landing.put_table(f"part-{n}", pa.table({"id": [n]})) for n in range(300))
    jobs, _ = run(sanitized(resource, parts=parts))

    assert [len(job["load"]["sourceUris"]) for _, job in jobs] == [300]


def test_arrays_are_loaded_as_arrays(run: Any, resource: Resource) -> None:
    fields = (Field("a", "RECORD", fields=(Field("l", "BIGNUMERIC", "REPEATED"),)),)
    [(_, job)], _ = run(sanitized(resource, fields=tuple(field.to_json() for field in fields)))

    assert job["load"]["parquetOptions"] == {"enableListInference": True}
    (column,) = job["load"]["schema"]["fields"]
    assert column["fields"] == [{"name": "l", "type": "STRING", "mode": "REPEATED"}]


def test_a_retry_finds_the_job_of_the_first_try(run: Any, resource: Resource) -> None:
    [(first, _)], _ = run(sanitized(resource))
    [(again, _)], _ = run(sanitized(resource), try_number=2)

    assert first == again
    assert first.startswith(f"{LOAD_ID}_load_")


@pytest.mark.parametrize(
    "changes",
    [
        {"attempt": "sanitize-2-11111111"},
        {"parts": PARTS[:1]},
        {"fields": tuple(field.to_json() for field in FIELDS[:2])},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_another_manifest_is_another_job(run: Any, resource: Resource, changes: dict[str, Any]) -> None:
    [(first, _)], _ = run(sanitized(resource))
    [(other, _)], _ = run(replace(sanitized(resource), **changes))

    assert first != other


def test_two_tries_never_share_a_manifest(run: Any, resource: Resource, landing: FakeLanding) -> None:
    _, first = run(sanitized(resource))
    _, again = run(sanitized(resource))

    assert first["manifest"] != again["manifest"]
    assert first["staging_table"] == again["staging_table"] == f"acme-analytics.raw_etl.{STAGING}"
    done = load_manifest(landing.read_text(first["manifest"]))
    seals = {first["staging_table"]: f"0 rows, last modified {NOON}"}
    assert done == sanitized(resource, step="load", staging_table=first["staging_table"], seals=seals)


def test_bad_rows_are_loaded_beside(run: Any, resource: Resource, warehouse: FakeWarehouse) -> None:
    jobs, left = run(sanitized(resource, quarantine=BAD))

    assert [job["load"]["sourceUris"] for _, job in jobs] == [[p.uri for p in PARTS], [BAD[0].uri]]
    assert jobs[1][1]["load"]["destinationTable"]["tableId"] == f"{STAGING}_quarantine"
    held = warehouse.tables[f"{left['staging_table']}_quarantine"]
    assert {field.name: field.type for field in held} == QUARANTINE_COLUMNS


def test_more_files_than_a_request_names_are_loaded_beside(
    run: Any, resource: Resource, landing: FakeLanding, warehouse: FakeWarehouse
) -> None:
    jobs, left = run(sanitized(resource, tallies=BAD))

    table = f"{left['staging_table']}_files"
    assert [job["load"]["sourceUris"] for _, job in jobs][1:] == [[BAD[0].uri]]
    assert {field.name: field.type for field in warehouse.tables[table]} == TALLY_COLUMNS
    done = load_manifest(landing.read_text(left["manifest"]))
    assert done.files_table == table
    assert table in done.seals


KEY_FIELDS = (Field("id", "INT64").to_json(),)


def test_keys_are_loaded_beside(
    run: Any, resource: Resource, landing: FakeLanding, warehouse: FakeWarehouse
) -> None:
    jobs, left = run(sanitized(resource, keys=KEYS, key_fields=KEY_FIELDS))

    table = f"{left['staging_table']}_keys"
    assert [job["load"]["sourceUris"] for _, job in jobs][1:] == [[KEYS[0].uri]]
    assert f"acme-analytics.raw_etl.{jobs[1][1]['load']['destinationTable']['tableId']}" == table
    assert warehouse.tables[table] == FIELDS[:1]
    assert load_manifest(landing.read_text(left["manifest"])).keys_table == table


def test_a_source_without_any_row_has_an_empty_table_of_keys(
    run: Any, resource: Resource, warehouse: FakeWarehouse
) -> None:
    jobs, left = run(sanitized(resource, parts=(), key_fields=KEY_FIELDS))

    assert jobs == []
    assert warehouse.tables[f"{left['staging_table']}_keys"] == FIELDS[:1]


def test_keys_that_are_in_bigquery_stay_where_they_are(
    run: Any, resource: Resource, landing: FakeLanding, warehouse: FakeWarehouse
) -> None:
    warehouse.tables["p.d.keys"] = FIELDS[:1]
    jobs, left = run(sanitized(resource, parts=(), key_fields=KEY_FIELDS, keys_table="p.d.keys"))

    assert jobs == []
    assert load_manifest(landing.read_text(left["manifest"])).keys_table == "p.d.keys"


def test_without_parts_an_empty_table_is_staged(
    run: Any, resource: Resource, warehouse: FakeWarehouse
) -> None:
    jobs, left = run(sanitized(resource, parts=()))

    assert jobs == []
    assert warehouse.tables[left["staging_table"]] == FIELDS


def test_rows_that_are_staged_already_are_not_loaded(
    run: Any, resource: Resource, landing: FakeLanding, warehouse: FakeWarehouse
) -> None:
    table = "acme-analytics.raw_etl._staging_x"
    warehouse.tables[table] = FIELDS
    jobs, left = run(sanitized(resource, parts=(), staging_table=table, seals={table: "as extract left it"}))

    assert (jobs, list(warehouse.tables)) == ([], [table])
    assert left["staging_table"] == table
    assert load_manifest(landing.read_text(left["manifest"])).seals == {table: "as extract left it"}


def test_every_table_is_sealed(run: Any, resource: Resource, landing: FakeLanding) -> None:
    _, left = run(sanitized(resource, quarantine=BAD, keys=KEYS, key_fields=KEY_FIELDS))

    done = load_manifest(landing.read_text(left["manifest"]))
    assert len(done.staging_tables) == 3
    assert done.seals == dict.fromkeys(done.staging_tables, f"0 rows, last modified {NOON}")


def test_what_sanitize_left_is_cleaned_up(run: Any, resource: Resource, landing: FakeLanding) -> None:
    del landing.objects[PARTS[1].uri]

    with pytest.raises(AirflowFailException, match=f"{PARTS[1].uri} is gone: clear the run from `extract`"):
        run(sanitized(resource))
