"""Blobs in Azure Storage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import IO, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from etl_factory.errors import AccessDeniedError, NotFoundError, StaleError, TransientError
from etl_factory.sources._paths import check_paths, parse_path
from etl_factory.sources.base import FileSource, Found, SourceObject
from etl_factory.sources.specs import ConnectedSpec, FileResource, Name


class AzureBlobSpec(ConnectedSpec):
    """Blobs in an Azure container; paths are `az://container/blob`."""

    type: Literal["azure_blob"]
    resources: Annotated[dict[Name, FileResource], Field(min_length=1)]

    @field_validator("resources")
    @classmethod
    def _paths(cls, resources: dict[str, Any]) -> dict[str, Any]:
        return check_paths(resources, "az")


class AzureBlobSource(FileSource):
    """An Azure storage account; the connection's fields are those of Airflow's `wasb` type."""

    type: ClassVar[str] = "azure_blob"
    title: ClassVar[str] = "Azure Blob Storage"
    transfer: ClassVar[str] = "etl_factory.transfers.azure_blob_to_gcs:AzureBlobsToGCSOperator"
    conn_types: ClassVar[tuple[str, ...]] = ("wasb",)
    spec = AzureBlobSpec

    @cached_property
    def client(self) -> Any:
        """A blob service client, from a connection string, or from an account and its key."""
        from azure.storage.blob import BlobServiceClient

        if text := self.connection.extra.get("connection_string"):
            return BlobServiceClient.from_connection_string(text, connection_timeout=15)
        host = self.connection.host or f"https://{self.connection.login}.blob.core.windows.net"
        return BlobServiceClient(host, credential=self.connection.password or None, connection_timeout=15)

    def check(self) -> str:
        """Return the account's name."""
        with self._errors("the account"):
            next(iter(self.client.list_containers(results_per_page=1)), None)
            return f"Azure Blob Storage, account {self.client.account_name}"

    def discover(self) -> Iterator[Found]:
        """List the account's containers."""
        with self._errors("the account"):
            for container in self.client.list_containers():
                yield Found(f"az://{container.name}/")

    def objects(self, path: str) -> Iterator[SourceObject]:
        """List matching blobs with their etags, sorted by uri."""
        to = parse_path(path, "az")
        with self._errors(f"container az://{to.bucket}"):
            blobs = self.client.get_container_client(to.bucket).list_blobs(name_starts_with=to.prefix)
            found = [blob for blob in blobs if to.matches(blob.name)]
        for blob in sorted(found, key=lambda item: item.name):
            yield SourceObject(to.uri(blob.name), blob.etag.strip('"'), blob.size, blob.last_modified)

    def open(self, source_object: SourceObject) -> IO[bytes]:
        """Stream a blob whose etag is still the listed one."""
        from azure.core import MatchConditions

        to = parse_path(source_object.uri, "az")
        blob = self.client.get_blob_client(to.bucket, to.pattern)
        etag = (
            source_object.version if source_object.version.startswith("0x") else f'"{source_object.version}"'
        )
        with self._errors(source_object.uri):
            download = blob.download_blob(etag=etag, match_condition=MatchConditions.IfNotModified)
        return _Chunks(download.chunks())  # type: ignore[return-value]  # readable, which is all that is used

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        from azure.core import exceptions

        try:
            yield
        except exceptions.ResourceModifiedError as error:
            raise StaleError(f"{what} has changed since it was listed") from error
        except exceptions.ResourceNotFoundError as error:
            if getattr(error, "error_code", "") == "BlobNotFound":
                raise StaleError(f"{what} is gone since it was listed") from error
            raise NotFoundError(f"{what} does not exist: correct `path`, or create it") from error
        except exceptions.ClientAuthenticationError as error:
            raise AccessDeniedError(
                f"{what}: Azure refuses the login of {self.connection.conn_id}; grant Storage Blob Data Reader"
            ) from error
        except (exceptions.AzureError, OSError) as error:
            raise TransientError(f"{what}: Azure cannot be reached: {type(error).__name__}") from error


class _Chunks:
    """A readable stream over an iterator of byte chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks, self.held = chunks, b""

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self.held) < size:
            fresh = next(self.chunks, b"")
            if not fresh:
                break
            self.held += fresh
        size = len(self.held) if size < 0 else size
        given, self.held = self.held[:size], self.held[size:]
        return given

    def close(self) -> None:
        self.held = b""
