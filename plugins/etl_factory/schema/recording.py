"""A resource's schema as the ledger keeps it: the source's own names and types, and all that inferred ones fit."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable

import pyarrow as pa

from etl_factory.schema.types import Field


def record(schema: pa.Schema, reads: str = "") -> str:
    """Write a schema as JSON: `columns` for people, `arrow` for `recorded`; `reads` fingerprints how it was read."""
    columns = [[field.name, str(field.type)] for field in schema]
    arrow = base64.b64encode(schema.serialize()).decode()
    return json.dumps({"reads": reads, "columns": columns, "arrow": arrow}, ensure_ascii=False)


def record_fields(fields: Iterable[Field]) -> str:
    """Write the columns of a source that has BigQuery's types itself."""
    return json.dumps({"columns": [[field.name, field.ddl] for field in fields]}, ensure_ascii=False)


def recorded(text: str, reads: str) -> pa.Schema | None:
    """Return what `record` wrote; None where nothing is kept, or what was read otherwise."""
    try:
        document = json.loads(text)
        if document["reads"] != reads:
            return None
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(document["arrow"])))
    except (ValueError, KeyError, TypeError, OSError):
        return None
