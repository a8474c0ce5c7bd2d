"""What is Azure's own: the forms of a login, its words for what is wrong, and a data lake's folders."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from urllib3.connection import HTTPConnection

from edge import Edge, edge_of
from etl_factory.errors import AccessDeniedError, EtlFactoryError, TerminalError, TransientError
from etl_factory.sources._stores import AT_ONCE
from etl_factory.sources.azure_blob import AzureBlobSource
from etl_factory.sources.base import Connection
from file_systems import CANARY, CONN_ID, AzureBlob, in_use, listed, names, read, whole_story

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def azure(stack: object) -> Iterator[AzureBlob]:
    """Return a store with one blob."""
    with in_use(AzureBlob()) as made:
        made.put("login/a", b"x")
        yield made


@pytest.fixture
def edge(azure: AzureBlob) -> Iterator[Edge]:
    with edge_of(azure.endpoint) as served:
        yield served


def test_account_and_key(azure: AzureBlob) -> None:
    assert len(listed(azure, "login/*", azure.by_account())) == 1


def test_account_alone_gives_the_address() -> None:
    key = base64.b64encode(b"key").decode()
    source = AzureBlobSource(Connection(CONN_ID, "wasb", login="acme", password=key))
    assert source.client.url == "https://acme.blob.core.windows.net/"


def test_connections_of_copies_are_kept(azure: AzureBlob, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, connect = [], HTTPConnection.connect
    monkeypatch.setattr(HTTPConnection, "connect", lambda self: opened.append(self) or connect(self))
    source = azure.by_account()
    (item,) = listed(azure, "login/*", source)
    together = Barrier(AT_ONCE, timeout=30)

    def read_thrice(_: int) -> None:
        for _ in range(3):
            together.wait()
            assert read(source, item) == b"x"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(read_thrice, range(AT_ONCE)))
    assert 1 < len(opened) <= AT_ONCE


def test_shared_access_signature(azure: AzureBlob) -> None:
    from azure.storage.blob import ContainerSasPermissions, generate_container_sas

    _, login, key = azure.account
    token = generate_container_sas(
        login, azure.bucket, account_key=key, permission=ContainerSasPermissions(read=True, list=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )  # fmt: skip
    source = azure.by_account(login="", password="", extra={"sas_token": token})
    (item,) = listed(azure, "login/*", source)
    assert read(source, item) == b"x"


def test_signature_is_not_shown(azure: AzureBlob, monkeypatch: pytest.MonkeyPatch) -> None:
    azure.patient_for(monkeypatch, 1)
    source = azure.by_account(
        "http://127.0.0.1:1/acme", login="", password="", extra={"sas_token": f"sig={CANARY}"}
    )
    with pytest.raises(TransientError, match=r"127\.0\.0\.1:1 cannot be reached") as caught:
        listed(azure, "*", source)
    assert CANARY not in whole_story(caught.value)


def test_service_principal() -> None:
    from azure.identity import ClientSecretCredential

    connection = Connection(
        CONN_ID,
        "wasb",
        "acme.blob.core.windows.net",
        login="id",
        password=CANARY,
        extra={"tenant_id": "t"},
    )
    assert isinstance(AzureBlobSource(connection)._credential(), ClientSecretCredential)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"password": "not base64!"}, AccessDeniedError, "does not know the login of"),
        ({"extra": {"connection_string": "rubbish"}}, TerminalError, "is not one for Azure: .* Store it again"),
    ],
)  # fmt: skip
def test_wrong_login(
    azure: AzureBlob, changes: dict[str, Any], error: type[EtlFactoryError], message: str
) -> None:
    source = azure.by_account(**changes)
    for ask in (source.check, lambda: listed(azure, "*", source)):
        with pytest.raises(error, match=f"{message}.*etl-factory secret set acme contract -"):
            ask()


def test_wrong_key(azure: AzureBlob, edge: Edge) -> None:
    """Azurite says AuthorizationFailure, which on Azure is a firewall's or a missing role's word."""
    source = azure.by_account(password=base64.b64encode(b"wrong").decode())
    with pytest.raises(AccessDeniedError, match="refuses acme__contract"):
        listed(azure, "*", source)
    body = b"<?xml version='1.0'?><Error><Code>AuthenticationFailed</Code></Error>"
    edge.answers("GET /", 403, body, times=2, x_ms_error_code="AuthenticationFailed")
    source = azure.source(edge.url)
    for ask in (source.check, lambda: listed(azure, "*", source)):
        with pytest.raises(AccessDeniedError, match=r"does not know the login .*\(AuthenticationFailed\)"):
            ask()


def test_archived_blob(azure: AzureBlob, edge: Edge) -> None:
    (item,) = listed(azure, "login/*")
    edge.answers("login/a", 409, x_ms_error_code="BlobArchived", times=9)
    with pytest.raises(TerminalError, match="login/a is archived: restore it in Azure"):
        azure.source(edge.url).open(item)


def test_no_account_at_all() -> None:
    with pytest.raises(TerminalError, match="neither a connection_string nor an account"):
        AzureBlobSource(Connection(CONN_ID, "wasb")).check()


def test_a_data_lakes_folders_are_no_blobs(azure: AzureBlob) -> None:
    azure.put("lake/day", b"", metadata={"hdi_isfolder": "true"})
    azure.put("lake/day/a.csv", b"x", metadata={"owner": "true"})

    assert names(azure, "lake/**") == ["lake/day/a.csv"]
