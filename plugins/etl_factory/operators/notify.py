"""Tells people that a task has failed for good: by e-mail, or by a POST to the tenant's webhook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from etl_factory import connections
from etl_factory.config.models import Tenant
from etl_factory.errors import TransientError
from etl_factory.sources.base import Connection

SMTP_CONN_ID = "smtp_default"
TIMEOUT_SECONDS = 20
MAX_ERROR = 2000
# What is changed in the YAML or at the source takes effect where it is read again: at `extract`.
_REMEDIES = {
    "ConfigError": "Correct the YAML that the error names, then clear the run from `extract`.",
    "SchemaError": "Change the contract, a rename or a type in the YAML, then clear the run from `extract`.",
    "StaleError": "Clear the run from `extract`.",
    "AccountingError": "Clear the run from `extract`.",
    "QuarantineError": (
        "Look at the bad rows that the error shows, correct the data or max_bad_rows, then clear the run from"
        " `extract`."
    ),
    "AccessDeniedError": "Grant the permission that the error names, then clear the task.",
    "NotFoundError": (
        "Create what the error names or correct its name in the YAML, then clear the run from `extract`."
    ),
}


@dataclass(frozen=True)
class Failure:
    """What is said of one failed task."""

    tenant: str
    source: str
    resource: str
    task: str
    run_id: str
    error: str
    log_url: str
    next_step: str

    @property
    def title(self) -> str:
        """One line that names the place."""
        return f"ETL Factory: {self.tenant} / {self.source} / {self.resource}: {self.task} failed"

    @property
    def text(self) -> str:
        """The whole message, as plain text."""
        parts = {"Run": self.run_id, "Error": self.error, "Log": self.log_url, "Next": self.next_step}
        return "\n".join([self.title, "", *(f"{name}: {value}" for name, value in parts.items())])


def describe(context: Mapping[str, Any]) -> Failure:
    """Collect from a failed task's context what a person needs; secrets that Airflow knows are masked."""
    from airflow.providers.common.compat.sdk import redact

    ti = context["ti"]
    tenant, _, source = ti.dag_id.partition("__")
    resource, _, task = ti.task_id.rpartition(".")
    error = str(redact(str(context.get("exception") or "no error was recorded")))
    kind = error.partition(":")[0]
    return Failure(
        tenant=tenant,
        source=source,
        resource=resource or "-",
        task=task,
        run_id=ti.run_id,
        error=error[:MAX_ERROR],
        log_url=str(ti.log_url),
        next_step=_REMEDIES.get(kind, "Open the log, correct what the error names, then clear the task."),
    )


@dataclass(frozen=True)
class EmailNotice:
    """A failure callback that sends an e-mail through the connection `smtp_default`."""

    to: tuple[str, ...]

    def __call__(self, context: Mapping[str, Any]) -> None:
        """Send the message; an error of the mail server is the callback's own, and logged by Airflow."""
        from html import escape

        from airflow.providers.smtp.hooks.smtp import SmtpHook

        failure = describe(context)
        with SmtpHook(smtp_conn_id=SMTP_CONN_ID) as hook:
            hook.send_email_smtp(
                to=list(self.to), subject=failure.title, html_content=f"<pre>{escape(failure.text)}</pre>"
            )


@dataclass(frozen=True)
class WebhookNotice:
    """A failure callback that POSTs JSON; the address is read from the connection when it is needed.

    `text` is the whole message, as chat tools want it; the other keys are the parts of it.
    """

    conn_id: str

    def __call__(self, context: Mapping[str, Any]) -> None:
        """POST the message; raises TransientError without the address, which may itself be a secret."""
        import requests
        from airflow.sdk.log import mask_secret

        failure = describe(context)
        connection = connections.resolve(self.conn_id)
        address = webhook_address(connection)
        mask_secret(address)
        body = {"text": failure.text, **asdict(failure)}
        headers = {"Authorization": f"Bearer {connection.password}"} if connection.password else {}
        try:
            answer = requests.post(address, json=body, headers=headers, timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise TransientError(f"webhook {self.conn_id}: {type(error).__name__}") from None
        if not answer.ok:
            raise TransientError(f"webhook {self.conn_id}: the server answered {answer.status_code}")


def webhook_address(connection: Connection) -> str:
    """Build the address from an http(s) connection; its path may stand in the host or in the schema."""
    if "://" in connection.host:
        return connection.host
    scheme = connection.conn_type if connection.conn_type in ("http", "https") else "https"
    port = f":{connection.port}" if connection.port else ""
    return f"{scheme}://{connection.host}{port}/{connection.database}"


def failure_callbacks(tenant: Tenant) -> list[Callable[[Mapping[str, Any]], None]]:
    """Return the callbacks that a tenant's `notify` asks for; Airflow runs each on its own."""
    notify = tenant.notify
    callbacks: list[Callable[[Mapping[str, Any]], None]] = []
    if notify.email:
        callbacks.append(EmailNotice(notify.email))
    if notify.webhook:
        callbacks.append(WebhookNotice(f"{tenant.tenant}__{notify.webhook}"))
    return callbacks
