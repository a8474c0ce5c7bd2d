"""The tenant's Google clients, built by the providers' hooks from its connection and identity."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from etl_factory.config.resource import Resource
from etl_factory.errors import AccessDeniedError
from etl_factory.landing.objects import Landing
from etl_factory.sources._stores import keep_connections
from etl_factory.warehouse.client import Warehouse

if TYPE_CHECKING:
    from google.cloud import bigquery, storage


def storage_client(resource: Resource, conn_id: str) -> storage.Client:
    """Return a Cloud Storage client of one connection, as the tenant's identity."""
    from airflow.providers.google.cloud.hooks.gcs import GCSHook

    with _credentials(conn_id):
        client = GCSHook(gcp_conn_id=conn_id, impersonation_chain=resource.destination.impersonate).get_conn()
    keep_connections(client._http)
    return client


def bigquery_client(resource: Resource, conn_id: str) -> bigquery.Client:
    """Return a BigQuery client of one connection; jobs run in the tenant's project and location."""
    from etl_factory.operators.hooks import bigquery_hook

    to = resource.destination
    with _credentials(conn_id):
        return bigquery_hook(resource, conn_id).get_client(project_id=to.project, location=to.location)


@contextmanager
def _credentials(conn_id: str) -> Iterator[None]:
    from google.auth.exceptions import DefaultCredentialsError

    try:
        yield
    except DefaultCredentialsError as error:
        raise AccessDeniedError(
            f"connection {conn_id} has no Google credentials, and this machine has none of its own: {error}"
        ) from error


def landing(resource: Resource) -> Landing:
    """Return the resource's landing bucket."""
    return Landing(storage_client(resource, resource.destination.gcp_conn_id))


def warehouse(resource: Resource) -> Warehouse:
    """Return the resource's warehouse."""
    return Warehouse(bigquery_client(resource, resource.destination.gcp_conn_id), resource.target)
