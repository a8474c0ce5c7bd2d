"""Where a resource is read from and goes to, as its tenant says."""

from __future__ import annotations

import pytest

from etl_factory.config.loading import load
from etl_factory.config.resource import Resource, resources
from etl_factory.sources.specs import BadRows
from examples import SOURCE, TENANT, Write

GCS = """\
source: web_events
type: gcs
resources:
  events:
    path: gs://events/*.jsonl
    format: jsonl
    load: transactional
    target_table: Events
"""


def made(write: Write, name: str, source: str, tenant: str = "") -> Resource:
    """Load one file and return its resource."""
    root = write({"acme/tenant.yaml": TENANT + tenant, f"acme/{name}.yaml": source})
    file = load(root).sources[0]
    return resources(file.tenant, file.spec, "google_default")[0]


def test_a_database_is_read_through_the_tenants_connection(write: Write) -> None:
    resource = made(write, "shop_db", SOURCE)

    assert resource.conn_id == "acme__shop_db"
    assert resource.table_id == "acme-analytics.raw.shop_db__orders"
    assert resource.target.landing_prefix("ld") == "gs://acme-landing/acme/shop_db/orders/load_id=ld"


def test_google_sources_are_read_as_the_tenant_itself(write: Write) -> None:
    resource = made(write, "web_events", GCS)

    assert resource.conn_id == "google_default"
    assert resource.table_id == "acme-analytics.raw.Events"
    assert made(write, "web_events", GCS + "connection: events\n").conn_id == "acme__events"


def test_identity_and_cost_limit_reach_the_destination(write: Write) -> None:
    to = made(
        write,
        "shop_db",
        SOURCE,
        "impersonate: etl@acme-analytics.iam.gserviceaccount.com\nlimits: {maximum_bytes_billed: 2TiB}\n",
    ).destination

    assert to.impersonate == "etl@acme-analytics.iam.gserviceaccount.com"
    assert to.maximum_bytes_billed == 2 * 2**40
    assert (to.gcp_conn_id, to.location, to.etl_dataset) == ("google_default", "EU", "raw_etl")


INCREMENTAL = SOURCE.replace("load: catalog", "load: transactional\n    cursor: updated_at")


@pytest.mark.parametrize(
    "line", ["target_table: others", "cursor_timezone: Europe/Warsaw", "columns: {mask: {email: sha256}}"]
)
def test_a_watermark_is_of_one_clock_one_published_table_and_its_masks(write: Write, line: str) -> None:
    before, after = (made(write, "shop_db", text) for text in (INCREMENTAL, f"{INCREMENTAL}    {line}\n"))

    assert before.cursor_digest != after.cursor_digest


@pytest.mark.parametrize(("bad", "read", "allowed"), [(29, 100, True), (30, 100, False), (0, 0, True)])
def test_a_ratio_of_bad_rows_is_the_decimal_that_is_written(bad: int, read: int, allowed: bool) -> None:
    assert BadRows.model_validate("29%").allows(bad, read) is allowed
