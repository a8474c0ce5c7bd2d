"""Reads the primary key of every row at the source, so that publish finds what is gone there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from etl_factory.config.resource import Resource
from etl_factory.errors import AccountingError
from etl_factory.landing.manifest import Part
from etl_factory.landing.objects import Landing
from etl_factory.landing.parts import PartWriter
from etl_factory.sources.base import TableSnapshot

if TYPE_CHECKING:
    import pyarrow as pa


def write_keys(
    snapshot: TableSnapshot, resource: Resource, landing: Landing, prefix: str
) -> tuple[Part, ...]:
    """Stream all keys of the snapshot into parts of their own; none when the source is empty.

    Raises AccountingError when they are not as many as the source counts in the same snapshot.
    """
    count = snapshot.count(None)
    parts = write_parts(snapshot.read_keys(resource.spec.primary_key), landing, prefix, stem="keys")
    keys = sum(part.rows or 0 for part in parts)
    if keys != count:
        raise AccountingError(
            f"{resource.dag_id}.{resource.name}: the source counted {count} rows in all, but {keys} keys were read in"
            " the same snapshot. Nothing was published; report this with the task's log"
        )
    return parts


def write_parts(
    batches: Iterator[pa.RecordBatch], landing: Landing, prefix: str, *, stem: str = "part"
) -> tuple[Part, ...]:
    """Stream batches into parts, of the schema that the first batch has; no batch makes no part."""
    first = next(batches, None)
    if first is None:
        return ()
    with PartWriter(landing, prefix, first.schema, stem=stem) as writer:
        writer.write(first)
        for batch in batches:
            writer.write(batch)
    return tuple(writer.parts)
