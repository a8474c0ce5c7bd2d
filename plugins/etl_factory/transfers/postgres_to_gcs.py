"""PostgreSQL to the landing bucket: the providers' transfer, with an exact and streaming reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.google.cloud.transfers.postgres_to_gcs import PostgresToGCSOperator

from etl_factory import connections
from etl_factory.config.resource import Resource
from etl_factory.operators.boundary import airflow_errors
from etl_factory.sources.postgres import PostgresSource
from etl_factory.transfers.base import extract_table


class PostgresToGCSPartsOperator(PostgresToGCSOperator):
    """Read one window of a table into Parquet parts.

    The parent fetches row by row and damages types (see docs/guarantees.md); only its place in Airflow is kept.

    :param resource: the resource that is read.
    """

    template_fields = ()

    def __init__(self, *, resource: Resource, **kwargs: Any) -> None:
        super().__init__(  # type: ignore[no-untyped-call]  # the parent's, not annotated
            sql="",
            bucket=resource.destination.landing,
            filename="",
            export_format="parquet",
            postgres_conn_id=resource.conn_id,
            gcp_conn_id=resource.destination.gcp_conn_id,
            impersonation_chain=resource.destination.impersonate,
            **kwargs,
        )
        self.resource = resource

    @airflow_errors
    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Read, write the parts and the manifest; return the manifest's address and the counts."""
        return extract_table(
            context, self.resource, PostgresSource(connections.resolve(self.resource.conn_id))
        )
