"""Blobs in Azure Storage."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import IO, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from etl_factory.errors import AccessDeniedError, EtlFactoryError
from etl_factory.sources._paths import check_paths, parse_path, split_object
from etl_factory.sources._stores import Store, keep_connections, pinned, stale
from etl_factory.sources.base import FileSource, Found, SourceObject
from etl_factory.sources.specs import ConnectedSpec, FileResource, Name

_QUIET = logging.getLogger(f"{__name__}.requests")
_QUIET.setLevel(logging.WARNING)  # Azure's client writes some thirty lines of log for each request
# Waits between repeated requests: 1, 3 and 5 seconds, instead of a minute in all.
OPTIONS: dict[str, Any] = {
    "retry_total": 3, "initial_backoff": 1, "increment_base": 2, "random_jitter_range": 1, "logger": _QUIET,
}  # fmt: skip
TRANSPORT: dict[str, Any] = {
    "connection_timeout": 15,
    "read_timeout": 60,
    "connection_data_block_size": 256 * 1024,  # as its client for blobs sets it; by default 4 KB
}
PAGE = 5000  # blobs in one answer, as many as Azure gives


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
        """A blob service client, from a connection string, or from an account and how to enter it."""
        from azure.storage.blob import BlobServiceClient

        if text := self.connection.extra.get("connection_string"):
            return BlobServiceClient.from_connection_string(text, transport=_transport(), **OPTIONS)
        host = self.connection.host or (
            f"{self.connection.login}.blob.core.windows.net" if self.connection.login else ""
        )
        if not host:
            raise ValueError("it names neither a connection_string nor an account")
        return BlobServiceClient(host, credential=self._credential(), transport=_transport(), **OPTIONS)

    def _credential(self) -> Any:
        """Return a service principal's token, a shared access signature, the account's key, or nothing."""
        if tenant := self.connection.extra.get("tenant_id"):
            from azure.identity import ClientSecretCredential

            return ClientSecretCredential(tenant, self.connection.login, self.connection.password)
        if token := self.connection.extra.get("sas_token"):
            return token
        if not (self.connection.login and self.connection.password):
            return self.connection.password or None
        return {"account_name": self.connection.login, "account_key": self.connection.password}

    def check(self) -> str:
        """Return the account's name; a login for one container alone may not list them."""
        from azure.core.exceptions import ClientAuthenticationError

        try:
            with self._errors("the account"):
                next(iter(self.client.list_containers(results_per_page=1)), None)
        except AccessDeniedError as error:
            if isinstance(error.__cause__, ClientAuthenticationError):
                raise
            return f"Azure Blob Storage, account {self.client.account_name}, whose containers this login may not list"
        return f"Azure Blob Storage, account {self.client.account_name}"

    def discover(self) -> Iterator[Found]:
        """List the account's containers."""
        with self._errors("the account"):
            names = [container.name for container in self.client.list_containers()]
        for name in names:
            yield Found(f"az://{name}/")

    def objects(self, path: str) -> Iterator[SourceObject]:
        """List matching blobs with their etags, sorted by uri; a data lake's folders are not blobs."""
        to = parse_path(path, "az")
        with self._errors(f"container az://{to.bucket}"):
            blobs = self.client.get_container_client(to.bucket).list_blobs(
                name_starts_with=to.prefix, include=["metadata"], results_per_page=PAGE
            )
            found = [
                SourceObject(to.uri(blob.name), blob.etag.strip('"'), blob.size, blob.last_modified)
                for blob in blobs
                if to.matches(blob.name) and (blob.metadata or {}).get("hdi_isfolder") != "true"
            ]
        yield from sorted(found, key=lambda item: item.uri)

    def open(self, source_object: SourceObject) -> IO[bytes]:
        """Stream a blob while its etag is still the listed one, compressed as it is stored."""
        from azure.core import MatchConditions

        pin = {"etag": f'"{source_object.version}"', "match_condition": MatchConditions.IfNotModified}

        def fetch(start: int, size: int) -> bytes:
            with self._errors(source_object.uri):
                blob = self.client.get_blob_client(*split_object(source_object.uri))
                return bytes(blob.download_blob(start, size, decompress=False, **pin).readall())

        return pinned(source_object, fetch)

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        from azure.core import exceptions as azure

        store = Store("Azure", self.connection.conn_id, "grant Storage Blob Data Reader")
        try:
            yield
        except azure.ClientAuthenticationError as error:
            raise store.wrong_login(what, _code(error)) from error
        except azure.DecodeError as error:  # an answer that was cut off
            raise store.unreachable(what, self.client.primary_hostname, error) from None
        except azure.HttpResponseError as error:
            raise _explained(store, what, error) from error
        except (azure.AzureError, OSError) as error:
            raise store.unreachable(what, self.client.primary_hostname, error) from None
        except ValueError as error:
            raise store.unusable(what, str(error)) from None


def _transport() -> Any:
    """Return what Azure's client would make itself, but for the connections that it keeps."""
    import requests
    from azure.core.pipeline.transport import RequestsTransport

    session = requests.Session()
    keep_connections(session)
    return RequestsTransport(session=session, **TRANSPORT)


def _code(error: Any) -> str:
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or error.reason or type(error).__name__)


def _explained(store: Store, what: str, error: Any) -> EtlFactoryError:
    said = _code(error)
    if said == "BlobNotFound":
        return stale(what)
    if said == "BlobArchived":
        return store.archived(what)
    return store.refusal(what, error.status_code, said)
