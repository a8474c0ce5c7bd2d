"""Objects in Google Cloud Storage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from etl_factory.errors import AccessDeniedError, NotFoundError, StaleError, TransientError
from etl_factory.sources._paths import check_paths, parse_path
from etl_factory.sources.base import Connection, FileSource, Found, SourceObject
from etl_factory.sources.specs import FileResource, GoogleSpec, Name


class GCSSpec(GoogleSpec):
    """Objects in a GCS bucket."""

    type: Literal["gcs"]
    resources: Annotated[dict[Name, FileResource], Field(min_length=1)]

    @field_validator("resources")
    @classmethod
    def _paths(cls, resources: dict[str, Any]) -> dict[str, Any]:
        return check_paths(resources, "gs")


class GCSSource(FileSource):
    """A GCS bucket, through a client that the caller builds from the Google identity."""

    type: ClassVar[str] = "gcs"
    title: ClassVar[str] = "Google Cloud Storage"
    transfer: ClassVar[str] = "etl_factory.transfers.gcs_to_gcs:GCSObjectsToGCSOperator"
    conn_types: ClassVar[tuple[str, ...]] = ("google_cloud_platform",)
    spec = GCSSpec

    def __init__(self, connection: Connection, client: Any) -> None:
        super().__init__(connection)
        self.client = client

    def check(self) -> str:
        """Return the project that the client works in."""
        return f"Google Cloud Storage as project {self.client.project}"

    def discover(self) -> Iterator[Found]:
        """List the project's buckets."""
        with self._errors("the project"):
            for bucket in self.client.list_buckets():
                yield Found(f"gs://{bucket.name}/")

    def objects(self, path: str) -> Iterator[SourceObject]:
        """List matching objects with their generations, sorted by uri."""
        to = parse_path(path, "gs")
        with self._errors(f"bucket gs://{to.bucket}"):
            found = [
                blob for blob in self.client.list_blobs(to.bucket, prefix=to.prefix) if to.matches(blob.name)
            ]
        for blob in sorted(found, key=lambda item: item.name):
            yield SourceObject(to.uri(blob.name), str(blob.generation), int(blob.size), blob.updated)

    def open(self, source_object: SourceObject) -> IO[bytes]:
        """Stream one generation of an object."""
        to = parse_path(source_object.uri, "gs")
        blob = self.client.bucket(to.bucket).blob(to.pattern, generation=int(source_object.version))
        if not blob.exists():
            raise StaleError(f"{source_object.uri} has changed since it was listed")
        stream: IO[bytes] = blob.open("rb")
        return stream

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        from google.api_core import exceptions

        try:
            yield
        except exceptions.NotFound as error:
            raise NotFoundError(f"{what} does not exist: correct `path`, or create it") from error
        except exceptions.Forbidden as error:
            raise AccessDeniedError(f"{what}: reading is denied; grant roles/storage.objectViewer") from error
        except (exceptions.GoogleAPICallError, exceptions.RetryError, OSError) as error:
            raise TransientError(f"{what}: Cloud Storage does not answer as it should: {error}") from error
