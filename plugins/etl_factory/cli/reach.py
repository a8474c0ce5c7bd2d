"""How `check` and `discover` reach a source: its class, with the connection or client that it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from etl_factory.config.resource import Resource
from etl_factory.errors import AccessDeniedError, TerminalError, TransientError
from etl_factory.sources import source_class
from etl_factory.sources.base import Connection, Source


@contextmanager
def reached(resource: Resource) -> Iterator[Source]:
    """Yield the source of a resource, its connection looked up; what its clients raise becomes our errors."""
    from airflow.providers.common.compat.sdk import AirflowException
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import GoogleAuthError

    conn_id = resource.conn_id
    try:
        yield _source(resource)
    except GoogleAuthError as error:
        raise AccessDeniedError(f"connection {conn_id}: Google refuses its credentials: {error}") from error
    except (GoogleAPICallError, RetryError) as error:
        raise TransientError(f"connection {conn_id}: Google does not answer as it should: {error}") from error
    except AirflowException as error:
        raise TerminalError(f"connection {conn_id}: {error}") from error


def _source(resource: Resource) -> Source:
    from etl_factory import connections

    connection = connections.resolve(resource.conn_id)
    client = _client(resource)
    make: Callable[..., Source] = source_class(resource.source_type)
    return make(Connection(resource.conn_id), client) if client else make(connection)


def _client(resource: Resource) -> Any:
    """Return the client of a source on Google Cloud, None for any other."""
    from etl_factory.operators import google

    clients = {"bigquery": google.bigquery_client, "gcs": google.storage_client}
    make = clients.get(resource.source_type)
    return make(resource, resource.conn_id) if make else None
