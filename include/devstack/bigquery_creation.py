"""Makes each dataset and table one at a time, so that of two who make one the later finds it, as on BigQuery.

Two who look at once would both find nothing, and DuckLake refuses the later one's commit by an error of its own.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from local_bigquery.catalog import datasets, names, tables
from local_bigquery.jobs import query
from sqlglot import exp

locks: defaultdict[tuple[str, ...], threading.RLock] = defaultdict(threading.RLock)
create_dataset, create_table, run_statement = datasets.create, tables.create, query._run


def dataset(project_id: str, body: Any) -> Any:
    """Make a dataset for the API; raises the emulator's own error where there is one."""
    with locks[(project_id,)]:
        return create_dataset(project_id, body)


def table(project_id: str, dataset_id: str, body: Any, translate: Any) -> Any:
    """Make a table for the API; raises the emulator's own error where there is one."""
    reference = body.tableReference and body.tableReference.tableId
    with locks[(project_id, dataset_id, str(reference))]:
        return create_table(project_id, dataset_id, body, translate)


def statement(cursor: Any, tree: Any, context: Any, *more: Any) -> Any:
    """Run a statement of a script; no two change the schema of one table at once."""
    with _turn(tree, context):
        return run_statement(cursor, tree, context, *more)


def _turn(tree: Any, context: Any) -> AbstractContextManager[Any]:
    changed = tree.find(exp.Table) if isinstance(tree, query.DDL) else None
    if changed is None or tree.find(exp.TemporaryProperty):
        return nullcontext()
    if tree.args.get("kind") == "SCHEMA":
        return locks[(changed.catalog or context.project_id,)]
    return locks[names.reference(changed, context.project_id, context.dataset_id or "")]


def install() -> None:
    """Put these in the place of the emulator's own."""
    datasets.create, tables.create, query._run = dataset, table, statement
