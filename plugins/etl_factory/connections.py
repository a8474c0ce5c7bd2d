"""Airflow connections as plain data for sources; a failure says exactly what is missing or denied."""

from __future__ import annotations

from typing import Any

from etl_factory.errors import AccessDeniedError, NotFoundError, TerminalError, TransientError
from etl_factory.sources.base import Connection


def resolve(conn_id: str) -> Connection:
    """Look up a tenant's connection at task time.

    Raises AccessDeniedError (denied), NotFoundError (no such secret, variable or connection),
    TerminalError (unreadable) or TransientError (Secret Manager does not answer).
    """
    from airflow.exceptions import AirflowNotFoundException  # noqa: PLC0415 - heavy
    from airflow.sdk import BaseHook  # noqa: PLC0415 - heavy
    from airflow.sdk.log import mask_secret  # noqa: PLC0415 - heavy

    try:
        found = BaseHook.get_connection(conn_id)
        extra = found.extra_dejson
    except PermissionError as error:
        raise AccessDeniedError(f"connection {conn_id}: {error}") from error
    except AirflowNotFoundException as error:
        _explain_missing(conn_id, error)
        raise
    except (ValueError, TypeError, KeyError) as error:
        raise TerminalError(
            f"connection {conn_id} is not a readable Airflow connection ({type(error).__name__}): store it again"
            f" with {_command(conn_id)}"
        ) from None
    for name, value in extra.items():
        mask_secret(value, name)
    return _plain(conn_id, found, extra)


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


def _explain_missing(conn_id: str, error: Exception) -> None:
    """Raise what Secret Manager itself says of a connection that Airflow did not find."""
    from google.api_core.exceptions import GoogleAPICallError, PermissionDenied  # noqa: PLC0415 - heavy

    from etl_factory.secret_manager import TenantSecretManagerBackend  # noqa: PLC0415 - heavy

    backend = TenantSecretManagerBackend()
    secret = backend.secret_id(conn_id)
    where = f"secret {secret} of project {backend.project_id or '(none set)'}"
    if backend.project_id:
        try:
            value = backend.access.read(secret)
        except PermissionDenied:
            raise AccessDeniedError(f"connection {conn_id}: {backend.denied_message(secret)}") from error
        except GoogleAPICallError as cause:
            raise TransientError(f"connection {conn_id}: Secret Manager does not answer: {cause}") from cause
        if value is not None:
            raise TerminalError(
                f"connection {conn_id}: {where} exists, but is not a readable Airflow connection: store it"
                f" again with {_command(conn_id)}"
            ) from None
    raise NotFoundError(
        f"connection {conn_id} does not exist: there is neither {where} nor a variable"
        f" AIRFLOW_CONN_{conn_id.upper()} nor an Airflow connection. Store it with {_command(conn_id)}"
    ) from error


def _command(conn_id: str) -> str:
    tenant, _, name = conn_id.partition("__")
    return f"`etl-factory secret set {tenant} {name} -`"
