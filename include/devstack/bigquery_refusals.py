"""Says in BigQuery's words that a transaction lost to another one, where the emulator repeats DuckLake's.

BigQuery cancels the transaction that comes later: https://cloud.google.com/bigquery/docs/transactions
"""

from __future__ import annotations

from typing import Any

from local_bigquery import errors
from local_bigquery.jobs import query

from_duckdb = errors.from_duckdb
WORDS = "Transaction is aborted due to concurrent update against a table"


def refusal(error: Exception, *more: Any) -> Any:
    """Return the emulator's error for one of DuckDB's."""
    if "Transaction conflict" in str(error):
        return errors.BigQueryError("invalidQuery", f"{WORDS}: {str(error).rpartition('conflict - ')[2]}")
    return from_duckdb(error, *more)


def install() -> None:
    """Put this in the place of the emulator's own."""
    errors.from_duckdb = query.from_duckdb = refusal
