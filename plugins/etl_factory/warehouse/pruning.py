"""Which partitions of the published table a merge looks at: constants, found before its transaction.

"To limit the partitions that are scanned in a query, use a constant expression in your filter. If you use dynamic
expressions in your query filter, BigQuery must scan all of the partitions."
https://cloud.google.com/bigquery/docs/querying-partitioned-tables

A row with a staged key may lie in another partition than the staged row, so the partitions that hold the staged keys
now are asked for, by the key and partition columns alone; the transaction asserts that they still are all. Only where
the partition column is part of the key do the staged rows say it by themselves. That a column never changes is nothing
that config could promise: one broken promise would publish a key twice, and nothing would show it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from etl_factory.warehouse.judgement import same_keys, staged_expression
from etl_factory.warehouse.publication import Publication
from etl_factory.warehouse.quoting import identifier, moment

if TYPE_CHECKING:
    from google.cloud.bigquery import Table

# More spans of partitions than this become one, which holds them all.
MOST_SPANS = 200


@dataclass(frozen=True)
class Partitioning:
    """A table's partition column with its type, and the unit of time that one partition spans."""

    column: str
    type: str
    unit: str


def partitioning(table: Table) -> Partitioning | None:
    """Return how a table is partitioned by a column of its source's; None when it is not.

    Partitions by a number, by the time of loading or by a column of ours, which somebody else made, are not pruned.
    """
    by = table.time_partitioning
    if by is None or by.field is None or by.field.startswith("_etl_"):
        return None
    column = next(field for field in table.schema if field.name.lower() == by.field.lower())
    return Partitioning(column.name, column.field_type, by.type_)


def touched(to: Publication, by: Partitioning) -> str:
    """Return the SELECT of where each partition begins that a merge may read or write; of NULL, for that of NULL."""
    staged = f"SELECT DISTINCT {_begin(by, _staged(to, by))} AS part FROM {identifier(to.staging)} AS s"
    if by.column in to.keys:
        return staged
    keys = ", ".join(
        f"{staged_expression(column)} AS {identifier(column.field.name)}"
        for column in to.columns
        if column.field.name in to.keys
    )
    return (
        f"{staged}\nUNION DISTINCT\n"
        f"SELECT {_begin(by, f't.{identifier(by.column)}')} AS part FROM {identifier(to.table)} AS t\n"
        f"JOIN (SELECT DISTINCT {keys} FROM {identifier(to.staging)} AS s) AS s ON {same_keys(to, 's', 't')}"
    )


def pruned(to: Publication, by: Partitioning, begins: Collection[date | None]) -> Publication:
    """Return a merge that looks at the partitions that begin there."""
    is_certain = by.column in to.keys
    return replace(to, partitions=_condition(by, begins), asserts_partitions=not is_certain)


def idle(to: Publication) -> Publication:
    """Return a merge of no rows, which looks at nothing."""
    return replace(to, partitions="FALSE")


def _staged(to: Publication, by: Partitioning) -> str:
    """Return what a staged row will hold in the partition column: NULL, where the source has it no longer."""
    own = (staged_expression(column) for column in to.columns if column.field.name == by.column)
    return next(own, f"CAST(NULL AS {by.type})")


def _begin(by: Partitioning, value: str) -> str:
    return f"{by.type}_TRUNC({value}, {by.unit})"


def _condition(by: Partitioning, begins: Collection[date | None]) -> str:
    column = f"t.{identifier(by.column)}"
    conditions = [
        f"{column} >= {moment(by.type, begin)}" + (f" AND {column} < {moment(by.type, end)}" if end else "")
        for begin, end in _spans(by.unit, [begin for begin in begins if begin is not None])
    ]
    if None in begins:
        conditions.append(f"{column} IS NULL")
    return " OR ".join(conditions) or "FALSE"


def _spans(unit: str, begins: Collection[date]) -> list[tuple[date, date | None]]:
    """Join partitions that follow each other; a span without an end reaches to the end of time."""
    spans: list[tuple[date, date | None]] = []
    for begin in sorted(begins):
        first = spans.pop()[0] if spans and spans[-1][1] == begin else begin
        spans.append((first, _after(unit, begin)))
    return spans if len(spans) <= MOST_SPANS else [(spans[0][0], spans[-1][1])]


def _after(unit: str, begin: date) -> date | None:
    """Return where the next partition begins; None for the last that there can be."""
    try:
        if unit == "YEAR":
            return begin.replace(year=begin.year + 1)
        if unit == "MONTH":
            return (begin + timedelta(days=31)).replace(day=1)
        return begin + timedelta(hours=1) if unit == "HOUR" else begin + timedelta(days=1)
    except (OverflowError, ValueError):
        return None
