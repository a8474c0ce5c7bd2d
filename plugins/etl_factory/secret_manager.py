"""Airflow's connections from Secret Manager, with an endpoint, a short cache, and denied told from missing."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException
from airflow.providers.google.cloud.secrets.secret_manager import CloudSecretManagerBackend
from airflow.secrets import BaseSecretsBackend

from etl_factory.errors import ConfigError, TerminalError
from etl_factory.settings import Settings

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient

TENANT_ID = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*__[a-z][a-z0-9]*(_[a-z0-9]+)*$")
# https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets/create
_SECRET_ID = re.compile(r"[a-zA-Z0-9_-]{1,255}")
VALUE_SECONDS = 60.0
MISSING_SECONDS = 5.0
CALL_SECONDS = 10.0  # for one look-up, with all its repetitions
ANSWER_SECONDS = 4.0  # for one request of it
FIRST_WAIT = 0.2
_REGIONAL = re.compile(r"^secretmanager\.([a-z0-9-]+)\.rep\.googleapis\.com(:\d+)?$")
_LOOPBACK = re.compile(r"^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$")


class SecretAccess:
    """Secrets of one project, read through one client per process and kept for a short while.

    `endpoint`: host:port; a loopback address is spoken to without TLS, empty means Google's own. Behind
    a regional endpoint the secrets are that region's, whose names carry it:
    https://cloud.google.com/secret-manager/regional-secrets/data-residency
    """

    def __init__(
        self,
        project: str,
        endpoint: str = "",
        credentials: Any = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.project, self.endpoint, self.credentials, self._clock = project, endpoint, credentials, clock
        region = _REGIONAL.match(endpoint)
        self.parent = f"projects/{project}" + (f"/locations/{region[1]}" if region else "")
        self.replication: dict[str, Any] = {} if region else {"replication": {"automatic": {}}}
        self._clients: dict[int, SecretManagerServiceClient] = {}
        self._cache: dict[str, tuple[float, str | None]] = {}

    @property
    def client(self) -> SecretManagerServiceClient:
        """Client of this very process: a gRPC channel does not survive a fork, nor being closed after one."""
        held = self._clients.get(os.getpid())
        return held or self._clients.setdefault(os.getpid(), self._connect())

    def _connect(self) -> SecretManagerServiceClient:
        from google.api_core.client_options import ClientOptions
        from google.cloud.secretmanager_v1 import SecretManagerServiceClient

        if not _LOOPBACK.match(self.endpoint):
            options = ClientOptions(api_endpoint=self.endpoint) if self.endpoint else None
            return SecretManagerServiceClient(credentials=self.credentials, client_options=options)
        import grpc
        from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
            SecretManagerServiceGrpcTransport,
        )

        channel = grpc.insecure_channel(self.endpoint)
        return SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))

    def read(self, secret_id: str) -> str | None:
        """Return a secret's latest value, None when there is none, or none can have this name.

        Raises google's PermissionDenied when it may not be read, and its transient errors after retries;
        TerminalError when it is no text.
        """
        if not _SECRET_ID.fullmatch(secret_id):
            return None
        moment = self._clock()
        expires, value = self._cache.get(secret_id, (0.0, None))
        if moment < expires:
            return value
        value = self._fetch(secret_id)
        self._cache[secret_id] = (moment + (MISSING_SECONDS if value is None else VALUE_SECONDS), value)
        return value

    def _fetch(self, secret_id: str) -> str | None:
        from google.api_core.exceptions import NotFound
        from google.api_core.timeout import ConstantTimeout

        name = f"{self.parent}/secrets/{secret_id}/versions/latest"
        patience: Any = ConstantTimeout(ANSWER_SECONDS)  # type: ignore[no-untyped-call]  # not annotated
        try:
            answer = self.client.access_secret_version(
                request={"name": name}, timeout=patience, retry=_retry()
            )
        except NotFound:
            return None
        with suppress(UnicodeDecodeError):  # it would carry the whole value along
            return answer.payload.data.decode()
        raise TerminalError(f"secret {secret_id} of project {self.project} is not UTF-8 text: store it again")

    def write(self, secret_id: str, value: str) -> str:
        """Add a version to a secret, creating it first if needed; return the version's name."""
        from google.api_core.exceptions import AlreadyExists

        request = {"parent": self.parent, "secret_id": secret_id, "secret": self.replication}
        with suppress(AlreadyExists):
            self.client.create_secret(request=request, timeout=CALL_SECONDS)
        version = self.client.add_secret_version(
            request={"parent": f"{self.parent}/secrets/{secret_id}", "payload": {"data": value.encode()}},
            timeout=CALL_SECONDS,
        )
        self._cache.pop(secret_id, None)
        return str(version.name)


def _retry() -> Any:
    """Wait out a server that is briefly away, for less long than a task or a person would mind."""
    from google.api_core.retry import Retry, if_exception_type

    transient = if_exception_type(*transient_errors())
    return Retry(predicate=transient, initial=FIRST_WAIT, maximum=2.0, multiplier=2.0, timeout=CALL_SECONDS)


def transient_errors() -> tuple[type[Exception], ...]:
    """Return google's errors that waiting may cure; Unknown is how gRPC speaks of a stream that was cut."""
    from google.api_core import exceptions as google

    return (
        google.Aborted,
        google.DeadlineExceeded,
        google.InternalServerError,
        google.ServiceUnavailable,
        google.TooManyRequests,
        google.Unknown,
    )


@lru_cache
def shared_access(project: str, endpoint: str) -> SecretAccess:
    """Return this process's access to a project's secrets: Airflow makes a new backend for every look-up.

    Credentials, and a project that is not given, are the machine's own; raises ConfigError when there is none.
    """
    credentials = None
    if not _LOOPBACK.match(endpoint):
        import google.auth

        credentials, found = google.auth.default()
        project = project or found or ""
    if not project:
        raise ConfigError(
            "no project is set for secrets: give project_id in [secrets] backend_kwargs, or"
            " ETL_FACTORY_SECRETS_PROJECT"
        )
    return SecretAccess(project, endpoint, credentials)


class TenantSecretManagerBackend(CloudSecretManagerBackend):
    """The providers' backend, mended: `acme__shop_db` is secret `airflow-connections-acme__shop_db`.

    A tenant's connection that may not be read, or asked for, raises, instead of passing for one that does not exist;
    one that is missing is None, so that Airflow asks its next backend. An environment variable
    `AIRFLOW_CONN_<ID>` wins, without a call. Credentials are looked up at the first use, not when
    Airflow starts.

    :param endpoint: regional endpoint, or host:port of a local server (without TLS on loopback only).
    :param project_id: project of the secrets; by default `ETL_FACTORY_SECRETS_PROJECT`.
    :param connections_prefix: first part of a connection's secret id.
    :param variables_prefix: the same for Airflow variables; None leaves them out.
    :param config_prefix: the same for Airflow's configuration; None leaves it out.
    :param sep: what joins prefix and id.
    """

    def __init__(
        self,
        endpoint: str = "",
        project_id: str = "",
        connections_prefix: str = "airflow-connections",
        variables_prefix: str | None = None,
        config_prefix: str | None = None,
        sep: str = "-",
    ) -> None:
        BaseSecretsBackend.__init__(self)
        demand_readable_kwargs()
        settings = Settings.from_environment()
        self.connections_prefix = connections_prefix
        self.variables_prefix = variables_prefix  # type: ignore[assignment]  # the parent handles None
        self.config_prefix = config_prefix  # type: ignore[assignment]  # the parent handles None
        self.sep = sep
        self.endpoint = endpoint or settings.secret_manager_endpoint
        self.project_id = project_id or settings.secrets_project
        self._access: SecretAccess | None = None

    @property
    def access(self) -> SecretAccess:
        """Secrets of the configured project; credentials and project default to the machine's own."""
        if self._access is None:
            self._access = shared_access(self.project_id, self.endpoint)
            self.project_id = self._access.project
        return self._access

    def secret_id(self, conn_id: str) -> str:
        """Return the secret that holds a connection."""
        return f"{self.connections_prefix}{self.sep}{conn_id}"

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        """Return a connection as URI or JSON text, None when Secret Manager has none."""
        if f"AIRFLOW_CONN_{conn_id.upper()}" in os.environ:
            return None
        return super().get_conn_value(conn_id)

    def _get_secret(self, path_prefix: str, secret_id: str, team_name: str | None = None) -> str | None:
        from google.api_core.exceptions import InvalidArgument, PermissionDenied

        name = f"{path_prefix}{self.sep}{secret_id}"
        try:
            return self.access.read(name)
        except PermissionDenied as error:
            if not TENANT_ID.match(secret_id):
                self.log.warning("Secret Manager denies secret %s to this identity", name)
                return None
            raise _denied_class()(self.denied_message(name)) from error
        except InvalidArgument as error:
            raise _denied_class()(
                f"Secret Manager refuses to be asked for secret {name} of project {self.project_id} ({error.message}):"
                " correct project_id or endpoint in [secrets] backend_kwargs"
            ) from error

    def deserialize_connection(self, conn_id: str, value: str) -> Any:
        """Make a connection of a secret's value; Airflow's own error would quote the value."""
        try:
            return super().deserialize_connection(conn_id, value)
        except (AirflowException, ValueError, TypeError, LookupError) as error:
            reason = type(error).__name__
        raise ValueError(f"secret {self.secret_id(conn_id)} is neither a connection URI nor JSON ({reason})")

    def denied_message(self, secret_id: str) -> str:
        """Say exactly what is denied and what to grant."""
        return (
            f"permission denied on secret {secret_id} of project {self.project_id}: grant this DAG's identity"
            " roles/secretmanager.secretAccessor on it"
        )


def demand_readable_kwargs() -> None:
    """Raise ConfigError for arguments that Airflow left out, with a warning, since they are no JSON object."""
    from airflow.providers.common.compat.sdk import conf

    for section, key in (("secrets", "backend_kwargs"), ("workers", "secrets_backend_kwargs")):
        text = conf.get(section, key, fallback="") or "{}"
        readable = None
        with suppress(ValueError):
            readable = json.loads(text)
        if not isinstance(readable, dict):
            raise ConfigError(
                f"[{section}] {key} is not a JSON object, so Airflow would ask for secrets without it: write it as"
                ' {"project_id": "..."}'
            )


def _denied_class() -> type[Exception]:
    """Return the error that keeps Airflow from asking its next backend; older ones have none."""
    from airflow.sdk import exceptions

    return getattr(exceptions, "AirflowSecretsBackendAccessDenied", PermissionError)
