"""Airflow connections as plain data for sources; a failure says exactly what is missing or denied."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, quote_plus

from etl_factory.errors import AccessDeniedError, ConfigError, NotFoundError, TerminalError, TransientError
from etl_factory.sources.base import Connection

if TYPE_CHECKING:
    from etl_factory.secret_manager import TenantSecretManagerBackend

SECRET_NAME = re.compile("key|secret|token|passw|credential|connection_?string|sas|signature", re.IGNORECASE)


def resolve(conn_id: str) -> Connection:
    """Look up a tenant's connection at task time.

    Raises AccessDeniedError (denied), NotFoundError (no such secret, variable or connection),
    TerminalError (unreadable) or TransientError (Secret Manager does not answer).
    """
    from airflow.providers.common.compat.sdk import AirflowNotFoundException
    from airflow.sdk import BaseHook

    try:
        found = BaseHook.get_connection(conn_id)
    except PermissionError as error:
        raise AccessDeniedError(f"connection {conn_id}: {error}") from error
    except AirflowNotFoundException as error:
        _explain_missing(conn_id, error)
    except (ValueError, TypeError, LookupError, AttributeError):
        found = None  # raised below: this error may quote the secret
    if found is None or not (found.conn_type or found.host):
        raise TerminalError(
            f"{_unreadable(conn_id)}: expected a URI or JSON. Store it again with {_command(conn_id)}"
        )
    extra = _extra(conn_id, found.extra)
    _mask(found.password or "", extra)
    _check_address(conn_id, found)
    return _plain(conn_id, found, extra)


def _unreadable(conn_id: str) -> str:
    return f"connection {conn_id} is not a readable Airflow connection"


def _extra(conn_id: str, text: str | None) -> dict[str, Any]:
    """Decode the extra field; Airflow would go on without it, and so without what it sets, TLS for one."""
    with suppress(ValueError):
        extra = json.loads(text or "{}")
        if isinstance(extra, dict):
            return extra
    raise TerminalError(
        f"{_unreadable(conn_id)}: its extra field is not a JSON object. Store it again with {_command(conn_id)}"
    )


def _check_address(conn_id: str, found: Any) -> None:
    """Refuse an address whose password was cut in two: the rest of it would show up as a database's name."""
    if "@" in (found.schema or ""):
        raise TerminalError(
            f"{_unreadable(conn_id)}: there is an @ after its host, so its password holds / ? or # as they are."
            f" Write them as %2F %3F %23, and store it again with {_command(conn_id)}"
        )


def _mask(password: str, extra: Mapping[str, Any]) -> None:
    """Hide from every log what Airflow would not: the password as an address spells it, keys within extra."""
    from airflow.sdk.log import mask_secret

    for secret in {password, quote(password, safe=""), quote_plus(password)} - {""}:
        mask_secret(secret)
    for name, value in extra.items():
        mask_secret(value, name)
        for secret in _secrets(name, value):
            mask_secret(secret)


def _secrets(name: str, value: Any) -> Iterator[str]:
    """Find secret texts by the names that they stand under, inside lists and connection strings too."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _secrets(f"{name}.{key}", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _secrets(name, inner)
    elif isinstance(value, str) and value and SECRET_NAME.search(name):
        yield value
        for part in value.split(";"):
            key, _, inner = part.partition("=")
            if inner and SECRET_NAME.search(key):
                yield inner


def _plain(conn_id: str, found: Any, extra: dict[str, Any]) -> Connection:
    return Connection(
        conn_id=conn_id,
        conn_type=found.conn_type or "",
        host=found.host or "",
        port=found.port,
        login=found.login or "",
        database=found.schema or "",
        password=found.password or "",
        extra=extra,
    )


def _explain_missing(conn_id: str, error: Exception) -> NoReturn:
    """Raise what the environment or Secret Manager itself says of a connection that Airflow did not find."""
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    if variable in os.environ:
        raise TerminalError(
            f"connection {conn_id}: variable {variable} is not a readable Airflow connection: expected a URI or"
            " JSON, with / ? # @ of a password written as %2F %3F %23 %40"
        ) from error
    backend = _backend()
    secret = backend.secret_id(conn_id)
    value = _ask(backend, conn_id, secret, error)
    where = f"secret {secret} of project {backend.project_id or '(none set)'}"
    if value is not None:
        raise TerminalError(
            f"connection {conn_id}: {where} exists, but is not a readable Airflow connection: expected a URI or JSON,"
            f" with / ? # @ of a password written as %2F %3F %23 %40. Store it again with {_command(conn_id)}"
        ) from error
    raise NotFoundError(
        f"connection {conn_id} does not exist: there is neither {where} nor a variable {variable} nor an"
        f" Airflow connection. Store it with {_command(conn_id)}"
    ) from error


def _backend() -> TenantSecretManagerBackend:
    """Return the backend that Airflow asked, with its cache; else one as the environment says."""
    from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded

    from etl_factory.secret_manager import TenantSecretManagerBackend

    for backend in ensure_secrets_backend_loaded():
        if isinstance(backend, TenantSecretManagerBackend):
            return backend
    return TenantSecretManagerBackend()


def _ask(
    backend: TenantSecretManagerBackend, conn_id: str, secret: str, asked_before: Exception
) -> str | None:
    from google.api_core.exceptions import (
        GoogleAPICallError,
        PermissionDenied,
        RetryError,
        Unauthenticated,
    )
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError

    from etl_factory.secret_manager import transient_errors

    try:
        return backend.access.read(secret)
    except (ConfigError, DefaultCredentialsError):
        return None  # Secret Manager is not in use here, so it does not hold the connection
    except TerminalError as cause:
        raise TerminalError(f"connection {conn_id}: {cause} with {_command(conn_id)}") from cause
    except PermissionDenied:
        raise AccessDeniedError(f"connection {conn_id}: {backend.denied_message(secret)}") from asked_before
    except Unauthenticated as cause:
        raise AccessDeniedError(
            f"connection {conn_id}: Secret Manager does not know this machine's credentials: {cause}"
        ) from cause
    except (GoogleAPICallError, RetryError, GoogleAuthError) as cause:
        if isinstance(cause, GoogleAPICallError) and not isinstance(cause, transient_errors()):
            raise TerminalError(
                f"connection {conn_id}: Secret Manager refuses secret {secret} of project {backend.project_id}:"
                f" {cause}. Enable its latest version, or store it again with {_command(conn_id)}"
            ) from cause
        raise TransientError(f"connection {conn_id}: Secret Manager does not answer: {cause}") from cause


def _command(conn_id: str) -> str:
    tenant, _, name = conn_id.partition("__")
    return f"`etl-factory secret set {tenant} {name} -`"
