"""How long Cloud Storage is waited for, and for how long a request that failed is repeated."""

from __future__ import annotations

from typing import Any

ANSWER_SECONDS = 60.0  # of silence, before an answer and within it
REPEAT_SECONDS = 120.0  # from a request's first failure on; then Airflow's retry is next
FIRST_WAIT = 1.0  # on average before the first repetition; the next waits are twice as long each


def patience() -> dict[str, Any]:
    """Return `timeout` and `retry` for one call of google's client."""
    from google.cloud.storage.retry import DEFAULT_RETRY

    retry = DEFAULT_RETRY.with_delay(initial=FIRST_WAIT).with_timeout(REPEAT_SECONDS)
    return {"timeout": ANSWER_SECONDS, "retry": retry}
