"""What a publish removes: what its load has left, and once a day what is too old; manifests stay to be found."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from etl_factory.config.resource import Resource
from etl_factory.errors import AccessDeniedError, TransientError
from etl_factory.landing.manifest import Manifest
from etl_factory.operators.cleanup import Cleanup
from etl_factory.warehouse.ledger import Head
from examples import Write
from fakes import LOAD_ID, FakeLanding, FakeWarehouse, manifest_of, resource_of

NOW = datetime(2025, 6, 9, 0, 30, tzinfo=UTC)
FOLDER = "gs://acme-landing/acme/shop/orders"
LOAD = f"{FOLDER}/load_id={LOAD_ID}"
URI = f"{LOAD}/load-1-a/manifest.json"
TABLES = ("p.d._staging", "p.d._staging_quarantine", "p.d._staging_keys")
DATA = (
    "extract-1-a/part-00000.parquet",
    "extract-2-b/part-00000.parquet",
    "extract-1-a/raw/00000/prices.csv",
    "extract-1-a/raw/00001/manifest.json",
    "extract-1-a/raw/00002/plan-x.json",
    "sanitize-1-a/part-00000.parquet",
    "sanitize-1-a/quarantine-00000.parquet",
)
KEPT = (
    "plan-0123456789abcdef.json",
    "extract-1-a/manifest.json",
    "sanitize-1-a/manifest.json",
    "load-1-a/manifest.json",
)


@pytest.fixture
def resource(write: Write) -> Resource:
    return resource_of(write, "table: public.orders\nload: catalog")


@pytest.fixture
def landing() -> FakeLanding:
    """Hold one load's objects, all made by noon."""
    return FakeLanding({f"{LOAD}/{name}": b"" for name in (*DATA, *KEPT)})


@pytest.fixture
def warehouse(resource: Resource) -> FakeWarehouse:
    return FakeWarehouse(resource.target, tables=dict.fromkeys((*TABLES, "p.d.other"), ()))


@pytest.fixture
def cleanup(resource: Resource, landing: FakeLanding, warehouse: FakeWarehouse) -> Cleanup:
    return Cleanup(resource, landing, warehouse)  # type: ignore[arg-type]  # fakes


@pytest.fixture
def manifest(resource: Resource) -> Manifest:
    rows, quarantine, keys = TABLES
    return manifest_of(resource, staging_table=rows, quarantine_table=quarantine, keys_table=keys)


def left(landing: FakeLanding) -> set[str]:
    return {uri.removeprefix(f"{LOAD}/") for uri in landing.objects}


# What one load has left


def test_parts_and_copied_files_go_and_manifests_and_plans_stay(
    cleanup: Cleanup, landing: FakeLanding, warehouse: FakeWarehouse, manifest: Manifest
) -> None:
    cleanup.remove_load(manifest, URI)

    assert left(landing) == set(KEPT)
    assert set(warehouse.tables) == {"p.d.other"}


def test_it_may_run_again(cleanup: Cleanup, landing: FakeLanding, manifest: Manifest) -> None:
    cleanup.remove_load(manifest, URI)
    cleanup.remove_load(manifest, URI)

    assert left(landing) == set(KEPT)


def test_other_loads_and_other_resources_stay(
    cleanup: Cleanup, landing: FakeLanding, manifest: Manifest
) -> None:
    others = {
        f"{LOAD}9/extract-1-a/part-00000.parquet",
        f"{FOLDER}/load_id=ld_1/extract-1-a/part-00000.parquet",
        f"{FOLDER}_old/load_id={LOAD_ID}/extract-1-a/part-00000.parquet",
    }
    landing.objects |= dict.fromkeys(others, b"")

    cleanup.remove_load(manifest, URI)

    assert others <= set(landing.objects)


def test_what_a_clearing_writes_meanwhile_stays(
    cleanup: Cleanup, landing: FakeLanding, manifest: Manifest
) -> None:
    landing.made[URI] = NOW
    landing.made[f"{LOAD}/{DATA[0]}"] = NOW
    landing.made[f"{LOAD}/{DATA[1]}"] = NOW + timedelta(milliseconds=1)

    cleanup.remove_load(manifest, URI)

    assert left(landing) == {*KEPT, DATA[1]}


# What is too old


def aged(landing: FakeLanding, **days: float) -> None:
    """Have objects of other loads that are so many days old."""
    for name, age in days.items():
        uri = f"{FOLDER}/load_id={name}/manifest.json"
        landing.objects[uri] = b""
        landing.made[uri] = NOW - timedelta(days=age)


@pytest.mark.parametrize("published_at", [None, NOW - timedelta(minutes=31), NOW - timedelta(days=30)])
def test_the_first_publish_of_a_day_removes_what_is_older_than_a_week(
    cleanup: Cleanup, landing: FakeLanding, published_at: datetime | None
) -> None:
    landing.made |= dict.fromkeys(landing.objects, NOW)
    aged(landing, ld_old=7.001, ld_young=6.999)
    elsewhere = f"{FOLDER}_old/load_id=ld_old/manifest.json"
    landing.objects[elsewhere], landing.made[elsewhere] = b"", NOW - timedelta(days=99)

    cleanup.sweep(Head(version=1, published_at=published_at), NOW)

    others = {uri for uri in landing.objects if not uri.startswith(LOAD)}
    assert others == {f"{FOLDER}/load_id=ld_young/manifest.json", elsewhere}
    assert left(landing) > {*DATA, *KEPT}


@pytest.mark.parametrize("minutes", [0, 29])
def test_a_later_publish_of_the_day_leaves_it_alone(
    cleanup: Cleanup, landing: FakeLanding, minutes: int
) -> None:
    aged(landing, ld_old=30)
    before = dict(landing.objects)

    cleanup.sweep(Head(version=1, published_at=NOW - timedelta(minutes=minutes)), NOW)

    assert landing.objects == before


# What is refused


def test_what_cannot_be_removed_is_told_and_the_rest_is_removed(
    cleanup: Cleanup, landing: FakeLanding, warehouse: FakeWarehouse, manifest: Manifest, caplog: Any
) -> None:
    def denied(table_id: str) -> None:
        raise AccessDeniedError("grant bigquery.tables.delete")

    warehouse.drop = denied  # type: ignore[method-assign]  # this fake's own answer
    with caplog.at_level(logging.WARNING):
        cleanup.remove_load(manifest, URI)

    (message,) = caplog.messages
    assert message == (
        f"acme__shop.orders: published, but staging tables {', '.join(TABLES)} could not be removed: grant"
        " bigquery.tables.delete. What is left of them expires 7 days after the load"
    )
    assert left(landing) == set(KEPT)


def test_a_bucket_that_does_not_answer_is_not_asked_for_every_object(
    cleanup: Cleanup, landing: FakeLanding, manifest: Manifest, caplog: Any
) -> None:
    asked: list[str] = []

    def busy(uri: str) -> None:
        asked.append(uri)
        time.sleep(0.01)
        raise TransientError("no answer")

    landing.objects |= {f"{LOAD}/extract-1-a/part-{n:05d}.parquet": b"" for n in range(1000)}
    landing.delete = busy  # type: ignore[method-assign]  # as above
    with caplog.at_level(logging.WARNING):
        cleanup.remove_load(manifest, URI)

    assert len(asked) < 100
    assert caplog.messages == [
        f"acme__shop.orders: published, but objects under {LOAD}/ could not be removed: no answer. What is left of"
        " them is removed by the first publish of a day once it is 7 days old"
    ]


def test_a_bucket_that_cannot_be_listed_fails_nothing(
    cleanup: Cleanup, landing: FakeLanding, manifest: Manifest, caplog: Any
) -> None:
    def denied(prefix: str) -> Iterator[Any]:
        raise AccessDeniedError("grant storage.objects.list")
        yield

    landing.ages = denied  # type: ignore[method-assign]  # as above
    with caplog.at_level(logging.WARNING):
        cleanup.remove_load(manifest, URI)
        cleanup.sweep(Head(), NOW)

    assert [message.count("grant storage.objects.list") for message in caplog.messages] == [1, 1]


def test_a_bug_is_not_hidden(cleanup: Cleanup, landing: FakeLanding, manifest: Manifest) -> None:
    landing.delete = lambda uri: 1 / 0  # type: ignore[method-assign,assign]  # as above

    with pytest.raises(ZeroDivisionError):
        cleanup.remove_load(manifest, URI)
