"""Facts about each object store of the contract suite: how to fill it, pin it, refuse it and copy from it."""

from __future__ import annotations

import base64
import os
import traceback
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest
from google.auth.credentials import AnonymousCredentials

from edge import Edge
from etl_factory.sources import azure_blob, gcs, s3
from etl_factory.sources.azure_blob import AzureBlobSource
from etl_factory.sources.base import Connection, FileSource, SourceObject
from etl_factory.sources.gcs import GCSSource
from etl_factory.sources.s3 import S3Source
from etl_factory.transfers.gcs_to_gcs import rewrite_copy
from etl_factory.transfers.streaming import Copy, stream_copy

CONN_ID, CANARY = "acme__contract", "sesame-canary"
ODD_NAMES = (
    "a b+c&d=e.csv", "zażółć 🐘.csv", "100%25 'x'.csv", "who?#1.csv", "[1] (2) {3}.csv", "a!b;c,d@e$f.csv",
    "dots..csv", ".hidden", "~tilde^.csv",
)  # fmt: skip


def gcs_client(endpoint: str) -> Any:
    """Return google's own client of a local Cloud Storage."""
    from google.cloud import storage

    return storage.Client("acme-analytics", AnonymousCredentials(), client_options={"api_endpoint": endpoint})


class _Opened:
    """A source whose client, made at its first use, is to be closed."""

    def __init__(self, source: FileSource) -> None:
        self.source = source

    def close(self) -> None:
        if client := vars(self.source).get("client"):
            client.close()


class FileSystem:
    """One object store with a bucket of the suite's own; subclasses say what is particular to it."""

    name: ClassVar[str]
    scheme: ClassVar[str]
    source_class: ClassVar[type[FileSource]]
    title: ClassVar[str]
    grant: ClassVar[str]
    denial: ClassVar[tuple[int, bytes, dict[str, str]]]
    """How the store's servers refuse: status, body, headers."""
    busy: ClassVar[bytes] = b""
    read_line: ClassVar[str]
    """What the request line of a read contains, besides the object's name."""
    notices_same_content: ClassVar[bool] = True
    """Whether reading at a version fails once the same content was written again: else it delivers it."""
    placeholders: ClassVar[tuple[str, ...]] = ("in/", "vacant/")
    """Empty objects that stand for folders, with and without objects in them."""

    def __init__(self) -> None:
        self.bucket = f"etl-contract-{uuid.uuid4().hex[:8]}"
        self.clients: list[Any] = []

    @property
    def endpoint(self) -> str:
        """Scheme, host and port of the local server."""
        raise NotImplementedError

    def uri(self, name: str = "") -> str:
        """Return an object's, or a pattern's, address."""
        return f"{self.scheme}://{self.bucket}/{name}"

    def source(self, endpoint: str | None = None) -> FileSource:
        """Return the source under test, at the local server or at another address."""
        raise NotImplementedError

    def stranger(self, endpoint: str) -> FileSource:
        """Return the source with a login that holds the canary."""
        raise NotImplementedError

    def copy(self, source: FileSource) -> Copy:
        """Return the copy that the transfer of this source uses."""
        return stream_copy(source)

    def patient_for(self, monkeypatch: pytest.MonkeyPatch, tries: int) -> None:
        """Make the client's own repetitions few and quick."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the clients of the sources that a test has asked for at an address of its own."""
        while self.clients:
            self.clients.pop().close()

    def make_bucket(self, name: str) -> None:
        raise NotImplementedError

    def put(self, name: str, content: bytes, encoding: str | None = None) -> None:
        """Write an object."""
        raise NotImplementedError

    def delete(self, name: str) -> None:
        raise NotImplementedError

    def tear_down(self) -> None:
        """Delete the bucket with all that it holds."""
        raise NotImplementedError


class S3(FileSystem):
    """Amazon S3, by moto."""

    name, scheme, source_class, title = "s3", "s3", S3Source, "S3"
    grant = "grant s3:ListBucket and s3:GetObject"
    denial = (403, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>", {})
    busy = b"<Error><Code>SlowDown</Code><Message>wait</Message></Error>"
    read_line = "GET /"
    notices_same_content = False

    def __init__(self) -> None:
        super().__init__()
        self.admin = self.source().client
        self.clients.clear()

    @property
    def endpoint(self) -> str:
        return os.environ["S3_ENDPOINT_URL"]

    def _source(self, endpoint: str, login: str, password: str) -> S3Source:
        extra = {"endpoint_url": endpoint, "region_name": "us-east-1"}
        made = S3Source(Connection(CONN_ID, "aws", login=login, password=password, extra=extra))
        self.clients.append(_Opened(made))
        return made

    def source(self, endpoint: str | None = None) -> S3Source:
        return self._source(endpoint or self.endpoint, "local", "local-secret")

    def stranger(self, endpoint: str) -> S3Source:
        return self._source(endpoint.replace("://", f"://user:{CANARY}@"), "AKIASTRANGER", CANARY)

    def patient_for(self, monkeypatch: pytest.MonkeyPatch, tries: int) -> None:
        monkeypatch.setattr(s3, "ATTEMPTS", tries)

    def make_bucket(self, name: str) -> None:
        self.admin.create_bucket(Bucket=name)

    def put(self, name: str, content: bytes, encoding: str | None = None) -> None:
        more = {"ContentEncoding": encoding} if encoding else {}
        self.admin.put_object(Bucket=self.bucket, Key=name, Body=content, **more)

    def delete(self, name: str) -> None:
        self.admin.delete_object(Bucket=self.bucket, Key=name)

    def tear_down(self) -> None:
        for page in self.admin.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            keys = [{"Key": item["Key"]} for item in page.get("Contents", ())]
            if keys:
                self.admin.delete_objects(Bucket=self.bucket, Delete={"Objects": keys})
        self.admin.delete_bucket(Bucket=self.bucket)
        self.admin.close()


class GCS(FileSystem):
    """Google Cloud Storage, by its emulator."""

    name, scheme, source_class, title = "gcs", "gs", GCSSource, "Cloud Storage"
    grant = "grant roles/storage.objectViewer"
    denial = (
        403,
        b'{"error": {"code": 403, "message": "no storage.objects.list access"}}',
        {"Content_Type": "application/json"},
    )
    read_line = "alt=media"
    placeholders = ("vacant/",)  # the emulator keeps objects as files, so that no object is also a folder

    def __init__(self) -> None:
        super().__init__()
        self.admin = gcs_client(self.endpoint)

    @property
    def endpoint(self) -> str:
        return os.environ["STORAGE_EMULATOR_HOST"]

    def source(self, endpoint: str | None = None) -> GCSSource:
        return GCSSource(Connection(CONN_ID), self.client(endpoint) if endpoint else self.admin)

    def stranger(self, endpoint: str) -> GCSSource:
        connection = Connection(CONN_ID, password=CANARY, extra={"keyfile_dict": CANARY})
        return GCSSource(connection, self.client(endpoint))

    def client(self, endpoint: str) -> Any:
        """Return a client that the suite closes."""
        self.clients.append(gcs_client(endpoint))
        return self.clients[-1]

    def copy(self, source: FileSource) -> Copy:
        assert isinstance(source, GCSSource)
        return rewrite_copy(source)

    def patient_for(self, monkeypatch: pytest.MonkeyPatch, tries: int) -> None:
        monkeypatch.setattr(gcs, "RETRY_SECONDS", 0.1 if tries == 1 else 60)

    def make_bucket(self, name: str) -> None:
        self.admin.create_bucket(name)

    def put(self, name: str, content: bytes, encoding: str | None = None) -> None:
        blob = self.admin.bucket(self.bucket).blob(name)
        blob.content_encoding = encoding
        blob.upload_from_string(content)

    def delete(self, name: str) -> None:
        self.admin.bucket(self.bucket).blob(name).delete()

    def tear_down(self) -> None:
        for blob in list(self.admin.list_blobs(self.bucket)):
            blob.delete()
        self.admin.bucket(self.bucket).delete()
        self.admin.close()


class AzureBlob(FileSystem):
    """Azure Blob Storage, by azurite."""

    name, scheme, source_class, title = "azure_blob", "az", AzureBlobSource, "Azure"
    grant = "grant Storage Blob Data Reader"
    denial = (
        403,
        b"<?xml version='1.0'?><Error><Code>AuthorizationPermissionMismatch</Code><Message>no</Message></Error>",
        {"x_ms_error_code": "AuthorizationPermissionMismatch", "Content_Type": "application/xml"},
    )
    read_line = "GET /devstoreaccount1"

    def __init__(self) -> None:
        super().__init__()
        self.admin = self.source().client
        self.clients.clear()

    @property
    def text(self) -> str:
        """The connection string of the local server."""
        return os.environ["AZURE_STORAGE_CONNECTION_STRING"]

    @property
    def account(self) -> tuple[str, str, str]:
        """Address, name and key of the account."""
        fields = dict(part.split("=", 1) for part in self.text.strip(";").split(";"))
        return fields["BlobEndpoint"], fields["AccountName"], fields["AccountKey"]

    @property
    def endpoint(self) -> str:
        return "http://" + urlsplit(self.account[0]).netloc

    def source(self, endpoint: str | None = None) -> AzureBlobSource:
        text = self.text.replace(self.endpoint, endpoint or self.endpoint)
        return self._made(Connection(CONN_ID, "wasb", extra={"connection_string": text}))

    def stranger(self, endpoint: str) -> AzureBlobSource:
        key = base64.b64encode(CANARY.encode()).decode()
        return self.by_account(endpoint + "/devstoreaccount1", password=key)

    def by_account(self, host: str = "", **changes: Any) -> AzureBlobSource:
        """Return the source by account and key, or by what is given instead."""
        address, login, key = self.account
        connection = Connection(CONN_ID, "wasb", host=host or address, login=login, password=key)
        return self._made(replace(connection, **changes))

    def _made(self, connection: Connection) -> AzureBlobSource:
        made = AzureBlobSource(connection)
        self.clients.append(_Opened(made))
        return made

    def patient_for(self, monkeypatch: pytest.MonkeyPatch, tries: int) -> None:
        waits = {"initial_backoff": 0, "increment_base": 0, "random_jitter_range": 0}
        monkeypatch.setattr(azure_blob, "OPTIONS", azure_blob.OPTIONS | waits | {"retry_total": tries - 1})

    def make_bucket(self, name: str) -> None:
        self.admin.create_container(name)

    def put(
        self, name: str, content: bytes, encoding: str | None = None, metadata: dict[str, str] | None = None
    ) -> None:
        from azure.storage.blob import ContentSettings

        settings = ContentSettings(content_encoding=encoding)
        blob = self.admin.get_blob_client(self.bucket, name)
        blob.upload_blob(content, overwrite=True, content_settings=settings, metadata=metadata)

    def delete(self, name: str) -> None:
        self.admin.get_blob_client(self.bucket, name).delete_blob()

    def tear_down(self) -> None:
        self.admin.delete_container(self.bucket)
        self.admin.close()


SYSTEMS: tuple[type[FileSystem], ...] = (S3, GCS, AzureBlob)


@contextmanager
def denied(edge: Edge, system: FileSystem) -> Iterator[None]:
    """Let the store's servers refuse every request, as real ones do."""
    status, body, headers = system.denial
    edge.answers("", status, body, times=1000, **headers)
    yield
    edge.faults.clear()


@contextmanager
def in_use(made: FileSystem) -> Iterator[FileSystem]:
    """Give a store its bucket, and take it away at the end."""
    made.make_bucket(made.bucket)
    yield made
    made.close()
    made.tear_down()


def listed(system: FileSystem, pattern: str, source: FileSource | None = None) -> list[SourceObject]:
    return list((source or system.source()).objects(system.uri(pattern)))


def names(system: FileSystem, pattern: str) -> list[str]:
    return [item.uri.removeprefix(system.uri()) for item in listed(system, pattern)]


def one(system: FileSystem, name: str, body: bytes) -> SourceObject:
    """Write an object and list it."""
    system.put(name, body)
    return next(item for item in listed(system, name.replace("[", "[[]")) if item.uri == system.uri(name))


def read(source: FileSource, item: SourceObject) -> bytes:
    with source.open(item) as stream:
        return stream.read()


def whole_story(error: BaseException) -> str:
    """Return what any log may show of an error: its own text, and the traceback with all its causes."""
    return f"{error} {error!r} {''.join(traceback.format_exception(error))}"
