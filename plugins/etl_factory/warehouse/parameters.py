"""Python values as the typed parameters of a statement."""

from __future__ import annotations

from datetime import datetime
from typing import Any


def parameter(name: str, value: Any) -> Any:
    """Return a named parameter; a tuple is an array, and an empty one or None is of text."""
    from google.cloud.bigquery import ArrayQueryParameter, ScalarQueryParameter

    if isinstance(value, tuple):
        return ArrayQueryParameter(name, _bigquery_type(value[0]) if value else "STRING", list(value))
    return ScalarQueryParameter(name, _bigquery_type(value), value)


_PARAMETERS = ((bool, "BOOL"), (int, "INT64"), (float, "FLOAT64"), (datetime, "TIMESTAMP"))


def _bigquery_type(value: Any) -> str:
    for python_type, bigquery_type in _PARAMETERS:
        if isinstance(value, python_type):
            return bigquery_type
    return "STRING"
