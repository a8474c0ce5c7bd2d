"""Failure callbacks, sent to a real mail server and a real web server on this machine."""

from __future__ import annotations

import base64
import email
import json
import pickle
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from etl_factory.config.models import Notify, Tenant
from etl_factory.errors import (
    AccountingError,
    ConfigError,
    NotFoundError,
    QuarantineError,
    SchemaError,
    StaleError,
    TransientError,
)
from etl_factory.operators.notify import (
    EmailNotice,
    WebhookNotice,
    describe,
    failure_callbacks,
    webhook_address,
)
from etl_factory.sources.base import Connection

TENANT = Tenant(
    tenant="acme",
    project="acme-analytics",
    location="EU",
    dataset="raw",
    landing="gs://acme-landing",
    notify=Notify(email=("data@acme.example", "ops@acme.example"), webhook="alerts"),
)
ERROR = "NotFoundError: table public.orders does not exist: correct `table` <in> the YAML"


@pytest.fixture
def context() -> dict[str, Any]:
    """Return what Airflow hands to a callback of a failed task."""
    task = SimpleNamespace(
        dag_id="acme__shop_db",
        task_id="orders.extract",
        run_id="scheduled__2025-01-01",
        log_url="http://airflow.example/dags/acme__shop_db/log",
    )
    return {"ti": task, "exception": RuntimeError(ERROR)}


class Inbox:
    """Keeps what a mail server receives."""

    def __init__(self) -> None:
        self.envelopes: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.envelopes.append(envelope)
        return "250 OK"


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    """Run a mail server and point `smtp_default` at it."""
    inbox = Inbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Controller(inbox, hostname="127.0.0.1", port=port)
    server.start()
    connection = {
        "conn_type": "smtp",
        "host": "127.0.0.1",
        "port": port,
        "extra": {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@acme.example"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(connection))
    yield inbox
    server.stop()


class Hook(BaseHTTPRequestHandler):
    """A webhook that keeps what it is sent and answers as it is told."""

    status = 200
    seen: list[tuple[str, str | None, dict[str, Any]]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.append((self.path, self.headers.get("Authorization"), body))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hook]]:
    """Run a web server and store its address, with a token in its path, as acme's connection `alerts`."""
    handler = type("Handler", (Hook,), {"seen": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://:b3arer@127.0.0.1:{server.server_port}/services/T0/s3cret"
    monkeypatch.setenv("AIRFLOW_CONN_ACME__ALERTS", address)
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_email(inbox: Inbox, context: dict[str, Any]) -> None:
    EmailNotice(("data@acme.example", "ops@acme.example"))(context)

    (envelope,) = inbox.envelopes
    message = email.message_from_bytes(envelope.content)
    text = base64.b64decode(message.get_payload()[0].get_payload()).decode()
    assert envelope.rcpt_tos == ["data@acme.example", "ops@acme.example"]
    assert envelope.mail_from == "airflow@acme.example"
    assert message["Subject"] == "ETL Factory: acme / shop_db / orders: extract failed"
    assert "table public.orders does not exist: correct `table` &lt;in&gt; the YAML" in text
    assert "Log: http://airflow.example/dags/acme__shop_db/log" in text
    assert (
        "Next: Create what the error names or correct its name in the YAML, then clear the run from `extract`."
        in text
    )


def test_webhook(hook: type[Hook], context: dict[str, Any]) -> None:
    WebhookNotice("acme__alerts")(context)

    ((path, authorization, body),) = hook.seen
    text = body.pop("text")
    assert (path, authorization) == ("/services/T0/s3cret", "Bearer b3arer")
    assert body == {
        "tenant": "acme",
        "source": "shop_db",
        "resource": "orders",
        "task": "extract",
        "run_id": "scheduled__2025-01-01",
        "error": ERROR,
        "log_url": "http://airflow.example/dags/acme__shop_db/log",
        "next_step": "Create what the error names or correct its name in the YAML, then clear the run from `extract`.",
    }
    assert text.splitlines()[0] == "ETL Factory: acme / shop_db / orders: extract failed"


@pytest.mark.parametrize(
    "error", [ConfigError, SchemaError, StaleError, AccountingError, QuarantineError, NotFoundError]
)
def test_what_is_corrected_at_the_source_or_in_the_yaml_is_read_again(
    context: dict[str, Any], error: type[Exception]
) -> None:
    context["exception"] = RuntimeError(f"{error.__name__}: 4 of 10 rows are bad")

    assert "lear the run from `extract`." in describe(context).next_step


def test_what_is_granted_needs_no_more_than_another_try(context: dict[str, Any]) -> None:
    context["exception"] = RuntimeError("AccessDeniedError: BigQuery refused")

    assert describe(context).next_step.endswith("then clear the task.")


def test_a_webhook_that_refuses_says_so_without_its_address(
    hook: type[Hook], context: dict[str, Any]
) -> None:
    hook.status = 503

    with pytest.raises(TransientError) as raised:
        WebhookNotice("acme__alerts")(context)

    assert str(raised.value) == "webhook acme__alerts: the server answered 503"


def test_a_webhook_that_is_away_says_so_without_its_address(
    monkeypatch: pytest.MonkeyPatch, context: dict[str, Any]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ACME__ALERTS", "http://127.0.0.1:9/services/T0/s3cret")

    with pytest.raises(TransientError) as raised:
        WebhookNotice("acme__alerts")(context)

    assert str(raised.value) == "webhook acme__alerts: ConnectionError"
    assert raised.value.__cause__ is None


def test_known_secrets_are_masked(hook: type[Hook], context: dict[str, Any]) -> None:
    from airflow.sdk.log import mask_secret

    mask_secret("hunter22-canary")
    context["exception"] = RuntimeError("login app:hunter22-canary refused")

    WebhookNotice("acme__alerts")(context)

    assert hook.seen[0][2]["error"] == "login app:*** refused"


@pytest.mark.parametrize(
    ("connection", "address"),
    [
        (Connection("c", host="https://hooks.example.com/a/b"), "https://hooks.example.com/a/b"),
        (
            Connection("c", conn_type="https", host="hooks.example.com", database="a/b"),
            "https://hooks.example.com/a/b",
        ),
        (Connection("c", conn_type="http", host="h", port=81, database="a"), "http://h:81/a"),
        (Connection("c", host="h"), "https://h/"),
    ],
)
def test_where_an_address_may_stand(connection: Connection, address: str) -> None:
    assert webhook_address(connection) == address


def test_callbacks_come_from_the_tenant_and_survive_pickling() -> None:
    callbacks = failure_callbacks(TENANT)

    assert callbacks == [
        EmailNotice(("data@acme.example", "ops@acme.example")),
        WebhookNotice("acme__alerts"),
    ]
    assert pickle.loads(pickle.dumps(callbacks)) == callbacks
    assert failure_callbacks(TENANT.model_copy(update={"notify": Notify()})) == []
