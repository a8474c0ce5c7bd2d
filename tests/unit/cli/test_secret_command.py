"""`etl-factory secret set`, against the local Secret Manager over gRPC."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Command, Invoke, only_json

from devstack.secret_manager_server import Vault, serve
from etl_factory.secret_manager import SecretAccess

CANARY = "canary-p4ss"
URI = f"postgres://etl:{CANARY}@db.example:5432/shop"
SECRET = "airflow-connections-acme__shop_db"


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    """Serve an empty vault, and point the command at it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = Vault(tmp_path / "secrets.json")
    server = serve(made, port)
    monkeypatch.setenv("ETL_FACTORY_SECRET_MANAGER_ENDPOINT", f"127.0.0.1:{port}")
    monkeypatch.setenv("ETL_FACTORY_SECRETS_PROJECT", "acme-analytics")
    yield made
    server.stop(0).wait()


def stored(endpoint: str) -> str | None:
    return SecretAccess("acme-analytics", endpoint).read(SECRET)


@pytest.fixture
def endpoint(vault: Vault) -> str:
    import os

    return os.environ["ETL_FACTORY_SECRET_MANAGER_ENDPOINT"]


def test_the_value_from_standard_input_becomes_a_version(invoke: Invoke, endpoint: str) -> None:
    result = invoke("secret", "set", "acme", "shop_db", "-", input=f"{URI}\n")
    version = f"projects/acme-analytics/secrets/{SECRET}/versions/1"
    assert result.exit_code == 0
    assert result.stdout == f"connection acme__shop_db is stored: {version}\n"
    assert result.stderr == ""
    assert stored(endpoint) == URI


def test_a_second_value_is_a_second_version(invoke: Invoke, endpoint: str) -> None:
    invoke("secret", "set", "acme", "shop_db", "-", input=URI)
    result = invoke("secret", "set", "acme", "shop_db", "-", "--json", input=URI.replace("shop", "other"))
    assert only_json(result.stdout) == {
        "ok": True,
        "conn_id": "acme__shop_db",
        "secret": SECRET,
        "version": f"projects/acme-analytics/secrets/{SECRET}/versions/2",
    }
    assert stored(endpoint) == URI.replace("shop", "other")


def test_an_argument_is_stored_with_a_warning_and_never_shown(invoke: Invoke, endpoint: str) -> None:
    result = invoke("secret", "set", "acme", "shop_db", URI)
    assert result.exit_code == 0
    assert result.stderr == "warning: an argument stays in the shell's history; `-` reads standard input\n"
    assert CANARY not in result.output
    assert stored(endpoint) == URI


def test_json_is_a_connection_too(invoke: Invoke, endpoint: str) -> None:
    document = json.dumps({"conn_type": "aws", "login": "key", "password": CANARY})
    assert invoke("secret", "set", "acme", "shop_db", "-", input=document).exit_code == 0
    assert stored(endpoint) == document


@pytest.mark.parametrize(
    "value",
    [
        CANARY,
        f"postgres:{CANARY}",
        f"postgres://etl:{CANARY}#x@db.example:5432/shop",
        f'{{"conn_type": "aws", "password": "{CANARY}"',
        f'{{"password": "{CANARY}"}}',
        f'{{"conn_type": "", "password": "{CANARY}"}}',
    ],
)
def test_what_is_no_connection_is_refused_without_a_word_of_it(
    invoke: Invoke, vault: Vault, value: str
) -> None:
    result = invoke("secret", "set", "acme", "shop_db", "-", "--json", input=value)
    assert (result.exit_code, result.stdout, vault.secrets) == (2, "", {})
    assert "this is not an Airflow connection, nothing was stored" in result.stderr
    assert CANARY not in result.stderr


def test_an_empty_value_is_refused(invoke: Invoke, vault: Vault) -> None:
    result = invoke("secret", "set", "acme", "shop_db", "-", input=" \n")
    assert (result.exit_code, vault.secrets) == (2, {})
    assert result.stderr == "the connection is empty: nothing was stored\n"


@pytest.mark.parametrize(
    ("tenant", "connection", "what"),
    [
        ("Acme", "shop_db", "TENANT: 'Acme'"),
        ("acme", "shop__db", "CONNECTION: 'shop__db'"),
        ("acme", "", "CONNECTION"),
    ],
)
def test_a_name_that_no_config_can_have_is_refused(
    invoke: Invoke, vault: Vault, tenant: str, connection: str, what: str
) -> None:
    result = invoke("secret", "set", tenant, connection, "-", input=URI)
    assert (result.exit_code, vault.secrets) == (2, {})
    assert f"{what}" in result.stderr
    assert "is not a name" in result.stderr


def test_a_swapped_uri_is_not_shown_as_a_name(invoke: Invoke, vault: Vault) -> None:
    result = invoke("secret", "set", "acme", URI, "shop_db")
    assert result.exit_code == 2
    assert CANARY not in result.output


def test_a_denial_says_what_to_grant(command: Command, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    import grpc

    def deny(_: object, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "denied")

    monkeypatch.setattr(vault, "create", deny)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = serve(vault, port)
    monkeypatch.setenv("ETL_FACTORY_SECRET_MANAGER_ENDPOINT", f"127.0.0.1:{port}")
    done = command("secret", "set", "acme", "shop_db", "-", given=URI)
    server.stop(0).wait()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"permission denied to write secret {SECRET} of project acme-analytics: grant this identity"
        " roles/secretmanager.admin on the project\n"
    )


def test_a_server_that_does_not_answer_is_named(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETL_FACTORY_SECRET_MANAGER_ENDPOINT", "127.0.0.1:1")
    monkeypatch.setenv("ETL_FACTORY_SECRETS_PROJECT", "acme-analytics")
    done = command("secret", "set", "acme", "shop_db", "-", given=URI)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Secret Manager at 127.0.0.1:1 does not answer as it should: ")
    assert CANARY not in done.stderr


def test_without_a_project_nothing_is_stored(
    command: Command, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ETL_FACTORY_SECRETS_PROJECT")
    done = command("secret", "set", "acme", "shop_db", "-", given=URI)
    assert (done.returncode, done.stdout) == (2, "")
    assert "ETL_FACTORY_SECRETS_PROJECT" in done.stderr


def test_it_works_where_airflow_has_our_backend(endpoint: str, tmp_path: Path) -> None:
    """Airflow imports the backend while it is itself imported, so the command must not import it first."""
    import os
    import subprocess
    import sys

    env = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__SECRETS__BACKEND": "etl_factory.secret_manager.TenantSecretManagerBackend",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-c", "from etl_factory.cli import main; main()", "secret", "set"]
    done = subprocess.run(
        [*command, "acme", "shop_db", "-"], input=URI, env=env, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert stored(endpoint) == URI
