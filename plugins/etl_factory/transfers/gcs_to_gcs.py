"""Google Cloud Storage to the landing bucket: server-side copies, pinned by generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.google.cloud.transfers.gcs_to_gcs import GCSToGCSOperator

from etl_factory.config.resource import Resource
from etl_factory.errors import StaleError
from etl_factory.landing.objects import Landing, split_uri
from etl_factory.operators import google
from etl_factory.operators.boundary import airflow_errors
from etl_factory.sources._paths import parse_path
from etl_factory.sources.base import Connection, SourceObject
from etl_factory.sources.gcs import GCSSource
from etl_factory.sources.specs import Files
from etl_factory.transfers.base import extract_files


class GCSObjectsToGCSOperator(GCSToGCSOperator):
    """Copy the new and changed objects of a path; no byte passes through the worker.

    :param resource: the resource whose objects are copied.
    """

    template_fields = ()
    resource: Resource

    def __init__(self, *, resource: Resource, **kwargs: Any) -> None:
        assert isinstance(resource.spec, Files)
        path = parse_path(resource.spec.path, "gs")
        super().__init__(
            source_bucket=path.bucket,
            source_objects=[path.prefix],
            destination_bucket=split_uri(resource.destination.landing)[0],
            gcp_conn_id=resource.conn_id,
            impersonation_chain=resource.destination.impersonate,
            **kwargs,
        )
        self.resource = resource

    @airflow_errors
    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Copy, write the manifest; return its address and the counts."""
        client = google.storage_client(self.resource, self.resource.conn_id)
        source = GCSSource(Connection(self.resource.conn_id), client)
        return extract_files(context, self.resource, source, rewrite_copy(client))


def rewrite_copy(client: Any) -> Any:
    """Return a copy that GCS does by itself, of exactly the listed generation."""

    def copy(source_object: SourceObject, uri: str, landing: Landing) -> None:
        from google.api_core.exceptions import NotFound, PreconditionFailed

        bucket, name = split_uri(source_object.uri)
        generation = int(source_object.version)
        source = client.bucket(bucket).blob(name, generation=generation)
        token = None
        try:
            while True:
                token, _, _ = landing.blob(uri).rewrite(
                    source, token=token, if_generation_match=0, if_source_generation_match=generation
                )
                if token is None:
                    return
        except (NotFound, PreconditionFailed) as error:
            raise StaleError(f"{source_object.uri} has changed since it was listed") from error

    return copy
