"""BigQuery's errors by what to do about them."""

from __future__ import annotations

import pytest
import requests
from google.api_core.exceptions import RetryError, from_http_status
from google.auth.exceptions import RefreshError, TransportError

from etl_factory.errors import (
    AccessDeniedError,
    EtlFactoryError,
    NotFoundError,
    TerminalError,
    TransientError,
)
from etl_factory.warehouse.refusals import bigquery_errors, classify

CONFLICT = (
    "Transaction is aborted due to concurrent update against table acme-analytics:raw_etl._loads__shop_db__orders."
    " Transaction ID: 65"
)


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (503, "", TransientError),
        (500, "backendError", TransientError),
        (429, "", TransientError),
        (408, "", TransientError),
        (403, "rateLimitExceeded", TransientError),
        (403, "quotaExceeded", TransientError),
        (400, "jobBackendError", TransientError),
        (400, "", TerminalError),
        (400, "invalidQuery", TerminalError),
        (400, "resourcesExceeded", TerminalError),
        (500, "bytesBilledLimitExceeded", TerminalError),
        (501, "notImplemented", TerminalError),
        (403, "", AccessDeniedError),
        (403, "accessDenied", AccessDeniedError),
        (401, "", AccessDeniedError),
        (404, "notFound", NotFoundError),
        (409, "duplicate", TerminalError),
    ],
)
def test_an_error_is_told_by_reason_then_code(code: int, reason: str, error: type[EtlFactoryError]) -> None:
    given = from_http_status(code, "the message", errors=[{"reason": reason}] if reason else ())

    assert type(classify(given)) is error
    assert "the message" in str(classify(given))


@pytest.mark.parametrize(
    "message",
    [
        CONFLICT,
        "Could not serialize access to table acme:raw.orders due to concurrent update",
        "Transaction conflict on table raw.orders",
    ],
)
def test_a_lost_race_is_transient(message: str) -> None:
    error = classify(from_http_status(400, message))

    assert type(error) is TransientError
    assert str(error).startswith("BigQuery: another publish of this table won, this one will be retried: ")


def test_a_denial_says_what_to_grant() -> None:
    error = classify(from_http_status(403, "Access Denied: Dataset acme:raw"))

    assert str(error) == (
        "BigQuery refused: Access Denied: Dataset acme:raw. Grant the identity of this DAG BigQuery Data Editor on"
        " the tenant's datasets and BigQuery Job User on its project"
    )


def test_a_cost_limit_names_its_setting() -> None:
    error = classify(
        from_http_status(500, "Query exceeded limit", errors=[{"reason": "bytesBilledLimitExceeded"}])
    )

    assert str(error) == (
        "BigQuery: Query exceeded limit. Raise limits.maximum_bytes_billed in tenant.yaml, or read less"
    )


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (requests.exceptions.ConnectionError("refused"), TransientError),
        (requests.exceptions.ReadTimeout("slow"), TransientError),
        (TransportError("no route"), TransientError),
        (RetryError("gave up", None), TransientError),
        (TimeoutError("slow"), TransientError),
        (RefreshError("Unable to acquire impersonated credentials"), AccessDeniedError),
        (TransientError("ours"), TransientError),
    ],
)
def test_what_never_reached_bigquery_has_a_remedy_too(
    raised: Exception, error: type[EtlFactoryError]
) -> None:
    with pytest.raises(error) as caught, bigquery_errors():
        raise raised

    assert type(caught.value) is error


def test_denied_impersonation_says_what_to_grant() -> None:
    with pytest.raises(AccessDeniedError) as raised, bigquery_errors():
        raise RefreshError("no iam.serviceAccounts.getAccessToken")

    assert str(raised.value) == (
        "BigQuery cannot be asked, since no credentials could be had: no iam.serviceAccounts.getAccessToken. Check"
        " the Google connection, and that its identity may impersonate the tenant's `impersonate` (Service Account"
        " Token Creator)"
    )
