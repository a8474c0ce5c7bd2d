"""Serves local-bigquery with one defect mended: BYTES of a Parquet file are bytes, not base64 text.

Run by the emulator's own Python, with the emulator's own arguments.
"""

from __future__ import annotations

from typing import Any

from local_bigquery.cli import main
from local_bigquery.jobs import load

_projection, _decoded = load._projection, load._decoded


def projection(config: Any, fields: Any, columns: Any) -> tuple[str, str]:
    """Decode base64 in text formats only."""
    is_text = (config.sourceFormat or "CSV") in load.TEXT_FORMATS
    load._decoded = _decoded if is_text else lambda expression, field, depth=0: expression
    try:
        projected: tuple[str, str] = _projection(config, fields, columns)
        return projected
    finally:
        load._decoded = _decoded


load._projection = projection

if __name__ == "__main__":
    main()
