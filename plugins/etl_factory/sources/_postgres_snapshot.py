"""One consistent read of a PostgreSQL table or query: its columns, its clock, and its rows by binary COPY."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from etl_factory.errors import NotFoundError, TransientError
from etl_factory.landing.ahead import ahead
from etl_factory.sources._postgres_rows import Rows, quoted
from etl_factory.sources._postgres_types import (
    CURSORS,
    TEMPORAL,
    OtherColumnError,
    PostgresColumn,
    declared_type,
)
from etl_factory.sources._sql import choose_columns, derived, known_kind, nearest
from etl_factory.sources.base import Selection, TableSnapshot
from etl_factory.windows import CursorKind, CursorValue, Window

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_BYTES = 4 * 1024 * 1024
ISOLATION = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
_SETTLED = """
SELECT least(statement_timestamp(),
  (SELECT min(xact_start) FROM pg_stat_activity WHERE datname = current_database()
     AND backend_xid IS NOT NULL AND backend_type IS DISTINCT FROM 'autovacuum worker'),
  (SELECT min(prepared) FROM pg_prepared_xacts WHERE database = current_database()),
  CASE WHEN pg_is_in_recovery()
    THEN coalesce(pg_last_xact_replay_timestamp(), pg_postmaster_start_time()) END) AS settled"""
# A domain, and a domain over a domain, is read as the type at its bottom.
COLUMNS = """
WITH RECURSIVE typed AS (
  SELECT attname, attnum, atttypid AS own, atttypid AS oid, atttypmod AS modifier,
         format_type(atttypid, atttypmod) AS type_name
  FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
  UNION ALL
  SELECT d.attname, d.attnum, d.own, t.typbasetype, t.typtypmod, d.type_name
  FROM typed d JOIN pg_type t ON t.oid = d.oid WHERE t.typtype = 'd'
) SELECT d.attname AS name, d.oid::bigint AS oid, d.modifier, d.type_name, d.own::bigint AS own
FROM typed d JOIN pg_type t ON t.oid = d.oid WHERE t.typtype <> 'd' ORDER BY d.attnum"""
_BASE = """
WITH RECURSIVE base AS (
  SELECT oid, typbasetype FROM pg_type WHERE oid = $1
  UNION ALL SELECT t.oid, t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.typbasetype
) SELECT oid::bigint AS oid FROM base WHERE typbasetype = 0"""
RELATIONS = """
SELECT format('%I.%I', n.nspname, c.relname) AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname NOT LIKE 'pg_toast%' AND NOT c.relispartition ORDER BY 1"""


@dataclass(frozen=True)
class Survey:
    """What is known of rows before they are read.

    `odd`: a temporal column holds infinity or a year outside 1 to 9999, which ADBC misreads.
    """

    rows: int
    odd: bool


class PostgresSnapshot(TableSnapshot):
    """One relation in one snapshot.

    `settled` knows the transactions of this database that have written when it is asked, however long they
    run. A standby is settled up to the last transaction that it has replayed. Only the lag covers those that first
    write after that, those that are prepared (their preparation is known, their begin is not), those that a
    standby's primary still runs, and, for a login without the role pg_read_all_stats, those of other logins, whose
    begin the server hides.
    """

    def __init__(self, cursor: Any, selection: Selection, where: str) -> None:
        import pyarrow as pa

        self.cursor, self.selection, self.where = cursor, selection, where
        self._settled = _settled(cursor)
        self.now = queried(cursor, "SELECT transaction_timestamp() AS now")[0]["now"].astimezone(UTC)
        found = self._query_columns() if selection.query else self._table_columns()
        self.columns = choose_columns(found, selection, where)
        self._cursor_column = next((c for c in found if c.name == selection.cursor), None)
        self.schema: pa.Schema = pa.schema([pa.field(c.name, declared_type(c)) for c in self.columns])
        self._surveys: dict[Window | None, Survey] = {}

    @property
    def settled(self) -> datetime:
        """Begin of the oldest transaction that has written and still ran just before this snapshot."""
        return self._settled

    def _table_columns(self) -> list[PostgresColumn]:
        assert self.selection.table is not None
        found = [PostgresColumn(**row) for row in queried(self.cursor, COLUMNS, self.selection.table)]
        if not found:
            names = [row["name"] for row in queried(self.cursor, RELATIONS)]
            raise NotFoundError(
                f"{self.where}: table {self.selection.table!r} does not exist, or this login may not"
                f" see it{nearest(self.selection.table, names)}"
            )
        return found

    def _query_columns(self) -> list[PostgresColumn]:
        """Ask the server what a query returns: a cursor over no rows, described by its own catalogue."""
        assert self.selection.query is not None
        self.cursor.execute(f"SELECT * FROM {derived(self.selection.query)} LIMIT 0")
        names = [column[0] for column in self.cursor.description]
        self.cursor.fetchall()
        if not names:
            return []
        probes = ", ".join(
            f"(SELECT pg_typeof({quoted(name)})::oid::bigint FROM one) AS t{i}"
            for i, name in enumerate(names)
        )
        source = (
            f"WITH one AS (SELECT q.* FROM (SELECT 1) s LEFT JOIN {derived(self.selection.query)} ON false)"
        )
        oids = queried(self.cursor, f"{source} SELECT {probes}")[0]
        return [
            PostgresColumn(name, queried(self.cursor, _BASE, own := oids[f"t{i}"])[0]["oid"], -1, "", own)
            for i, name in enumerate(names)
        ]

    def cursor_kind(self) -> CursorKind:
        """Classify the cursor column by its type."""
        column = self._cursor_column
        kind, type_name = (CURSORS.get(column.oid), column.type_name) if column else (None, "unknown")
        return known_kind(kind, type_name, self.selection)

    def greatest(self) -> int | None:
        """Return the greatest cursor value."""
        assert self.selection.cursor is not None
        sql = f"SELECT max({quoted(self.selection.cursor)})::bigint AS greatest FROM {self._relation()}"
        value: int | None = queried(self.cursor, sql)[0]["greatest"]
        return value

    def count(self, window: Window | None) -> int:
        """Count the window's rows in this snapshot."""
        return self._survey(window).rows

    def read(self, window: Window | None) -> Iterator[pa.RecordBatch]:
        """Stream the window's rows; temporal columns as text when one holds what Arrow cannot."""
        return self._stream(self.columns, window)

    def read_keys(self, keys: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
        """Stream the key columns of all rows, asking for no others."""
        return self._stream([column for column in self.columns if column.name in keys], None)

    def _stream(self, columns: list[PostgresColumn], window: Window | None) -> Iterator[pa.RecordBatch]:
        rows = Rows(columns, temporal_as_text=self._survey(window).odd)
        self.cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)})
        self.cursor.execute(f"SELECT {rows.listed()} FROM {self._relation()}{self._where(window)}")
        # fetch_record_batch() hands out the bare Arrow reader, whose errors have lost their SQLSTATE.
        reader = self.cursor._results.reader
        with ahead(batch for batch in reader) as batches:
            for batch in batches:
                yield self._made(rows, batch)

    def _made(self, rows: Rows, batch: pa.RecordBatch) -> pa.RecordBatch:
        try:
            return rows.batch(batch)
        except OtherColumnError as error:
            raise TransientError(
                f"{self.where}: column {error} of {self.selection.table or 'the query'} has another type than when"
                " it was listed: the table was changed, or replaced. Nothing was published; the next try lists anew"
            ) from None

    def _survey(self, window: Window | None) -> Survey:
        """Look at the window's rows once, for what must be known before they are read."""
        if window not in self._surveys:
            sql = (
                f"SELECT count(*) AS rows, {self._odd()} AS odd FROM {self._relation()}{self._where(window)}"
            )
            self._surveys[window] = Survey(**queried(self.cursor, sql)[0])
        return self._surveys[window]

    def _odd(self) -> str:
        """Ask for the extremes of each row's columns of one type, which is faster than asking for each column."""
        plain = []
        for oid in TEMPORAL:
            names = ", ".join(quoted(c.name) for c in self.columns if c.oid == oid)
            if names:
                plain.append(f"least({names}) >= '0001-01-01' AND greatest({names}) < '9999-12-31'")
        return f"coalesce(bool_or(NOT ({' AND '.join(plain)})), false)" if plain else "false"

    def _relation(self) -> str:
        if self.selection.query:
            return derived(self.selection.query)
        assert self.selection.table is not None
        return str(
            queried(self.cursor, "SELECT to_regclass($1)::text AS name", self.selection.table)[0]["name"]
        )

    def _where(self, window: Window | None) -> str:
        if window is None:
            return ""
        assert self.selection.cursor is not None
        name = quoted(self.selection.cursor)
        start = "" if window.start is None else f"{name} >= {literal(window.start)} AND "
        is_time = self._cursor_column is not None and self._cursor_column.oid in TEMPORAL
        endless = f" OR {name} IN ('infinity', '-infinity')" if is_time else ""
        return f" WHERE (({start}{name} < {literal(window.end)}) OR {name} IS NULL{endless})"


def literal(value: CursorValue) -> str:
    """Write a cursor value as a typed SQL literal."""
    if isinstance(value, datetime):
        return f"{'timestamptz' if value.tzinfo else 'timestamp'} '{value.isoformat(sep=' ')}'"
    return f"date '{value.isoformat()}'" if isinstance(value, date) else str(int(value))


def _settled(cursor: Any) -> datetime:
    """Ask in a transaction that ends before the snapshot: what commits between the two must be seen by it."""
    settled: datetime = queried(cursor, _SETTLED)[0]["settled"].astimezone(UTC)
    cursor.connection.commit()
    cursor.execute(ISOLATION)
    return settled


def queried(cursor: Any, sql: str, *parameters: Any) -> list[dict[str, Any]]:
    """Return all rows of a small result, by column name."""
    cursor.execute(sql, parameters or None)
    rows: list[dict[str, Any]] = cursor.fetch_arrow_table().to_pylist()
    return rows
