"""How names and texts stand in BigQuery SQL: https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical"""

from __future__ import annotations

from datetime import date, datetime

_ESCAPES = str.maketrans({"\\": "\\\\", "`": "\\`", "'": "\\'", "\n": "\\n", "\r": "\\r", "\0": "\\0"})


def identifier(name: str) -> str:
    """Quote a column's name, or a table's whole `project.dataset.table`."""
    return f"`{name.translate(_ESCAPES)}`"


def identifiers(*names: str) -> str:
    """Quote names and join them by commas."""
    return ", ".join(map(identifier, names))


def text(value: str) -> str:
    """Quote a text; values of rows and runs never stand in SQL, they are parameters."""
    return f"'{value.translate(_ESCAPES)}'"


def moment(type_: str, value: date) -> str:
    """Write a DATE, DATETIME or TIMESTAMP as a constant: BigQuery prunes partitions by nothing else."""
    spelt = value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat()
    return f"{type_} '{spelt}'"
