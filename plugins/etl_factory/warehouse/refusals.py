"""What an error of BigQuery means: the class of ours that says what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from etl_factory.errors import (
    AccessDeniedError,
    EtlFactoryError,
    NotFoundError,
    TerminalError,
    TransientError,
)

# BigQuery's word for a transaction that lost: https://cloud.google.com/bigquery/docs/transactions
_CONFLICTS = ("concurrent update", "transaction is aborted", "transaction conflict", "could not serialize")
_TRANSIENT_REASONS = {"backendError", "internalError", "rateLimitExceeded", "jobBackendError",
                      "jobInternalError", "jobRateLimitExceeded", "quotaExceeded", "tableUnavailable"}  # fmt: skip
_TERMINAL_REASONS = {"billingNotEnabled", "bytesBilledLimitExceeded", "notImplemented", "resourcesExceeded"}


@contextmanager
def bigquery_errors() -> Iterator[None]:
    """Turn google's exceptions into ours: the type says whether a retry will help."""
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import GoogleAuthError, TransportError
    from requests.exceptions import RequestException

    try:
        yield
    except (RetryError, TransportError, RequestException, TimeoutError) as error:
        raise TransientError(f"BigQuery does not answer: {error}") from error
    except GoogleAuthError as error:
        raise AccessDeniedError(
            f"BigQuery cannot be asked, since no credentials could be had: {error}. Check the Google connection,"
            " and that its identity may impersonate the tenant's `impersonate` (Service Account Token Creator)"
        ) from error
    except GoogleAPICallError as error:
        raise classify(error) from error


def classify(error: Any) -> EtlFactoryError:
    """Map one google.api_core error to the class of ours that says what to do.

    The reason comes before the code: the client gives 500 to every reason that it does not know.
    """
    text = str(error.message or error)
    reasons = {item.get("reason") for item in error.errors or () if isinstance(item, Mapping)}
    if error.code == 412 or any(word in text.lower() for word in _CONFLICTS):
        return TransientError(
            f"BigQuery: another publish of this table won, this one will be retried: {text}"
        )
    if reasons & _TRANSIENT_REASONS or (_is_transient(error.code) and not reasons & _TERMINAL_REASONS):
        return TransientError(f"BigQuery is not available for the moment: {text}")
    if error.code in (401, 403):
        return AccessDeniedError(
            f"BigQuery refused: {text}. Grant the identity of this DAG BigQuery Data Editor on the tenant's"
            " datasets and BigQuery Job User on its project"
        )
    if error.code == 404:
        return NotFoundError(f"BigQuery: {text}")
    if "bytesBilledLimitExceeded" in reasons:
        return TerminalError(
            f"BigQuery: {text}. Raise limits.maximum_bytes_billed in tenant.yaml, or read less"
        )
    return TerminalError(f"BigQuery: {text}")


def _is_transient(code: int | None) -> bool:
    return code is None or code >= 500 or code in (408, 429)
