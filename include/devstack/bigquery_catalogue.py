"""Answers the BigQuery emulator's questions about tables and columns from DuckLake's own small tables.

The emulator asks `duckdb_tables()` and its like about ten times per statement, and each call walks every table and
every query's result of all projects. The answers here are the same, and come from the database that DuckLake keeps
per project (https://ducklake.select/docs/stable/specification/tables/overview). What was seen of a table is kept
for the statement that is being translated, and no longer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import duckdb
from local_bigquery.catalog import datasets, iam, metadata, row_access, tabledata, tables
from local_bigquery.engine import database, types
from local_bigquery.engine.database import quote
from local_bigquery.errors import not_found
from local_bigquery.jobs import merge, query, store
from local_bigquery.sql import script
from local_bigquery.sql.rules import partitions

RESULTS = "emulator"
LIVE = "s.end_snapshot IS NULL AND o.end_snapshot IS NULL"
all_objects, list_datasets = database.objects, datasets.exists
thread = threading.local()
results: dict[tuple[str, ...], Seen] = {}
shapes: dict[tuple[str, ...], tuple[int, Seen | None]] = {}
known_fields: dict[tuple[Any, ...], list[Any]] = {}


class Seen(NamedTuple):
    """A table or view, how many rows were ever written to it, and its columns, nested ones included."""

    kind: str
    rows: int
    columns: tuple[Any, ...]


def fetch(sql: str, params: list[Any] | None = None) -> list[tuple[Any, ...]]:
    """Return a query's rows, over this thread's own connection."""
    connection = database.connection()
    if getattr(thread, "parent", None) is not connection:
        thread.parent, thread.cursor = connection, connection.cursor()
    found: list[tuple[Any, ...]] = thread.cursor.execute(sql, params).fetchall()
    return found


def translated(translate: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the translation of a statement, which looks at each table many times, and never at its rows."""

    def translate_once(tree: Any, context: Any) -> Any:
        thread.versions = {}
        try:
            return translate(tree, context)
        finally:
            thread.versions = None

    return translate_once


def _is_attached(project_id: str) -> bool:
    database.connection()
    return project_id in database._attached


def _kept(project_id: str, name: str) -> str:
    return quote(f"__ducklake_metadata_{project_id}", f"ducklake_{name}")


def _see(*table: str) -> Seen | None:
    """Look at a table, but not again where no table of its project has changed since."""
    project_id, versions = table[0], getattr(thread, "versions", None)
    if project_id == RESULTS:
        return _see_result(*table)
    if not _is_attached(project_id):
        return None
    if versions is None:
        return _look(*table)
    if project_id not in versions:
        newest = fetch(f"SELECT max(schema_version) FROM {_kept(project_id, 'snapshot')}")
        versions[project_id] = newest[0][0]
    version, found = shapes.get(table, (None, None))
    if version != versions[project_id]:
        found = _look(*table)
        shapes[table] = (versions[project_id], found)
    return found


def _look(project_id: str, dataset_id: str, table_id: str) -> Seen | None:
    schema = f"JOIN {_kept(project_id, 'schema')} AS s USING (schema_id) WHERE {LIVE} AND schema_name = $1"
    rows = fetch(
        "SELECT (coalesce(record_count, 0), column_id, parent_column, column_name, column_type, nulls_allowed)"
        f" FROM {_kept(project_id, 'table')} AS o JOIN {_kept(project_id, 'column')} AS c USING (table_id)"
        f" LEFT JOIN {_kept(project_id, 'table_stats')} USING (table_id)"
        f" {schema} AND table_name = $2 AND c.end_snapshot IS NULL ORDER BY column_id",
        [dataset_id, table_id],
    )
    if rows:
        return Seen("TABLE", rows[0][0][0], tuple(row[1:] for (row,) in rows))
    view = f"SELECT 1 FROM {_kept(project_id, 'view')} AS o {schema} AND view_name = $2"
    return Seen("VIEW", 0, ()) if fetch(view, [dataset_id, table_id]) else None


def _see_result(*table: str) -> Seen | None:
    """Look at a query's result, which never changes once it is there, nor is its name used again."""
    if table not in results:
        try:
            ((rows,),) = fetch(f"SELECT count(*) FROM {quote(*table)}")
        except duckdb.CatalogException:
            return None
        results[table] = Seen("TABLE", rows, ())
    return results[table]


def objects(project_id: str, dataset_id: str, table_id: str | None = None) -> list[tuple[str, str, int]]:
    """Return (name, TABLE or VIEW, rows written) of a dataset's tables, or of one."""
    if table_id is None:
        listed: list[tuple[str, str, int]] = all_objects(project_id, dataset_id)
        return listed
    found = _see(project_id, dataset_id, table_id)
    return [(table_id, found.kind, found.rows)] if found else []


def has_dataset(project_id: str, dataset_id: str) -> bool:
    """Say whether a dataset exists."""
    if not _is_attached(project_id):
        return bool(list_datasets(project_id, dataset_id))
    schemas = _kept(project_id, "schema")
    return bool(
        fetch(f"SELECT 1 FROM {schemas} WHERE end_snapshot IS NULL AND schema_name = $1", [dataset_id])
    )


def columns(project_id: str, dataset_id: str, table_id: str) -> list[Any]:
    """Return a table's fields; raises the emulator's own error for an absent table."""
    physical = tables.physical(project_id, dataset_id, table_id)
    found = _see(*physical)
    if found is None:
        raise not_found("Table", f"{project_id}:{dataset_id}.{table_id}")
    hidden = "" if dataset_id == tables.RESULTS else tables.INGESTION_TIME
    if not found.columns:
        return _fields(physical, set(), hidden)
    key = (hidden, found.columns)
    if key not in known_fields:
        required = {name for _, parent, name, _, nullable in found.columns if parent is None and not nullable}
        known_fields[key] = _fields(physical, required, hidden)
    return list(known_fields[key])


def _fields(physical: tuple[str, ...], required: set[str], hidden: str) -> list[Any]:
    with database.cursor() as cursor:
        relation = cursor.sql(f"SELECT * FROM {quote(*physical)} LIMIT 0")
        named = zip(relation.columns, relation.types, strict=True)
        return [types.field(name, kind, name in required) for name, kind in named if name != hidden]


def has_ingestion_time(table: Any) -> bool:
    """Say whether a table of a statement has the column that partitions it by the time of loading."""
    if not (table.catalog and table.db) or not isinstance(table.this, partitions.exp.Identifier):
        return False
    found = _see(table.catalog, table.db, table.name)
    return found is not None and any(name == tables.INGESTION_TIME for _, _, name, *_ in found.columns)


def install() -> None:
    """Put these in the place of the emulator's own."""
    for module in (database, iam, metadata, row_access, store):
        module.fetch = fetch
    database.objects, datasets.exists = objects, has_dataset
    tables.columns = tabledata.columns = columns
    partitions._hidden = has_ingestion_time
    for module in (query, script, merge):
        module.translate = translated(module.translate)
