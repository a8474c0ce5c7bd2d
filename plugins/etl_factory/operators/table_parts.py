"""Reads the Parquet parts that extract wrote of a table, and tells which of them need no cleaning."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pyarrow.parquet as pq

from etl_factory.errors import AccountingError
from etl_factory.landing.manifest import Part
from etl_factory.landing.objects import Landing
from etl_factory.schema.rows import Batch, numbered
from etl_factory.schema.sanitize import Cleaning, clean

ROWS_AT_ONCE = 65_536


def table_batches(landing: Landing, part: Part) -> Iterator[Batch]:
    """Stream the rows of a part, numbered from 1."""
    number = 0
    with landing.open(part) as stream:
        file = pq.ParquetFile(io.BufferedReader(stream))  # type: ignore[type-var]  # readable
        for rows in file.iter_batches(batch_size=ROWS_AT_ONCE):
            yield numbered(rows, number + 1)
            number += rows.num_rows


def is_clean(landing: Landing, part: Part, cleaning: Cleaning) -> bool:
    """Tell whether cleaning would write the very same rows again.

    Raises AccountingError when the part holds not as many rows as extract wrote.
    """
    with landing.open(part) as stream:
        file = pq.ParquetFile(io.BufferedReader(stream))  # type: ignore[type-var]  # readable
        if not cleaning.keeps(file.schema_arrow):
            return False
        demand_rows(part, file.metadata.num_rows)
        checked = cleaning.doubtful
        names = checked.arrow.names
        batches = file.iter_batches(batch_size=ROWS_AT_ONCE, columns=names) if names else iter(())
        return all(clean(numbered(rows, 1), checked).rows.equals(rows) for rows in batches)


def demand_rows(part: Part, rows: int) -> None:
    """Raise AccountingError unless a part, where extract counted its rows, holds just so many."""
    if part.rows is not None and part.rows != rows:
        raise AccountingError(
            f"{part.uri} holds {rows} rows, extract wrote {part.rows}. Nothing was published; clear the run from"
            " `extract`"
        )
