"""What one step hands to the next: exact after a round trip, and refused when it is not today's."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from etl_factory.config.resource import Destination, Resource
from etl_factory.errors import StaleError
from etl_factory.landing.manifest import (
    FileTally,
    Manifest,
    Part,
    Plan,
    PlannedObject,
    dumps,
    load_manifest,
    load_plan,
)
from etl_factory.operators.handover import read_manifest, write_manifest
from etl_factory.sources.specs import CatalogTable
from etl_factory.windows import Window

OBJECT = PlannedObject("s3://b/zażółć '`\n\ud800.csv", "etag", 2**53 + 1, "2025-01-01T00:00:00.000001+00:00")
PART = Part("gs://acme-landing/a", 1763_000_000_000_000_001, 9, "md5==", 3, OBJECT)
WINDOWS = [
    None,
    Window("instant", datetime(2025, 1, 1, 0, 0, 0, 1, UTC), datetime(2025, 1, 2, tzinfo=UTC)),
    Window("naive", None, datetime(2025, 1, 1)),
    Window("date", date(2025, 1, 1), date(2025, 1, 2)),
    Window("integer", -(2**63), 2**63),
]
MANIFEST = Manifest(
    step="sanitize",
    attempt="sanitize-1-9f3a01bc",
    spec_digest="0123",
    plan=Plan("ld_1", "live", 2, "2025-01-01", WINDOWS[1], (OBJECT,)),
    snapshot_at="2025-01-02T00:00:00+00:00",
    parts=(PART, replace(PART, rows=None, source=None)),
    rows_read=5,
    rows_staged=4,
    rows_quarantined=1,
    schema="c2NoZW1h",
    fields=({"name": "id", "type": "INT64", "mode": "NULLABLE", "fields": [], "description": ""},),
    ddl=({"op": "relax", "name": "id"},),
    notes=("column ą is new",),
    files=(FileTally(OBJECT.uri, "etag", OBJECT.modified, 9, 4, 1),),
    quarantine=(PART,),
    staging_table="p.d.s",
    quarantine_table="p.d.q",
    extra={"staged": {"id": ["Order No", "INT64"]}},
)


def test_a_manifest_survives_text_exactly() -> None:
    text = dumps(MANIFEST)

    assert load_manifest(text) == MANIFEST
    assert load_manifest(text.encode().decode()) == MANIFEST


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_a_plan_survives_text_exactly(window: Window | None) -> None:
    plan = replace(MANIFEST.plan, window=window, watermark=None)

    assert load_plan(dumps(plan)) == plan


def test_the_smallest_manifest_survives_too() -> None:
    small = Manifest(
        "extract", "extract-1-0", "0", Plan("ld_1", "full_refresh", 0, None), "2025-01-01T00:00:00+00:00"
    )

    assert load_manifest(dumps(small)) == small


def test_one_manifest_is_always_one_text() -> None:
    assert dumps(MANIFEST) == dumps(load_manifest(dumps(MANIFEST)))


def test_its_bytes_are_all_parts() -> None:
    assert MANIFEST.bytes == 18


def test_its_checksum_is_of_the_content_of_its_objects() -> None:
    other = replace(PART, uri="gs://acme-landing/b", generation=1, source=None)

    assert MANIFEST.then(parts=(other, MANIFEST.parts[1]), rows_read=9).checksum == MANIFEST.checksum
    different = (
        MANIFEST.then(parts=MANIFEST.parts[:1]),
        MANIFEST.then(parts=MANIFEST.parts[::-1]),
        MANIFEST.then(parts=(replace(PART, md5="other"), MANIFEST.parts[1])),
        MANIFEST.then(parts=(replace(PART, rows=4), MANIFEST.parts[1])),
        MANIFEST.then(parts=(replace(PART, size=8), MANIFEST.parts[1])),
        MANIFEST.then(quarantine=()),
        MANIFEST.then(keys=(PART,)),
        MANIFEST.then(parts=(*MANIFEST.parts, PART), quarantine=()),
    )
    assert len({MANIFEST.checksum, *(manifest.checksum for manifest in different)}) == 1 + len(different)


def test_without_objects_there_is_no_checksum() -> None:
    assert MANIFEST.then(parts=(), quarantine=()).checksum == ""


def test_a_manifest_that_was_edited_is_refused() -> None:
    document = json.loads(dumps(MANIFEST))
    del document["parts"][1]

    with pytest.raises(StaleError) as raised:
        load_manifest(json.dumps(document))

    assert str(raised.value) == (
        "the manifest of sanitize-1-9f3a01bc lists other objects than its checksum"
        f" {MANIFEST.checksum} is of, so it was changed. Nothing was published; clear the run from `extract`"
    )


def test_then_leaves_the_original_alone() -> None:
    changed = MANIFEST.then(step="load", staging_table="p.d.other")

    assert (changed.step, changed.staging_table, changed.parts) == ("load", "p.d.other", MANIFEST.parts)
    assert MANIFEST.staging_table == "p.d.s"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "JSONDecodeError"),
        ("[]", "TypeError"),
        ("{}", "KeyError"),
        (json.dumps({**json.loads(dumps(MANIFEST)), "from_a_later_version": 1}), "TypeError"),
        (json.dumps({**json.loads(dumps(MANIFEST)), "parts": [{"uri": "gs://b/a"}]}), "KeyError"),
    ],
)
def test_what_is_no_manifest_says_what_to_do(text: str, why: str) -> None:
    with pytest.raises(StaleError) as raised:
        load_manifest(text)

    assert str(raised.value).startswith(
        f"this run's manifest is not one of this version of ETL Factory ({why}: "
    )
    assert str(raised.value).endswith("): clear the run from `extract`")


def test_what_is_no_plan_says_what_to_do() -> None:
    with pytest.raises(StaleError, match="this run's plan is not one of this version of ETL Factory"):
        load_plan('{"window": {"kind": "date"}, "objects": []}')


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


@dataclass
class Texts:
    """A landing bucket that holds texts."""

    held: dict[str, str] = field(default_factory=dict)

    def read_text(self, uri: str) -> str | None:
        return self.held.get(uri)

    def write_text(self, uri: str, text: str) -> bool:
        return self.held.setdefault(uri, text) == text


def context(left: Any) -> dict[str, Any]:
    return {"ti": SimpleNamespace(xcom_pull=lambda task_ids: left if task_ids == "orders.extract" else None)}


def test_a_manifest_is_handed_over_by_its_address() -> None:
    landing: Any = Texts()
    manifest = MANIFEST.then(spec_digest=RESOURCE.spec_digest)

    left = write_manifest(landing, "gs://acme-landing/load", manifest, rows=5)

    assert left == {"manifest": "gs://acme-landing/load/manifest.json", "rows": 5}
    assert read_manifest(context(left), RESOURCE, landing, "extract") == manifest


def test_a_changed_configuration_is_told_with_both_digests() -> None:
    landing: Any = Texts()
    left = write_manifest(landing, "gs://acme-landing/load", MANIFEST)

    with pytest.raises(StaleError) as raised:
        read_manifest(context(left), RESOURCE, landing, "extract")

    assert str(raised.value) == (
        "acme__shop_db.orders: the configuration changed since `extract` ran (0123 is now"
        f" {RESOURCE.spec_digest}): clear the run from `extract`"
    )


@pytest.mark.parametrize(
    ("left", "message"),
    [
        (None, "acme__shop_db.orders: task extract left no manifest: clear the run from `extract`"),
        (
            {"manifest": "gs://acme-landing/gone.json"},
            "acme__shop_db.orders: manifest gs://acme-landing/gone.json is gone: clear the run from `extract`",
        ),
    ],
)
def test_a_manifest_that_is_not_there_says_what_to_do(left: Any, message: str) -> None:
    landing: Any = Texts()

    with pytest.raises(StaleError) as raised:
        read_manifest(context(left), RESOURCE, landing, "extract")

    assert str(raised.value) == message


def test_two_writers_of_one_attempt_are_told() -> None:
    landing: Any = Texts()
    write_manifest(landing, "gs://acme-landing/load", MANIFEST)

    with pytest.raises(StaleError) as raised:
        write_manifest(landing, "gs://acme-landing/load", MANIFEST.then(rows_read=6))

    assert str(raised.value) == (
        "gs://acme-landing/load/manifest.json exists already: another process uses this attempt's name"
    )
