"""The secrets backend against the local Secret Manager over gRPC: found, missing, denied, away, cached."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from google.api_core.exceptions import InvalidArgument, PermissionDenied, RetryError
from google.auth import exceptions
from google.cloud.secretmanager_v1 import SecretManagerServiceClient

from devstack.secret_manager_server import Vault, serve
from etl_factory import secret_manager
from etl_factory.errors import ConfigError, TerminalError
from etl_factory.secret_manager import SecretAccess, TenantSecretManagerBackend, shared_access

PROJECT = "acme-secrets"
CANARY = "c4nary/pa:ss@w?rd#1"
REGION = "secretmanager.europe-west3.rep.googleapis.com"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "secrets.json")


@pytest.fixture
def endpoint(vault: Vault) -> Iterator[str]:
    """Serve the vault on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = serve(vault, port)
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.fixture
def access(endpoint: str) -> SecretAccess:
    return SecretAccess(PROJECT, endpoint)


@pytest.fixture
def backend(endpoint: str) -> Iterator[TenantSecretManagerBackend]:
    shared_access.cache_clear()
    yield TenantSecretManagerBackend(endpoint=endpoint, project_id=PROJECT)
    shared_access.cache_clear()


def deny(access: SecretAccess, secret_id: str) -> None:
    name = f"projects/{PROJECT}/secrets/{secret_id}"
    access.client.update_secret(
        request={
            "secret": {"name": name, "labels": {"access": "denied"}},
            "update_mask": {"paths": ["labels"]},
        }
    )


def test_what_is_written_is_read(access: SecretAccess) -> None:
    first = access.write("airflow-connections-acme__shop_db", CANARY)
    second = access.write("airflow-connections-acme__shop_db", "zażółć\n")

    assert (first, second) == tuple(
        f"projects/{PROJECT}/secrets/airflow-connections-acme__shop_db/versions/{n}" for n in (1, 2)
    )
    assert access.read("airflow-connections-acme__shop_db") == "zażółć\n"


def test_a_missing_secret_is_none_and_so_is_a_name_that_cannot_be(access: SecretAccess) -> None:
    assert access.read("airflow-connections-acme__none") is None
    assert access.read("airflow-connections-my db") is None
    assert access.read("s" * 256) is None


def test_a_denied_secret_raises(access: SecretAccess) -> None:
    access.write("s", CANARY)
    deny(access, "s")

    with pytest.raises(PermissionDenied):
        access.read("s")


def test_a_value_is_kept_for_a_minute_and_its_absence_for_seconds(endpoint: str) -> None:
    now = 1000.0
    reader = SecretAccess(PROJECT, endpoint, clock=lambda: now)
    writer = SecretAccess(PROJECT, endpoint)
    assert reader.read("s") is None
    writer.write("s", "first")

    now += secret_manager.MISSING_SECONDS - 0.1
    assert reader.read("s") is None
    now += 0.1
    assert reader.read("s") == "first"
    writer.write("s", "second")
    now += secret_manager.VALUE_SECONDS - 0.1
    assert reader.read("s") == "first"
    now += 0.1
    assert reader.read("s") == "second"


def test_one_sees_what_one_has_written_at_once(access: SecretAccess) -> None:
    assert access.read("s") is None
    access.write("s", "first")
    assert access.read("s") == "first"
    access.write("s", "second")

    assert access.read("s") == "second"


def test_a_denial_is_not_kept(access: SecretAccess) -> None:
    access.write("s", "value")
    deny(access, "s")
    with pytest.raises(PermissionDenied):
        access.read("s")
    name = f"projects/{PROJECT}/secrets/s"
    access.client.update_secret(request={"secret": {"name": name}, "update_mask": {"paths": ["labels"]}})

    assert access.read("s") == "value"


def test_bytes_that_are_no_text_are_refused_without_being_shown(access: SecretAccess) -> None:
    access.write("s", "x")
    parent = f"projects/{PROJECT}/secrets/s"
    access.client.add_secret_version(request={"parent": parent, "payload": {"data": b"c4nary\xff"}})

    with pytest.raises(TerminalError) as raised:
        access.read("s")

    assert str(raised.value) == f"secret s of project {PROJECT} is not UTF-8 text: store it again"
    assert "c4nary" not in everything_of(raised.value)


def everything_of(error: BaseException | None) -> str:
    """Return all that a log could show of an error, its causes and contexts included."""
    shown = ""
    while error is not None:
        shown += f"{error!s} {error!r} {error.args!r} {vars(error)!r}\n"
        error = error.__cause__ or error.__context__
    return shown


def test_a_server_that_is_away_gives_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_manager, "CALL_SECONDS", 0.3)

    with pytest.raises(RetryError):
        SecretAccess(PROJECT, "127.0.0.1:1").read("s")


def test_one_client_serves_every_read(access: SecretAccess) -> None:
    client = access.client
    access.read("a")
    access.read("b")

    assert access.client is client


@pytest.mark.parametrize(
    ("endpoint", "host", "parent"),
    [
        ("", "secretmanager.googleapis.com:443", f"projects/{PROJECT}"),
        (REGION, f"{REGION}:443", f"projects/{PROJECT}/locations/europe-west3"),
        ("secretmanager.example:8443", "secretmanager.example:8443", f"projects/{PROJECT}"),
        ("127.0.0.1:9", "127.0.0.1:9", f"projects/{PROJECT}"),
        ("localhost:9", "localhost:9", f"projects/{PROJECT}"),
    ],
)
def test_an_endpoint_decides_where_and_under_which_name(endpoint: str, host: str, parent: str) -> None:
    from google.auth.credentials import AnonymousCredentials

    access = SecretAccess(PROJECT, endpoint, AnonymousCredentials())

    assert access.parent == parent
    assert _target(access.client) == host


def _target(client: SecretManagerServiceClient) -> str:
    """Return what the client's channel connects to, as gRPC itself says."""
    channel: Any = client.transport.grpc_channel
    while hasattr(channel, "_channel") and not isinstance(channel._channel, int):
        if hasattr(channel._channel, "target"):
            break
        channel = channel._channel
    target: bytes = channel._channel.target()
    return target.decode().removeprefix("dns:///")


def test_a_regional_secret_is_made_in_its_region() -> None:
    seen: list[dict[str, Any]] = []

    class Client:
        """Keeps what it is asked."""

        def create_secret(self, request: dict[str, Any], timeout: float) -> None:
            seen.append(request)

        def add_secret_version(self, request: dict[str, Any], timeout: float) -> Any:
            seen.append(request)
            return type("Version", (), {"name": "v"})

    access = SecretAccess(PROJECT, REGION)
    access._clients[os.getpid()] = Client()  # type: ignore[assignment]  # what a write uses of one
    access.write("s", "value")

    parent = f"projects/{PROJECT}/locations/europe-west3"
    assert seen == [
        {"parent": parent, "secret_id": "s", "secret": {}},
        {"parent": f"{parent}/secrets/s", "payload": {"data": b"value"}},
    ]


def test_a_tenants_connection_is_found(backend: TenantSecretManagerBackend) -> None:
    backend.access.write("airflow-connections-acme__shop_db", "postgres://app:c4nary%2Fpa@db:5432/shop")

    found = backend.get_connection("acme__shop_db")

    assert (found.conn_type, found.host, found.password) == ("postgres", "db", "c4nary/pa")
    assert backend.get_connection("acme__none") is None


def test_a_tenants_denied_connection_stops_the_search(backend: TenantSecretManagerBackend) -> None:
    backend.access.write("airflow-connections-acme__shop_db", CANARY)
    deny(backend.access, "airflow-connections-acme__shop_db")

    with pytest.raises(PermissionError) as raised:
        backend.get_conn_value("acme__shop_db")

    assert type(raised.value).__name__ == "AirflowSecretsBackendAccessDenied"
    assert str(raised.value) == (
        "permission denied on secret airflow-connections-acme__shop_db of project acme-secrets: grant this DAG's"
        " identity roles/secretmanager.secretAccessor on it"
    )


def test_a_request_that_is_refused_is_no_missing_connection(
    backend: TenantSecretManagerBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is where project_id is no project's."""
    refusal = InvalidArgument("project is malformed")
    monkeypatch.setattr(backend.access.client, "access_secret_version", Mock(side_effect=refusal))

    with pytest.raises(PermissionError) as raised:
        backend.get_conn_value("acme__refused")

    assert type(raised.value).__name__ == "AirflowSecretsBackendAccessDenied"
    assert str(raised.value) == (
        "Secret Manager refuses to be asked for secret airflow-connections-acme__refused of project acme-secrets"
        " (project is malformed): correct project_id or endpoint in [secrets] backend_kwargs"
    )


@pytest.mark.parametrize("text", ["{'project_id': 'acme'}", "[1]", '"acme"'])
@pytest.mark.parametrize("key", ["SECRETS__BACKEND_KWARGS", "WORKERS__SECRETS_BACKEND_KWARGS"])
def test_arguments_that_are_no_json_stop_airflow(
    monkeypatch: pytest.MonkeyPatch, key: str, text: str
) -> None:
    monkeypatch.setenv(f"AIRFLOW__{key}", text)

    with pytest.raises(ConfigError, match=r"kwargs is not a JSON object, so Airflow would ask for"):
        TenantSecretManagerBackend()


def test_a_denied_connection_that_is_no_tenants_is_left_to_the_next_backend(
    backend: TenantSecretManagerBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    backend.access.write("airflow-connections-google_cloud_default", CANARY)
    deny(backend.access, "airflow-connections-google_cloud_default")

    assert backend.get_conn_value("google_cloud_default") is None

    logged = capsys.readouterr().out
    assert "Secret Manager denies secret airflow-connections-google_cloud_default to this identity" in logged


def test_a_variable_of_the_environment_wins_without_a_call(
    backend: TenantSecretManagerBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ACME__SHOP_DB", "postgres://elsewhere")
    backend.access.write("airflow-connections-acme__shop_db", CANARY)

    assert backend.get_conn_value("acme__shop_db") is None


def test_variables_and_configuration_are_left_out_unless_asked_for(
    endpoint: str, backend: TenantSecretManagerBackend
) -> None:
    backend.access.write("airflow-variables-a", "1")
    backend.access.write("airflow-config-b", "2")
    asking = TenantSecretManagerBackend(
        endpoint, PROJECT, variables_prefix="airflow-variables", config_prefix="airflow-config"
    )

    assert (backend.get_variable("a"), backend.get_config("b")) == (None, None)
    assert (asking.get_variable("a"), asking.get_config("b")) == ("1", "2")


def test_the_cache_outlives_the_backend(endpoint: str, backend: TenantSecretManagerBackend) -> None:
    """Airflow makes a new backend for every look-up."""
    backend.access.write("airflow-connections-acme__a", "first")
    assert backend.get_conn_value("acme__a") == "first"
    SecretAccess(PROJECT, endpoint).write("airflow-connections-acme__a", "second")

    again = TenantSecretManagerBackend(endpoint=endpoint, project_id=PROJECT)

    assert again.get_conn_value("acme__a") == "first"
    assert again.access.client is backend.access.client


@pytest.mark.parametrize(
    "value",
    [
        "postgres://app:c4nary/pa@db/shop",
        "postgres://app:c4nary#pa@db/shop",
        "postgres://app:c4nary?pa@db/shop",
        "postgres://app:c4nary@db:port/shop",
        "postgres://app:c4nary@[db/shop",
        "a://b://c://c4nary",
        '{"conn_type": "postgres", "password": "c4nary"',
        '{"conn_type": "postgres", "pasword": "c4nary"}',
        '{"port": "c4nary"}',
        '["c4nary"]x',
        "   ",
    ],
)
def test_an_unreadable_value_is_never_quoted(backend: TenantSecretManagerBackend, value: str) -> None:
    backend.access.write("airflow-connections-acme__a", value)

    try:
        found = backend.get_connection("acme__a")
    except ValueError as error:
        assert str(error).startswith(
            "secret airflow-connections-acme__a is neither a connection URI nor JSON ("
        )
        assert "c4nary" not in everything_of(error)
    else:
        assert value == '["c4nary"]x'
        assert not found.conn_type


def test_no_value_stands_in_a_repr(backend: TenantSecretManagerBackend) -> None:
    backend.access.write("airflow-connections-acme__a", CANARY)
    backend.get_conn_value("acme__a")

    assert "c4nary" not in f"{backend!r} {backend.access!r} {backend.access.client!r}"


def test_settings_say_where_secrets_are(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETL_FACTORY_SECRET_MANAGER_ENDPOINT", endpoint)
    monkeypatch.setenv("ETL_FACTORY_SECRETS_PROJECT", PROJECT)

    backend = TenantSecretManagerBackend()

    assert (backend.endpoint, backend.project_id, backend.access.project) == (endpoint, PROJECT, PROJECT)
    assert TenantSecretManagerBackend(REGION, "other").endpoint == REGION


def test_without_a_project_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ETL_FACTORY_SECRETS_PROJECT", raising=False)

    with pytest.raises(ConfigError) as raised:
        _ = TenantSecretManagerBackend(endpoint="localhost:1").access

    assert str(raised.value) == (
        "no project is set for secrets: give project_id in [secrets] backend_kwargs, or ETL_FACTORY_SECRETS_PROJECT"
    )


def test_credentials_are_looked_up_at_the_first_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))

    backend = TenantSecretManagerBackend(endpoint="", project_id=PROJECT)

    with pytest.raises(exceptions.DefaultCredentialsError):
        _ = backend.access
