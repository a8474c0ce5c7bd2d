"""Gives the tests of the SQL a resource of their own on the local BigQuery."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from shop import Shop

from etl_factory.warehouse.client import Warehouse
from etl_factory.warehouse.target import Destination, Target


@pytest.fixture
def shop(stack: dict[str, str]) -> Iterator[Shop]:
    """Make a resource in datasets of its own."""
    client = bigquery.Client("acme-analytics", AnonymousCredentials())
    dataset = f"unit_{uuid.uuid4().hex[:8]}"
    destination = Destination("acme-analytics", "EU", dataset, "gs://acme-landing")
    yield Shop(Warehouse(client, Target("acme", "shop_db", "orders", "orders", destination)))
    for name in (dataset, f"{dataset}_etl"):
        client.delete_dataset(name, delete_contents=True, not_found_ok=True)
