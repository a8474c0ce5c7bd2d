"""`etl-factory secret`: a tenant's connections in Secret Manager."""

from __future__ import annotations

import json
import sys
from getpass import getpass
from typing import Annotated
from urllib.parse import urlsplit

import typer

from etl_factory.cli.options import AsJson, TenantName, finish, refuse
from etl_factory.errors import AccessDeniedError, TransientError
from etl_factory.sources.words import known_name

secret = typer.Typer(help="Store a tenant's connections in Secret Manager.", no_args_is_help=True)
ConnectionName = Annotated[
    str, typer.Argument(metavar="CONNECTION", help="The name that `connection` has in the source's file.")
]
Value = Annotated[
    str, typer.Argument(metavar="URI", help="Airflow connection, as URI or JSON; - reads standard input.")
]


@secret.callback()
def _group() -> None:
    """Store a tenant's connections in Secret Manager."""


@secret.command("set")
def set_(
    tenant: TenantName,
    connection: ConnectionName,
    uri: Value,
    as_json: AsJson = False,
) -> None:
    """Store a connection as a new version of its secret; the value is never shown.

    The project is ETL_FACTORY_SECRETS_PROJECT, or that of the Google credentials.
    """
    conn_id = f"{_name('TENANT', tenant)}__{_name('CONNECTION', connection)}"
    value = _value(uri)
    demand_connection(value)
    from etl_factory.cli.private_airflow import quiet_airflow

    with quiet_airflow():
        stored = store(conn_id, value)
    text = f"connection {conn_id} is stored: {stored['version']}"
    finish({"ok": True, "conn_id": conn_id, **stored}, text, as_json=as_json)


def _name(what: str, text: str) -> str:
    try:
        return known_name(text)
    except ValueError as error:
        refuse(f"{what}: {error}")


def _value(given: str) -> str:
    """Return the connection: standard input for `-`, without echo on a terminal; else the argument itself."""
    if given == "-":
        value = getpass("Connection (not shown): ") if sys.stdin.isatty() else sys.stdin.read()
    else:
        value = given
        typer.echo("warning: an argument stays in the shell's history; `-` reads standard input", err=True)
    if not value.strip():
        refuse("the connection is empty: nothing was stored")
    return value.strip()


def demand_connection(value: str) -> None:
    """End the command with 2 unless `value` is an Airflow connection; it is no part of the message."""
    try:
        is_one = bool(json.loads(value)["conn_type"]) if value.startswith("{") else _is_uri(value)
    except (ValueError, TypeError, LookupError):
        is_one = False
    if not is_one:
        refuse(
            "this is not an Airflow connection, nothing was stored: expected a URI such as"
            " postgres://login:password@host:5432/database (percent-encode :/?#[]@ within its parts), or JSON"
            ' with "conn_type"'
        )


def _is_uri(value: str) -> bool:
    parts = urlsplit(value)
    return bool(parts.scheme and "://" in value and (parts.port is None or parts.port))


def store(conn_id: str, value: str) -> dict[str, str]:
    """Add a version to a connection's secret; return the secret's id and the version's whole name.

    Raises AccessDeniedError (what to grant), TransientError, or ConfigError when no project is known.
    """
    import airflow.configuration  # noqa: F401 - loads the configured backend, which must not load it in turn
    from google.api_core.exceptions import GoogleAPICallError, PermissionDenied, RetryError
    from google.auth.exceptions import GoogleAuthError

    from etl_factory.secret_manager import TenantSecretManagerBackend

    backend = TenantSecretManagerBackend()
    secret_id = backend.secret_id(conn_id)
    try:
        return {"secret": secret_id, "version": backend.access.write(secret_id, value)}
    except PermissionDenied as error:
        raise AccessDeniedError(
            f"permission denied to write secret {secret_id} of project {backend.project_id}: grant this identity"
            " roles/secretmanager.admin on the project"
        ) from error
    except GoogleAuthError as error:
        raise AccessDeniedError(f"Secret Manager takes no credentials of this machine: {error}") from error
    except (GoogleAPICallError, RetryError) as error:
        where = backend.endpoint or "secretmanager.googleapis.com"
        raise TransientError(f"Secret Manager at {where} does not answer as it should: {error}") from error
