"""Which of four places a setting comes from: resource, source, tenant, built-in."""

from __future__ import annotations

from datetime import timedelta

import pytest

from etl_factory.config.loading import load
from etl_factory.config.resource import resources
from etl_factory.sources.specs import ResourceSpec, SourceSpec
from examples import SOURCE, TENANT, Write

BUILT_IN, FROM_TENANT, FROM_SOURCE, FROM_RESOURCE = 3, 4, 5, 6


def first(
    write: Write, tenant: str = "", source: str = "", resource: str = ""
) -> tuple[SourceSpec, ResourceSpec]:
    """Load one source with additions to its three levels."""
    root = write({"acme/tenant.yaml": TENANT + tenant, "acme/shop_db.yaml": SOURCE + resource + source})
    catalogue = load(root)
    assert catalogue.errors == ()
    spec = catalogue.sources[0].spec
    return spec, spec.resources["orders"]


@pytest.mark.parametrize(
    ("tenant", "source", "resource", "expected"),
    [
        ("", "", "", BUILT_IN),
        ("defaults: {retries: 4}\n", "", "", FROM_TENANT),
        ("defaults: {retries: 4}\n", "defaults: {retries: 5}\n", "", FROM_SOURCE),
        ("defaults: {retries: 4}\n", "defaults: {retries: 5}\n", "    retries: 6\n", FROM_RESOURCE),
        ("defaults: {retries: 4}\n", "defaults: {retries: ~}\n", "    retries: ~\n", FROM_TENANT),
        ("", "", "    retries: 0\n", 0),
    ],
)
def test_the_nearest_wins(write: Write, tenant: str, source: str, resource: str, expected: int) -> None:
    assert first(write, tenant, source, resource)[1].retries == expected


def test_built_in_values(write: Write) -> None:
    spec, resource = first(write)

    assert (spec.owner, spec.schedule) == ("etl-factory", "none")
    assert resource.retry_delay == timedelta(minutes=1)
    assert resource.execution_timeout == timedelta(hours=6)
    assert resource.max_bad_rows.rows == 0


def test_tenant_gives_schedule_and_owner(write: Write) -> None:
    tenant = "defaults: {schedule: daily, owner: data}\n"

    assert first(write, tenant)[0].schedule == "0 0 * * *"
    assert first(write, tenant)[0].owner == "data"
    assert first(write, tenant, "schedule: none\nowner: shop\n")[0].schedule == "none"
    assert first(write, tenant, "schedule: none\nowner: shop\n")[0].owner == "shop"


def test_a_contract_merges_by_part(write: Write) -> None:
    _, resource = first(
        write,
        "defaults: {schema_contract: {types: freeze, columns: discard_value}}\n",
        "defaults: {schema_contract: {columns: freeze}}\n",
        "    schema_contract: {tables: freeze}\n",
    )

    assert resource.schema_contract.model_dump() == {
        "tables": "freeze",
        "columns": "freeze",
        "types": "freeze",
    }


def test_a_default_reaches_only_what_knows_it(write: Write) -> None:
    _, resource = first(write, "defaults: {lag: 1h, max_shrink: 10%, max_bad_rows: 5}\n")

    assert not hasattr(resource, "lag")
    assert resource.model_dump()["max_shrink"] == 0.1
    assert resource.max_bad_rows.rows == 5


def test_the_brake_on_deletes_may_be_said_once(write: Write) -> None:
    keyed = "    primary_key: [id]\n    deletes: mark\n    cursor: seen\n"
    root = write(
        {
            "acme/tenant.yaml": TENANT + "defaults: {max_deletes: 3%}\n",
            "acme/shop_db.yaml": SOURCE.replace("load: catalog", "load: transactional") + keyed,
        }
    )

    (source,) = load(root).sources
    assert source.spec.resources["orders"].model_dump()["max_deletes"] == 0.03


def test_task_settings_are_no_part_of_the_digest(write: Write) -> None:
    def digest(resource: str) -> str:
        root = write({"acme/tenant.yaml": TENANT, "acme/shop_db.yaml": SOURCE + resource})
        file = load(root).sources[0]
        return resources(file.tenant, file.spec)[0].spec_digest

    assert digest("") == digest("    retries: 9\n    description: other\n")
    assert digest("") != digest("    cluster_by: [id]\n")
