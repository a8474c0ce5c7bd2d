"""The tenant's Google clients, built by the providers' hooks from its connection and identity."""

from __future__ import annotations

from etl_factory.config.resource import Resource
from etl_factory.landing.objects import Landing
from etl_factory.warehouse.client import Warehouse


def landing(resource: Resource) -> Landing:
    """Return the resource's landing bucket."""
    from airflow.providers.google.cloud.hooks.gcs import GCSHook  # noqa: PLC0415 - heavy

    to = resource.destination
    return Landing(GCSHook(gcp_conn_id=to.gcp_conn_id, impersonation_chain=to.impersonate).get_conn())


def warehouse(resource: Resource) -> Warehouse:
    """Return the resource's warehouse; jobs run in the tenant's project and location."""
    from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook  # noqa: PLC0415 - heavy

    to = resource.destination
    hook = BigQueryHook(
        gcp_conn_id=to.gcp_conn_id,
        location=to.location,
        impersonation_chain=to.impersonate,
        use_legacy_sql=False,
    )
    return Warehouse(hook.get_client(project_id=to.project, location=to.location), resource.target)
