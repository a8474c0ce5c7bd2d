"""The providers' BigQuery hook, mended: its client waits for no answer for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook

from etl_factory.warehouse.patience import bounded

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

    from etl_factory.config.resource import Resource


class PatientBigQueryHook(BigQueryHook):
    """A hook whose every client gives up a server that is silent."""

    def get_client(self, *arguments: Any, **named: Any) -> Client:
        """Return a BigQuery client."""
        return bounded(super().get_client(*arguments, **named))


def bigquery_hook(resource: Resource, conn_id: str) -> PatientBigQueryHook:
    """Return a hook of one connection, as the tenant's identity, in its location."""
    to = resource.destination
    return PatientBigQueryHook(
        gcp_conn_id=conn_id, location=to.location, impersonation_chain=to.impersonate, use_legacy_sql=False
    )
