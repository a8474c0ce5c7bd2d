"""The local Secret Manager answers google's own client as Google's server does."""

from __future__ import annotations

import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.api_core.exceptions import AlreadyExists, InvalidArgument, NotFound, PermissionDenied
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)

from devstack.secret_manager_server import Vault, serve

PARENT = "projects/acme"
NAME = f"{PARENT}/secrets/s"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "secrets.json"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def client(file: Path, port: int) -> Iterator[SecretManagerServiceClient]:
    server = serve(Vault(file), port)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))
    server.stop(None).wait()


def create(
    client: SecretManagerServiceClient, *values: bytes, secret_id: str = "s", parent: str = PARENT
) -> str:
    """Make a secret with versions and return its name."""
    secret = {"replication": {"automatic": {}}}
    name: str = client.create_secret(
        request={"parent": parent, "secret_id": secret_id, "secret": secret}
    ).name
    for value in values:
        client.add_secret_version(request={"parent": name, "payload": {"data": value}})
    return name


def read(client: SecretManagerServiceClient, version: str) -> bytes:
    data: bytes = client.access_secret_version(request={"name": version}).payload.data
    return data


def test_versions_are_numbered_and_the_latest_is_the_last(client: SecretManagerServiceClient) -> None:
    assert create(client, b"first", b"sec\xffond\n") == NAME

    answer = client.access_secret_version(request={"name": f"{NAME}/versions/latest"})
    assert (answer.name, answer.payload.data) == (f"{NAME}/versions/2", b"sec\xffond\n")
    assert read(client, f"{NAME}/versions/1") == b"first"


@pytest.mark.parametrize("version", ["latest", "0", "1", "99"])
def test_a_version_that_is_not_there_is_not_found(client: SecretManagerServiceClient, version: str) -> None:
    create(client)

    with pytest.raises(NotFound):
        read(client, f"{NAME}/versions/{version}")


@pytest.mark.parametrize("version", ["newest", "-1", "", "1.0"])
def test_a_version_that_cannot_be_is_an_invalid_argument(
    client: SecretManagerServiceClient, version: str
) -> None:
    create(client, b"x")

    with pytest.raises(InvalidArgument):
        read(client, f"{NAME}/versions/{version}")


def test_what_was_never_made_is_not_found(client: SecretManagerServiceClient) -> None:
    for call in (
        lambda: read(client, f"{NAME}/versions/latest"),
        lambda: client.get_secret(request={"name": NAME}),
        lambda: client.delete_secret(request={"name": NAME}),
        lambda: client.add_secret_version(request={"parent": NAME, "payload": {"data": b"x"}}),
    ):
        with pytest.raises(NotFound, match=r"Secret \[projects/acme/secrets/s\] not found"):
            call()


def test_a_secret_is_made_once(client: SecretManagerServiceClient) -> None:
    create(client, b"x")

    with pytest.raises(AlreadyExists):
        create(client)
    assert read(client, f"{NAME}/versions/latest") == b"x"


def test_a_denied_secret_exists_and_is_not_read(client: SecretManagerServiceClient) -> None:
    create(client, b"c4nary")
    denied = {"secret": {"name": NAME, "labels": {"access": "denied"}}, "update_mask": {"paths": ["labels"]}}
    client.update_secret(request=denied)

    with pytest.raises(PermissionDenied) as raised:
        read(client, f"{NAME}/versions/latest")

    assert "Permission 'secretmanager.versions.access' denied" in str(raised.value)
    assert "c4nary" not in str(raised.value)
    assert dict(client.get_secret(request={"name": NAME}).labels) == {"access": "denied"}


def test_a_listing_is_of_its_own_project_and_region(client: SecretManagerServiceClient) -> None:
    region = f"{PARENT}/locations/europe-west3"
    for secret_id, parent in (("b", PARENT), ("a", PARENT), ("c", "projects/acme-other"), ("d", region)):
        create(client, secret_id=secret_id, parent=parent)

    def listed(parent: str) -> list[str]:
        return [secret.name for secret in client.list_secrets(request={"parent": parent})]

    assert listed(PARENT) == [f"{PARENT}/secrets/a", f"{PARENT}/secrets/b"]
    assert listed(region) == [f"{region}/secrets/d"]


def test_a_deleted_secret_is_gone(client: SecretManagerServiceClient) -> None:
    create(client, b"x")
    client.delete_secret(request={"name": NAME})

    with pytest.raises(NotFound):
        read(client, f"{NAME}/versions/latest")
    create(client, b"again")
    assert read(client, f"{NAME}/versions/1") == b"again"


def test_secrets_outlive_the_server_in_a_file_of_their_owner(
    client: SecretManagerServiceClient, file: Path
) -> None:
    create(client, b"c4nary")

    assert Vault(file).secrets == {NAME: {"labels": {}, "versions": ["YzRuYXJ5"]}}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_many_writers_lose_nothing(client: SecretManagerServiceClient, file: Path) -> None:
    create(client)
    payloads = [str(n).encode() for n in range(20)]
    writers = [
        threading.Thread(
            target=client.add_secret_version,
            kwargs={"request": {"parent": NAME, "payload": {"data": payload}}},
        )
        for payload in payloads
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert {read(client, f"{NAME}/versions/{n}") for n in range(1, 21)} == set(payloads)
    assert len(Vault(file).secrets[NAME]["versions"]) == 20


def test_a_port_that_is_taken_is_not_shared(
    client: SecretManagerServiceClient, file: Path, port: int
) -> None:
    with pytest.raises(OSError, match=f"port {port} is taken"):
        serve(Vault(file), port)
