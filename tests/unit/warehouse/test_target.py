"""Where one resource's rows go: ids, folders and labels."""

from __future__ import annotations

import re

from etl_factory.warehouse.target import Destination, Target

TARGET = Target(
    "acme",
    "shop_db",
    "orders",
    "orders",
    Destination("acme-analytics", "EU", "raw", "gs://acme-landing/etl/"),
)


def test_every_id_derives_from_the_target() -> None:
    assert TARGET.table_id == "acme-analytics.raw.orders"
    assert TARGET.ledger_id == "acme-analytics.raw_etl._loads__shop_db__orders"
    assert TARGET.quarantine_id == "acme-analytics.raw_etl._quarantine__shop_db__orders"
    assert TARGET.staging_id("ld_1", "sanitize-1-9f3a01bc") == (
        "acme-analytics.raw_etl._staging__shop_db__orders__ld_1_sanitize_1_9f3a01bc"
    )
    assert TARGET.landing_prefix("ld_1") == "gs://acme-landing/etl/acme/shop_db/orders/load_id=ld_1"


def test_labels_are_what_bigquery_takes() -> None:
    long = Target("a" * 80, "b" * 80, "c_1", "t", TARGET.destination)

    assert all(re.fullmatch(r"[a-z0-9_-]{1,63}", value) for value in long.labels.values())
    assert TARGET.labels == {"etl_tenant": "acme", "etl_source": "shop_db", "etl_resource": "orders"}
