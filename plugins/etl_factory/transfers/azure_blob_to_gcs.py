"""Azure Blob Storage to the landing bucket: the providers' transfer, pinned by etag, streamed, in parallel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.google.cloud.transfers.azure_blob_to_gcs import AzureBlobStorageToGCSOperator

from etl_factory import connections
from etl_factory.config.resource import Resource
from etl_factory.landing.objects import split_uri
from etl_factory.operators.boundary import airflow_errors
from etl_factory.sources._paths import parse_path
from etl_factory.sources.azure_blob import AzureBlobSource
from etl_factory.sources.specs import Files
from etl_factory.transfers.base import extract_files
from etl_factory.transfers.streaming import stream_copy


class AzureBlobsToGCSOperator(AzureBlobStorageToGCSOperator):
    """Copy the new and changed blobs of a path; the parent copies one named blob, through local disk.

    :param resource: the resource whose blobs are copied.
    """

    template_fields = ()
    resource: Resource

    def __init__(self, *, resource: Resource, **kwargs: Any) -> None:
        assert isinstance(resource.spec, Files)
        path = parse_path(resource.spec.path, "az")
        bucket, prefix = split_uri(resource.destination.landing)
        super().__init__(
            wasb_conn_id=resource.conn_id,
            gcp_conn_id=resource.destination.gcp_conn_id,
            blob_name=path.pattern,
            container_name=path.bucket,
            bucket_name=bucket,
            object_name=prefix,
            filename="",
            gzip=False,
            unwrap_single=True,
            impersonation_chain=resource.destination.impersonate,
            **kwargs,
        )
        self.resource = resource

    @airflow_errors
    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:  # type: ignore[override]  # XCom carries counts
        """Copy, write the manifest; return its address and the counts."""
        source = AzureBlobSource(connections.resolve(self.resource.conn_id))
        return extract_files(context, self.resource, source, stream_copy(source))
