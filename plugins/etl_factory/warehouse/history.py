"""How a catalog keeps what was: dated snapshots side by side, or the versions of each row.

    snapshot   every run's rows, dated `_etl_snapshot_at`; a load replaces its own rows alone
    versions   a row that changed, or is gone, closes its version at the time of the snapshot that shows it

Rows that were published before the table had a history are taken in, dated by the load that published them.
A subquery of the row in SET: https://cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax#update_examples
"""

from __future__ import annotations

from collections.abc import Iterable

from etl_factory.warehouse.ddl import IS_CURRENT, SNAPSHOT_AT, VALID_FROM, VALID_TO
from etl_factory.warehouse.judgement import UNBALANCED, check, count, same_keys
from etl_factory.warehouse.publication import Publication
from etl_factory.warehouse.quoting import identifier

MIXED = (
    "etl-factory: the published table holds rows of several loads, which are no snapshot. Publish the history into"
    " a new table with target_table"
)
# The column that tells which rows a history has taken in, and the one that dates them.
_TAKEN_IN = {"snapshot": (SNAPSHOT_AT, SNAPSHOT_AT), "versions": (IS_CURRENT, VALID_FROM)}
# What a row gets, besides, when it is inserted.
INSERTED = {
    "snapshot": {SNAPSHOT_AT: "@snapshot_at"},
    "versions": {VALID_FROM: "@snapshot_at", IS_CURRENT: "TRUE"},
}
_CLOSED = f"{VALID_TO} = @snapshot_at, {IS_CURRENT} = FALSE"


def taken_in(to: Publication) -> Iterable[str]:
    """Give the rows that were there before the table had a history their place in it."""
    if to.strategy not in _TAKEN_IN:
        return
    unknown, dated = _TAKEN_IN[to.strategy]
    if to.strategy == "snapshot":
        loads = "COUNT(DISTINCT IFNULL(t._etl_load_id, ''))"
        yield check(
            f"(SELECT {loads} FROM {identifier(to.table)} AS t WHERE t.{unknown} IS NULL) <= 1", MIXED
        )
    current = f", {IS_CURRENT} = TRUE" if to.strategy == "versions" else ""
    yield (
        f"UPDATE {identifier(to.table)} AS t SET {dated} = COALESCE((SELECT MAX(l.snapshot_at)"
        f" FROM {identifier(to.ledger)} AS l\n  WHERE l.kind = 'load' AND l.load_id = t._etl_load_id),"
        f" t._etl_loaded_at){current}\nWHERE t.{unknown} IS NULL"
    )


def latest(to: Publication) -> str:
    """Count the published rows that a new snapshot is compared with."""
    table = identifier(to.table)
    only = {
        "snapshot": f" WHERE {SNAPSHOT_AT} = (SELECT MAX({SNAPSHOT_AT}) FROM {table})",
        "versions": f" WHERE {IS_CURRENT}",
    }
    return f"(SELECT COUNT(*) FROM {table}{only.get(to.strategy, '')})"


def closed(to: Publication) -> Iterable[str]:
    """Close the versions that have a successor, then those whose key is gone; the last statement counts these.

    A quarantined row is there, whatever its key: a snapshot with any of them does not say what is gone.
    """
    table = identifier(to.table)
    yield (
        f"UPDATE {table} AS t SET {_CLOSED}\nFROM _judged AS s"
        f" WHERE s._etl_action = 'updated' AND t.{IS_CURRENT} AND {same_keys(to, 't', 's')}"
    )
    yield check(f"@@row_count = {count('updated')}", f"{UNBALANCED}, updated rows")
    yield (
        f"UPDATE {table} AS t SET {_CLOSED}\nWHERE t.{IS_CURRENT} AND @rows_quarantined = 0 AND NOT EXISTS"
        f" (SELECT 1 FROM _judged AS s WHERE s._etl_rank = 1 AND {same_keys(to, 't', 's')})"
    )
