"""Google Cloud Storage to the landing bucket: server-side copies, pinned by generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.google.cloud.transfers.gcs_to_gcs import GCSToGCSOperator

from etl_factory.config.resource import Resource
from etl_factory.errors import EtlFactoryError, NotFoundError, StaleError, TransientError
from etl_factory.landing.manifest import Part
from etl_factory.landing.objects import Landing, landing_errors, part_of, split_uri
from etl_factory.landing.patience import patience
from etl_factory.operators import google
from etl_factory.operators.boundary import airflow_errors
from etl_factory.sources._paths import parse_path
from etl_factory.sources._stores import stale
from etl_factory.sources.base import Connection, SourceObject
from etl_factory.sources.gcs import GCSSource
from etl_factory.sources.specs import Files
from etl_factory.transfers.base import extract_files
from etl_factory.transfers.streaming import Copy, taken


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
        return extract_files(context, self.resource, source, rewrite_copy(source))


def rewrite_copy(source: GCSSource) -> Copy:
    """Return a copy that Cloud Storage does by itself, of exactly the listed generation.

    It raises StaleError when that generation is gone, and TransientError when the copy's checksum differs.
    """

    def copy(source_object: SourceObject, uri: str, landing: Landing) -> Part:
        original, target = source.blob(source_object), landing.blob(uri)
        with source.errors(source_object.uri, is_object=True):
            original.reload(**patience())
        # Metadata of our own, or the source's would come along, and with `gzip` encoding other bytes be read.
        target.content_type = "application/octet-stream"
        try:
            _rewrite(original, target, uri)
        except (StaleError, NotFoundError) as error:
            if not _settled(original, target, uri, source_object):
                raise _cause(source, source_object, error) from error
        if target.crc32c != original.crc32c:
            raise TransientError(f"{source_object.uri}: its copy {uri} does not have its checksum")
        return part_of(uri, target)

    return copy


def _rewrite(original: Any, target: Any, uri: str) -> None:
    """Copy by as many requests as it takes; large objects between locations take several."""
    token = None
    with landing_errors(uri):
        while True:
            token, _, _ = target.rewrite(
                original,
                token=token,
                if_generation_match=0,
                if_source_generation_match=original.generation,
                **patience(),
            )
            if token is None:
                return


def _settled(original: Any, target: Any, uri: str, source_object: SourceObject) -> bool:
    """Tell whether the object is there already: our own write, whose answer was lost and which was repeated."""
    with landing_errors(uri):
        if not target.exists(**patience()):
            return False
        target.reload(**patience())
    if target.crc32c != original.crc32c:
        raise taken(source_object, uri)
    return True


def _cause(source: GCSSource, source_object: SourceObject, error: EtlFactoryError) -> EtlFactoryError:
    """Return what was refused: the source's generation when it is gone, else what the landing bucket said."""
    with source.errors(source_object.uri):
        return error if source.blob(source_object).exists(**patience()) else stale(source_object.uri)
