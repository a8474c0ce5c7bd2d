"""Seals staging tables once they are filled, so that publish notices when one was changed."""

from __future__ import annotations

from collections.abc import Iterable

from etl_factory.errors import StaleError
from etl_factory.landing.manifest import Manifest
from etl_factory.warehouse.client import Warehouse


def seal(warehouse: Warehouse, tables: Iterable[str]) -> dict[str, str]:
    """Say of each table what BigQuery says of it: any write to it changes that.

    `numRows` and `lastModifiedTime`: https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#Table
    Raises StaleError when a table is gone.
    """
    return {table: _seal(warehouse, table) for table in tables}


def demand_sealed(warehouse: Warehouse, manifest: Manifest) -> None:
    """Raise StaleError, which names the table, unless every staging table is as it was when it had been filled."""
    for table, was in manifest.seals.items():
        now = _seal(warehouse, table)
        if now != was:
            raise StaleError(
                f"staging table {table} was changed after it had been filled: it had {was}, and has {now}."
                " Nothing was published; clear the run from `extract`"
            )


def _seal(warehouse: Warehouse, table: str) -> str:
    held = warehouse.table(table)
    if held is None:
        raise StaleError(f"staging table {table} is gone: clear the run from `extract`")
    return f"{held.num_rows} rows, last modified {held.modified}"
