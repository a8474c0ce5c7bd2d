"""A task reads what the one before it left, or says to clear the run from extract."""

from __future__ import annotations

from dataclasses import replace

import pytest

from etl_factory.config.resource import Resource
from etl_factory.errors import StaleError
from etl_factory.landing.manifest import dumps
from etl_factory.operators.handover import read_manifest, write_manifest
from examples import Write
from fakes import FakeLanding, context_of, manifest_of, resource_of

URI = "gs://acme-landing/extract-1/manifest.json"
FROM_EXTRACT = "clear the run from `extract`"


@pytest.fixture
def resource(write: Write) -> Resource:
    return resource_of(write, "table: public.orders\nload: catalog")


def test_what_is_written_is_read(resource: Resource) -> None:
    landing, manifest = FakeLanding(), manifest_of(resource, rows_read=7, notes=("a note",))
    left = write_manifest(landing, "gs://acme-landing/extract-1", manifest, rows=7)

    assert left == {"manifest": URI, "rows": 7}
    assert read_manifest(context_of(left), resource, landing, "extract") == manifest


def test_the_sibling_of_the_same_resource_is_asked(resource: Resource) -> None:
    landing, asked = FakeLanding(), []
    left = write_manifest(landing, "gs://acme-landing/extract-1", manifest_of(resource))
    context = context_of(left)
    context["ti"].xcom_pull = lambda task_ids: asked.append(task_ids) or left

    read_manifest(context, resource, landing, "extract")

    assert asked == ["orders.extract"]


def test_another_configuration(resource: Resource, write: Write) -> None:
    landing = FakeLanding({URI: dumps(manifest_of(resource)).encode()})
    other = resource_of(write, "table: public.orders\nload: catalog\nprimary_key: [id]")

    with pytest.raises(StaleError) as refused:
        read_manifest(context_of({"manifest": URI}), other, landing, "extract")

    message = str(refused.value)
    assert "acme__shop.orders: the configuration changed since `extract` ran" in message
    assert f"{resource.spec_digest} is now {other.spec_digest}" in message
    assert message.endswith(FROM_EXTRACT)


def test_settings_of_the_task_are_no_other_configuration(resource: Resource, write: Write) -> None:
    landing = FakeLanding({URI: dumps(manifest_of(resource)).encode()})
    other = resource_of(write, "table: public.orders\nload: catalog\nretries: 7\ndescription: Orders")

    assert read_manifest(context_of({"manifest": URI}), other, landing, "extract") == manifest_of(resource)


@pytest.mark.parametrize(
    ("left", "says"),
    [(None, "task extract left no manifest"), ({"manifest": URI}, f"manifest {URI} is gone")],
)
def test_nothing_left(resource: Resource, left: dict[str, str] | None, says: str) -> None:
    with pytest.raises(StaleError, match=f"acme__shop.orders: {says}: {FROM_EXTRACT}"):
        read_manifest(context_of(left), resource, FakeLanding(), "extract")


def test_a_manifest_of_another_version(resource: Resource) -> None:
    with pytest.raises(StaleError, match=FROM_EXTRACT):
        read_manifest(context_of({"manifest": URI}), resource, FakeLanding({URI: b"{}"}), "extract")


def test_a_manifest_is_never_overwritten(resource: Resource) -> None:
    landing, manifest = FakeLanding(), manifest_of(resource)
    write_manifest(landing, "gs://acme-landing/extract-1", manifest)

    with pytest.raises(StaleError, match=f"{URI} exists already"):
        write_manifest(landing, "gs://acme-landing/extract-1", replace(manifest, rows_read=1))
    assert landing.objects[URI] == dumps(manifest).encode()
