"""How long BigQuery is waited for, and for how long a request that failed is repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

CONNECT_SECONDS = 30.0
# Of silence, before an answer and within it: longer than BigQuery itself holds back any answer, two minutes.
ANSWER_SECONDS = 300.0
REPEAT_SECONDS = 300.0  # from a request's first failure on; then Airflow's retry is next
FIRST_WAIT = 1.0  # on average before the first repetition; the next waits are twice as long each


def repeated() -> Any:
    """Return how a request is repeated."""
    from google.cloud.bigquery.retry import DEFAULT_RETRY

    return _within_limits(DEFAULT_RETRY)


def repeated_job() -> Any:
    """Return how a statement is repeated that may safely run twice."""
    from google.cloud.bigquery.retry import DEFAULT_JOB_RETRY

    return _within_limits(DEFAULT_JOB_RETRY)


def asked_anew() -> Any:
    """Return how a SELECT is asked again whose request is known already, since its answer was lost."""
    from google.api_core.exceptions import Conflict
    from google.api_core.retry import Retry, if_exception_type

    return Retry(if_exception_type(Conflict), initial=FIRST_WAIT, timeout=REPEAT_SECONDS)


def _within_limits(retry: Any) -> Any:
    return retry.with_delay(initial=FIRST_WAIT).with_timeout(REPEAT_SECONDS)


def bounded(client: Client) -> Client:
    """Let no request of a client wait for ever, as most of google's own do."""
    session = client._http
    if not session.is_mtls:  # else it has an adapter that holds the certificate
        session.mount("https://", _Bounded())
        session.mount("http://", _Bounded())
    return client


class _Bounded(HTTPAdapter):
    """Sends requests with a time limit, whatever the caller asks for."""

    def send(self, request: Any, stream: Any = False, timeout: Any = None, *more: Any, **named: Any) -> Any:
        asked = timeout if isinstance(timeout, int | float) else ANSWER_SECONDS
        limit = (min(asked, CONNECT_SECONDS), min(asked, ANSWER_SECONDS))
        return super().send(request, stream, limit, *more, **named)
