"""Amazon S3 to the landing bucket: the providers' transfer, pinned by etag, streamed, several at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.google.cloud.transfers.s3_to_gcs import S3ToGCSOperator

from etl_factory import connections
from etl_factory.config.resource import Resource
from etl_factory.operators.boundary import airflow_errors
from etl_factory.sources._paths import parse_path
from etl_factory.sources.s3 import S3Source
from etl_factory.sources.specs import Files
from etl_factory.transfers.base import extract_files
from etl_factory.transfers.streaming import stream_copy


class S3ObjectsToGCSOperator(S3ToGCSOperator):
    """Copy the new and changed objects of a path.

    The parent goes by name alone, so it never copies a changed object again, and through local disk.

    :param resource: the resource whose objects are copied.
    """

    template_fields = ()
    resource: Resource

    def __init__(self, *, resource: Resource, **kwargs: Any) -> None:
        assert isinstance(resource.spec, Files)
        path = parse_path(resource.spec.path, "s3")
        super().__init__(
            bucket=path.bucket,
            prefix=path.prefix,
            aws_conn_id=resource.conn_id,
            gcp_conn_id=resource.destination.gcp_conn_id,
            dest_gcs=f"{resource.destination.landing.rstrip('/')}/",
            return_gcs_uris=True,
            google_impersonation_chain=resource.destination.impersonate,
            **kwargs,
        )
        self.resource = resource

    @airflow_errors
    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:  # type: ignore[override]  # XCom carries counts
        """Copy, write the manifest; return its address and the counts."""
        source = S3Source(connections.resolve(self.resource.conn_id))
        return extract_files(context, self.resource, source, stream_copy(source))
