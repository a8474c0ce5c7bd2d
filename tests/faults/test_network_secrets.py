"""Secret Manager behind a network that fails: a connection is found, or the error says what to do."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import grpc
import pytest
from grpc import StatusCode
from network_grpc import Front, front_of
from network_line import Line, line_to

from etl_factory import secret_manager
from etl_factory.connections import resolve
from etl_factory.errors import (
    AccessDeniedError,
    EtlFactoryError,
    NotFoundError,
    TerminalError,
    TransientError,
)
from etl_factory.secret_manager import SecretAccess, shared_access

pytestmark = pytest.mark.stack
PASSING = (
    StatusCode.UNAVAILABLE,
    StatusCode.RESOURCE_EXHAUSTED,
    StatusCode.INTERNAL,
    StatusCode.DEADLINE_EXCEEDED,
    StatusCode.ABORTED,
    StatusCode.UNKNOWN,
)


@dataclass
class Vault:
    """A tenant's connection, whose secret is asked for through a front and a line."""

    front: Front
    line: Line
    conn_id: str


@pytest.fixture
def vault(stack: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    """Store a connection, and tell Airflow of Secret Manager as anyone would."""
    name = f"faults{uuid.uuid4().hex[:8]}"
    direct = SecretAccess(stack["ETL_FACTORY_SECRETS_PROJECT"], stack["ETL_FACTORY_SECRET_MANAGER_ENDPOINT"])
    direct.write(f"airflow-connections-acme__{name}", "postgres://app:c4nary@db.example:5433/shop")
    monkeypatch.setattr(secret_manager, "FIRST_WAIT", 0.02)
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "etl_factory.secret_manager.TenantSecretManagerBackend")
    with front_of(stack["ETL_FACTORY_SECRET_MANAGER_ENDPOINT"]) as front:
        host, _, port = front.endpoint.partition(":")
        with line_to(host, int(port)) as line:
            monkeypatch.setenv("ETL_FACTORY_SECRET_MANAGER_ENDPOINT", f"127.0.0.1:{line.port}")
            shared_access.cache_clear()
            yield Vault(front, line, f"acme__{name}")
            shared_access.cache_clear()


def test_the_way_is_free(vault: Vault) -> None:
    assert resolve(vault.conn_id).host == "db.example"
    assert vault.front.seen == ["AccessSecretVersion"]


@pytest.mark.parametrize("status", PASSING, ids=lambda status: status.name)
def test_what_passes_is_repeated_and_succeeds(vault: Vault, status: grpc.StatusCode) -> None:
    vault.front.statuses = [status, status]

    assert resolve(vault.conn_id).password == "c4nary"
    assert vault.front.seen == ["AccessSecretVersion"] * 3


@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_channel_that_is_closed_is_opened_again(vault: Vault, how: str) -> None:
    vault.line.fails(how, 30)
    backend = shared_access(*_where(vault))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secret_manager, "CALL_SECONDS", 0.5)
        with pytest.raises(Exception, match=r"Timeout of 0\.5s exceeded"):
            backend.read(f"airflow-connections-{vault.conn_id}")
    vault.line.mend()

    assert resolve(vault.conn_id).host == "db.example"


def _where(vault: Vault) -> tuple[str, str]:
    settings = secret_manager.Settings.from_environment()
    return settings.secrets_project, settings.secret_manager_endpoint


def test_an_answer_that_does_not_come_is_asked_for_again(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_manager, "ANSWER_SECONDS", 0.5)
    vault.front.silent = 1

    assert resolve(vault.conn_id).host == "db.example"
    assert vault.front.seen == ["AccessSecretVersion"] * 2


@pytest.mark.parametrize("status", PASSING, ids=lambda status: status.name)
def test_what_lasts_is_transient(
    vault: Vault, status: grpc.StatusCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_manager, "CALL_SECONDS", 0.3)
    vault.front.statuses = [status] * 1000

    with pytest.raises(TransientError, match=f"connection {vault.conn_id}: Secret Manager does not answer"):
        resolve(vault.conn_id)

    assert 2 < len(vault.front.seen) < 200


def test_a_server_that_never_answers_is_given_up(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_manager, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(secret_manager, "CALL_SECONDS", 0.5)
    vault.line.fails("hold", 0)
    began = time.monotonic()

    with pytest.raises(TransientError, match="Secret Manager does not answer"):
        resolve(vault.conn_id)

    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (StatusCode.PERMISSION_DENIED, AccessDeniedError, r"grant this DAG's identity roles/secretmanager"),
        (StatusCode.UNAUTHENTICATED, AccessDeniedError, "does not know this machine's credentials"),
        (StatusCode.NOT_FOUND, NotFoundError, "does not exist: there is neither secret"),
        (
            StatusCode.FAILED_PRECONDITION,
            TerminalError,
            r"refuses secret airflow-.*Enable its latest version",
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_will_not_pass_is_said_at_once(
    vault: Vault, status: grpc.StatusCode, error: type[EtlFactoryError], said: str
) -> None:
    """Asked for once by Airflow, and once more to say what it left unsaid."""
    vault.front.statuses = [status] * 1000

    with pytest.raises(error, match=said) as raised:
        resolve(vault.conn_id)

    assert type(raised.value) is error
    assert len(vault.front.seen) <= 2
