"""Cleans the source's keys just as the rows are cleaned, so that equal keys stay equal."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from etl_factory.landing.manifest import Part
from etl_factory.landing.objects import Landing
from etl_factory.landing.parts import PartWriter
from etl_factory.operators.table_parts import demand_rows, is_clean, table_batches
from etl_factory.schema.sanitize import Cleaning, clean


def cleaning_of(keys: Collection[str], cleaning: Cleaning) -> Cleaning:
    """Return the cleaning of the key columns alone."""
    return replace(cleaning, columns=tuple(column for column in cleaning.columns if column.original in keys))


def clean_keys(
    parts: tuple[Part, ...], cleaning: Cleaning, landing: Landing, prefix: str
) -> tuple[Part, ...]:
    """Write clean parts of the keys, or return extract's own where they are clean already.

    A key that cannot be cast is left out: no row with it can be published. Raises AccountingError when a part
    holds not as many keys as extract wrote.
    """
    if all(is_clean(landing, part, cleaning) for part in parts):
        return parts
    with PartWriter(landing, prefix, cleaning.arrow, stem="keys") as writer:
        for part in parts:
            _clean_part(part, cleaning, landing, writer)
    return tuple(writer.parts)


def _clean_part(part: Part, cleaning: Cleaning, landing: Landing, writer: PartWriter) -> None:
    read = 0
    for batch in table_batches(landing, part):
        read += batch.rows.num_rows
        if (rows := clean(batch, cleaning).rows).num_rows:
            writer.write(rows)
    demand_rows(part, read)
