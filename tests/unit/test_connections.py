"""A tenant's connection at task time: found, missing, denied, unreadable, away; and never quoted."""

from __future__ import annotations

import json
import socket
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.secret_manager_server import Vault, serve
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
from etl_factory.sources.base import Connection

PROJECT = "acme-secrets"
SECRET = "airflow-connections-acme__shop_db"
VARIABLE = "AIRFLOW_CONN_ACME__SHOP_DB"
STORE = "`etl-factory secret set acme shop_db -`"
CUT = "postgres://app:c4nary{}tail@db:5432/shop"


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretAccess]:
    """Serve a Secret Manager and let Airflow ask it, through our backend."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = serve(Vault(tmp_path / "secrets.json"), port)
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "etl_factory.secret_manager.TenantSecretManagerBackend")
    monkeypatch.setenv("ETL_FACTORY_SECRET_MANAGER_ENDPOINT", f"127.0.0.1:{port}")
    monkeypatch.setenv("ETL_FACTORY_SECRETS_PROJECT", PROJECT)
    shared_access.cache_clear()
    yield SecretAccess(PROJECT, f"127.0.0.1:{port}")
    shared_access.cache_clear()
    server.stop(None).wait()


def failure() -> EtlFactoryError:
    """Return the error of resolving, having made sure that nothing a log shows of it holds the canary."""
    with pytest.raises(EtlFactoryError) as raised:
        resolve("acme__shop_db")
    error: BaseException | None = raised.value
    assert "c4nary" not in "".join(traceback.format_exception(raised.value))
    while error is not None:
        assert "c4nary" not in f"{error!s} {error!r} {error.args!r} {vars(error)!r}"
        error = error.__cause__ or error.__context__
    return raised.value


def test_an_address_becomes_plain_data(secrets: SecretAccess) -> None:
    secrets.write(
        SECRET, "postgres://app%40acme:c4nary%2F%3A%40%23%3F%25@db.example:5433/shop?sslmode=require"
    )

    assert resolve("acme__shop_db") == Connection(
        conn_id="acme__shop_db",
        conn_type="postgres",
        host="db.example",
        port=5433,
        login="app@acme",
        database="shop",
        password="c4nary/:@#?%",
        extra={"sslmode": "require"},
    )


def test_json_becomes_plain_data_too(secrets: SecretAccess) -> None:
    document = {
        "conn_type": "aws",
        "login": "key",
        "password": "c4nary/@",
        "extra": {"endpoint_url": "http://s3"},
    }
    secrets.write(SECRET, json.dumps(document))

    found = resolve("acme__shop_db")

    assert (found.conn_type, found.login, found.password) == ("aws", "key", "c4nary/@")
    assert (found.port, found.host, found.extra) == (None, "", {"endpoint_url": "http://s3"})


def test_a_variable_wins_over_the_secret(secrets: SecretAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets.write(SECRET, "postgres://app@secret/shop")
    monkeypatch.setenv(VARIABLE, "postgres://app@variable/shop")

    assert resolve("acme__shop_db").host == "variable"


def test_no_password_stands_in_the_repr(secrets: SecretAccess) -> None:
    secrets.write(SECRET, "postgres://app:c4nary@db/shop?token=c4nary")

    assert "c4nary" not in repr(resolve("acme__shop_db"))


def test_missing_says_where_it_looked_and_how_to_store_it(secrets: SecretAccess) -> None:
    error = failure()

    assert type(error) is NotFoundError
    assert str(error) == (
        f"connection acme__shop_db does not exist: there is neither secret {SECRET} of project {PROJECT} nor a"
        f" variable {VARIABLE} nor an Airflow connection. Store it with {STORE}"
    )


def test_denied_says_what_to_grant(secrets: SecretAccess) -> None:
    secrets.write(SECRET, "postgres://app:c4nary@db/shop")
    name = f"projects/{PROJECT}/secrets/{SECRET}"
    secrets.client.update_secret(
        request={
            "secret": {"name": name, "labels": {"access": "denied"}},
            "update_mask": {"paths": ["labels"]},
        }
    )

    error = failure()

    assert type(error) is AccessDeniedError
    assert str(error) == (
        f"connection acme__shop_db: permission denied on secret {SECRET} of project {PROJECT}: grant this DAG's"
        " identity roles/secretmanager.secretAccessor on it"
    )


def test_a_server_that_is_away_is_transient(secrets: SecretAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_manager, "CALL_SECONDS", 0.3)
    monkeypatch.setenv("ETL_FACTORY_SECRET_MANAGER_ENDPOINT", "127.0.0.1:1")
    shared_access.cache_clear()

    error = failure()

    assert type(error) is TransientError
    assert str(error).startswith("connection acme__shop_db: Secret Manager does not answer: ")


def test_without_any_secret_manager_it_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    for name in (
        "ETL_FACTORY_SECRET_MANAGER_ENDPOINT",
        "ETL_FACTORY_SECRETS_PROJECT",
        "AIRFLOW__SECRETS__BACKEND",
    ):
        monkeypatch.delenv(name, raising=False)
    shared_access.cache_clear()

    error = failure()

    assert type(error) is NotFoundError
    assert f"there is neither secret {SECRET} of project (none set) nor a variable {VARIABLE}" in str(error)


UNREADABLE = [
    pytest.param(CUT.format("/"), id="a slash in the password"),
    pytest.param(CUT.format("#"), id="a hash in the password"),
    pytest.param(CUT.format("?"), id="a question mark in the password"),
    pytest.param(CUT.format("["), id="a bracket in the password"),
    pytest.param("postgres://app:p@db:c4nary/shop", id="a port that is no number"),
    pytest.param("postgres://app:p@db:99999999/shop?c4nary", id="a port that is too great"),
    pytest.param('{"conn_type": "postgres", "password": "c4nary"', id="broken JSON"),
    pytest.param('{"conn_type": "postgres", "pasword": "c4nary"}', id="an unknown key"),
    pytest.param('{"conn_type": "postgres", "port": "c4nary"}', id="a JSON port that is no number"),
    pytest.param("   ", id="blank"),
]


@pytest.mark.parametrize("value", UNREADABLE)
def test_an_unreadable_secret_says_so_and_nothing_of_its_value(secrets: SecretAccess, value: str) -> None:
    secrets.write(SECRET, value)

    error = failure()

    assert type(error) is TerminalError
    assert str(error) == (
        f"connection acme__shop_db: secret {SECRET} of project {PROJECT} exists, but is not a readable Airflow"
        " connection: expected a URI or JSON, with / ? # @ of a password written as %2F %3F %23 %40. Store it again"
        f" with {STORE}"
    )


@pytest.mark.parametrize("value", UNREADABLE)
def test_an_unreadable_variable_says_so_and_nothing_of_its_value(
    secrets: SecretAccess, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(VARIABLE, value)

    error = failure()

    assert type(error) is TerminalError
    assert str(error) == (
        f"connection acme__shop_db: variable {VARIABLE} is not a readable Airflow connection: expected a URI or"
        " JSON, with / ? # @ of a password written as %2F %3F %23 %40"
    )


@pytest.mark.parametrize("value", ["c4nary", "/c4nary", "?password=c4nary"])
def test_a_secret_that_is_no_address_is_not_taken_for_one(secrets: SecretAccess, value: str) -> None:
    secrets.write(SECRET, value)

    error = failure()

    assert type(error) is TerminalError
    assert str(error) == (
        "connection acme__shop_db is not a readable Airflow connection: expected a URI or JSON. Store it again with"
        f" {STORE}"
    )


def test_a_password_cut_at_a_slash_after_digits_is_not_shown_as_a_database(secrets: SecretAccess) -> None:
    secrets.write(SECRET, "postgres://app:12/c4nary@db:5432/shop")

    error = failure()

    assert type(error) is TerminalError
    assert str(error) == (
        "connection acme__shop_db is not a readable Airflow connection: there is an @ after its host, so its password"
        f" holds / ? or # as they are. Write them as %2F %3F %23, and store it again with {STORE}"
    )


@pytest.mark.parametrize("extra", ["{'token': 'c4nary'}", '["c4nary"]', '"c4nary"', "c4nary"])
def test_an_extra_that_is_no_object_is_not_left_out(secrets: SecretAccess, extra: str) -> None:
    secrets.write(SECRET, json.dumps({"conn_type": "postgres", "host": "db", "extra": extra}))

    error = failure()

    assert type(error) is TerminalError
    assert str(error) == (
        "connection acme__shop_db is not a readable Airflow connection: its extra field is not a JSON object. Store it"
        f" again with {STORE}"
    )


def test_bytes_that_are_no_text_are_told(secrets: SecretAccess) -> None:
    secrets.write(SECRET, "x")
    parent = f"projects/{PROJECT}/secrets/{SECRET}"
    secrets.client.add_secret_version(request={"parent": parent, "payload": {"data": b"c4nary\xff"}})

    error = failure()

    assert type(error) is TerminalError
    assert str(error) == (
        f"connection acme__shop_db: secret {SECRET} of project {PROJECT} is not UTF-8 text: store it again with {STORE}"
    )


def test_secrets_are_masked_however_an_address_spells_them(secrets: SecretAccess) -> None:
    from airflow.sdk._shared.secrets_masker import _secrets_masker

    connection_string = "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=c4nary-key==;"
    extra = {
        "connection_string": connection_string,
        "nested": {"sas_token": "c4nary-sas"},
        "old_passwords": ["c4nary-first", ["c4nary-second"]],
        "replicas": [{"host": "db-2.example", "password": "c4nary-replica"}],
        "region": "eu-west-1",
    }
    document = {"conn_type": "wasb", "password": "c4nary/p@ss w", "extra": extra}
    secrets.write(SECRET, json.dumps(document))

    resolve("acme__shop_db")

    shown = _secrets_masker().redact(
        f"c4nary/p@ss w | c4nary%2Fp%40ss%20w | c4nary%2Fp%40ss+w | {connection_string} | c4nary-key== | c4nary-sas |"
        " c4nary-first | c4nary-second | c4nary-replica | db-2.example | eu-west-1"
    )
    assert "c4nary" not in shown
    assert "db-2.example | eu-west-1" in shown
