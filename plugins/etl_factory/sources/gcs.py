"""Objects in Google Cloud Storage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from etl_factory.errors import AccessDeniedError
from etl_factory.landing import patience
from etl_factory.sources._paths import check_paths, parse_path, split_object
from etl_factory.sources._stores import Store, pinned, stale
from etl_factory.sources.base import Connection, FileSource, Found, SourceObject
from etl_factory.sources.specs import FileResource, GoogleSpec, Name

RETRY_SECONDS = 60.0  # how long google's client repeats a request that fails
_FIELDS = "items(name,generation,size,timeCreated),nextPageToken"


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
        """Return the project that the client works in; an identity may read a bucket and not list them."""
        from google.api_core.exceptions import Forbidden

        where = f"Google Cloud Storage as project {self.client.project}"
        try:
            with self.errors("the project"):
                list(self.client.list_buckets(max_results=1, **_patience()))
        except AccessDeniedError as error:
            if not isinstance(error.__cause__, Forbidden):
                raise
            return f"{where}, whose buckets this identity may not list"
        return where

    def discover(self) -> Iterator[Found]:
        """List the project's buckets."""
        with self.errors("the project", "grant storage.buckets.list, which roles/storage.bucketViewer holds"):
            names = [bucket.name for bucket in self.client.list_buckets(**_patience())]
        for name in names:
            yield Found(f"gs://{name}/")

    def objects(self, path: str) -> Iterator[SourceObject]:
        """List matching objects with their generations, sorted by uri; `modified` is the content's time."""
        to = parse_path(path, "gs")
        with self.errors(f"bucket gs://{to.bucket}"):
            blobs = self.client.list_blobs(to.bucket, prefix=to.prefix, fields=_FIELDS, **_patience())
            found = [
                SourceObject(to.uri(blob.name), str(blob.generation), int(blob.size), blob.time_created)
                for blob in blobs
                if to.matches(blob.name)
            ]
        yield from sorted(found, key=lambda item: item.uri)

    def open(self, source_object: SourceObject) -> IO[bytes]:
        """Stream one generation of an object, compressed as it is stored."""

        def fetch(start: int, size: int) -> bytes:
            blob = self.blob(
                source_object
            )  # a fresh one: a handle loses its generation with its first download
            with self.errors(source_object.uri, is_object=True):
                content: bytes = blob.download_as_bytes(
                    start=start, end=start + size - 1, raw_download=True, checksum=None, **_patience()
                )
            return content

        return pinned(source_object, fetch)

    def blob(self, source_object: SourceObject) -> Any:
        """Return google's handle on exactly the listed generation."""
        bucket, name = split_object(source_object.uri)
        return self.client.bucket(bucket).blob(name, generation=int(source_object.version))

    @contextmanager
    def errors(
        self,
        what: str,
        grant: str = "reading is denied; grant roles/storage.objectViewer",
        *,
        is_object: bool = False,
    ) -> Iterator[None]:
        """Turn google's exceptions about the source into ours."""
        from google.api_core.exceptions import GoogleAPICallError, NotFound, RetryError
        from google.auth.exceptions import GoogleAuthError, TransportError

        store = Store("Cloud Storage", self.connection.conn_id, grant)
        try:
            yield
        except NotFound as error:
            raise (stale(what) if is_object else store.refusal(what, 404, "")) from error
        except GoogleAPICallError as error:
            raise store.refusal(what, error.code, error.message) from error
        except (RetryError, TransportError, OSError) as error:
            raise store.unreachable(what, self.client.api_endpoint, error) from error
        except GoogleAuthError as error:
            raise store.wrong_login(what, str(error)) from error


def _patience() -> dict[str, Any]:
    from google.cloud.storage.retry import DEFAULT_RETRY

    retry = DEFAULT_RETRY.with_delay(initial=patience.FIRST_WAIT).with_timeout(RETRY_SECONDS)
    return {"timeout": patience.ANSWER_SECONDS, "retry": retry}
