"""The publish task: it publishes and cleans up, or it says where a sample is and touches nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from etl_factory.config.resource import Resource
from etl_factory.landing.manifest import Manifest, dumps
from etl_factory.operators import google
from etl_factory.operators.publish import PublishOperator
from etl_factory.schema.types import Field
from etl_factory.warehouse.sql import METADATA
from examples import Write
from fakes import LOAD_ID, NOON, FakeLanding, FakeWarehouse, context_of, manifest_of, resource_of

FIELDS = (Field("id", "INT64"),)
STAGING = "acme-analytics.raw_etl._staging__x"
FOLDER = "gs://acme-landing/acme/shop/orders/load_id="
LOAD = f"{FOLDER}{LOAD_ID}"
URI, PART = f"{LOAD}/load-1-a/manifest.json", f"{LOAD}/sanitize-1-a/part-00000.parquet"
OLD = f"{FOLDER}ld_old/extract-1-a/part-00000.parquet"
ROW = {
    "load_id": LOAD_ID, "attempt": "sanitize-1-a", "mode": "live", "rows_read": 3, "rows_staged": 3, "inserted": 3,
    "updated": 0, "unchanged": 0, "superseded": 0, "deleted": 0, "restored": 0, "quarantined": 0,
}  # fmt: skip
SEALED = f"0 rows, last modified {NOON}"
Run = Callable[[Manifest], dict[str, Any]]


@pytest.fixture
def resource(write: Write) -> Resource:
    return resource_of(write, "table: public.orders\nload: catalog")


@pytest.fixture
def landing() -> FakeLanding:
    """Hold this load's part, and another load's that is too old."""
    ancient = datetime.now(UTC) - timedelta(days=8)
    return FakeLanding({PART: b"", OLD: b""}, made={OLD: ancient})


@pytest.fixture
def warehouse(resource: Resource) -> FakeWarehouse:
    """Commit whatever is published."""
    metadata = tuple(Field(name, "STRING") for name in METADATA)
    made = FakeWarehouse(resource.target, tables={STAGING: FIELDS, resource.table_id: FIELDS + metadata})
    made.publish = lambda job_id, parameters: made.loads.append(ROW)
    return made


@pytest.fixture
def run(
    resource: Resource, landing: FakeLanding, warehouse: FakeWarehouse, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Return a function that executes the task on what load left."""
    monkeypatch.setattr(google, "landing", lambda of: landing)
    monkeypatch.setattr(google, "warehouse", lambda of: warehouse)

    def execute(manifest: Manifest) -> dict[str, Any]:
        landing.objects[URI] = dumps(manifest).encode()
        left: dict[str, Any] = PublishOperator(task_id="publish", resource=resource).execute(
            context_of({"manifest": URI})
        )
        return left

    return execute


@pytest.fixture
def manifest(resource: Resource) -> Manifest:
    return manifest_of(
        resource, step="load", attempt="sanitize-1-a", staging_table=STAGING, seals={STAGING: SEALED}, rows_read=3,
        rows_staged=3, fields=tuple(field.to_json() for field in FIELDS),
    )  # fmt: skip


def test_what_is_published_is_cleaned_up(
    run: Run, landing: FakeLanding, warehouse: FakeWarehouse, manifest: Manifest
) -> None:
    landing.made |= {PART: datetime.now(UTC), URI: datetime.now(UTC)}

    assert (run(manifest)["outcome"], len(warehouse.jobs)) == ("published", 1)
    assert set(landing.objects) == {URI}
    assert STAGING not in warehouse.tables


def test_what_is_committed_already_is_cleaned_up_again(
    run: Run, landing: FakeLanding, warehouse: FakeWarehouse, manifest: Manifest
) -> None:
    """A publish that was killed while it cleaned up: its staging table is gone, some of its objects are not."""
    warehouse.loads.append(ROW)
    del warehouse.tables[STAGING]

    assert (run(manifest)["outcome"], warehouse.jobs) == ("published", [])
    assert PART not in landing.objects


def test_what_is_superseded_is_cleaned_up(
    run: Run, landing: FakeLanding, warehouse: FakeWarehouse, manifest: Manifest
) -> None:
    later = datetime.fromisoformat(NOON) + timedelta(days=1)
    warehouse.heads.append({"version": 1, "epoch": 0, "snapshot_at": later, "published_at": later})

    assert (run(manifest)["outcome"], warehouse.jobs) == ("superseded", [])
    assert PART not in landing.objects
    assert STAGING not in warehouse.tables


def test_what_failed_stays_to_be_looked_at(
    run: Run, landing: FakeLanding, warehouse: FakeWarehouse, manifest: Manifest
) -> None:
    with pytest.raises(AirflowFailException, match=f"staging table {STAGING} was changed after it had been"):
        run(replace(manifest, seals={STAGING: "3 rows, last modified before"}))

    assert warehouse.jobs == []
    assert {PART, OLD, URI} == set(landing.objects)
    assert STAGING in warehouse.tables


def test_another_try_that_came_first_and_cleaned_up_is_believed(
    run: Run, warehouse: FakeWarehouse, manifest: Manifest
) -> None:
    """It commits and removes the staging table between this one's look at the ledger and at the table."""

    def gone(table_id: str) -> None:
        warehouse.loads.append(ROW)

    warehouse.table = gone  # type: ignore[method-assign]  # this fake's own answer

    report = run(manifest)

    assert (report["outcome"], report["inserted"], warehouse.jobs) == ("published", 3, [])


def test_a_sample_is_never_published(
    run: Run, landing: FakeLanding, warehouse: FakeWarehouse, manifest: Manifest
) -> None:
    plan = replace(manifest.plan, row_limit=3)
    with pytest.raises(AirflowSkipException) as skipped:
        run(replace(manifest, plan=plan, quarantine_table=f"{STAGING}_quarantine", rows_quarantined=1))

    assert str(skipped.value) == (
        f"acme__shop.orders: this run has a row_limit of 3, so nothing was published. 3 rows are in {STAGING} and 1 bad"
        f" rows in {STAGING}_quarantine, for 7 days"
    )
    assert (warehouse.statements, warehouse.jobs) == ([], [])
    assert STAGING in warehouse.tables
    assert {PART, OLD} < set(landing.objects)
