"""One consistent read of a MySQL or MariaDB table or query: its columns, its clock, and its rows, unbuffered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from etl_factory.errors import NotFoundError, TransientError
from etl_factory.sources._mysql_rows import Rows
from etl_factory.sources._mysql_types import CURSORS, MySQLColumn, declared_type, described, quoted
from etl_factory.sources._sql import choose_columns, derived, known_kind, nearest
from etl_factory.sources.base import Selection, TableSnapshot
from etl_factory.windows import CursorKind, CursorValue, Window

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = """SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, NUMERIC_PRECISION, NUMERIC_SCALE
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION"""
_JSON_CHECKS = """SELECT CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS
WHERE CONSTRAINT_SCHEMA = %s AND TABLE_NAME = %s"""
# A zero date sorts below all of these, the least values that each type is documented to hold. Like a NULL
# it is read by every run; and unlike a test for zero, this one is legal in strict mode and can use an index.
_LEAST = {"date": "DATE'1000-01-01'", "datetime": "TIMESTAMP'1000-01-01 00:00:00'",
          "timestamp": "TIMESTAMP'1970-01-02 00:00:00'"}  # fmt: skip


class MySQLSnapshot(TableSnapshot):
    """One relation in one snapshot.

    Only the lag covers transactions that commit late: the server lists those that run to logins with PROCESS
    alone, of all databases at once, and says when they began in its host's clock, which may repeat an hour.
    """

    def __init__(self, connection: Any, selection: Selection, database: str, where: str) -> None:
        import pyarrow as pa

        self.connection, self.selection, self.where = connection, selection, where
        # The clock first: what is committed between the two must not lie before `now` and yet be unseen.
        now = queried(connection, "SELECT UTC_TIMESTAMP(6)")[0][0]
        connection.query("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        self.now = datetime.fromisoformat(now).replace(tzinfo=UTC)
        found = self._query_columns() if selection.query else self._table_columns(database)
        self.columns = choose_columns(found, selection, where)
        self._cursor_column = next((c for c in found if c.name == selection.cursor), None)
        self.schema: pa.Schema = pa.schema([pa.field(c.name, declared_type(c)) for c in self.columns])

    def _table_columns(self, database: str) -> list[MySQLColumn]:
        assert self.selection.table is not None
        schema, table = (database, *name_parts(self.selection.table))[-2:]
        rows = queried(self.connection, COLUMNS, schema, table)
        if not rows:
            names = tables(self.connection, schema)
            raise NotFoundError(
                f"{self.where}: table {self.selection.table!r} does not exist in {schema!r}, or this"
                f" login may not see it{nearest(table, names)}"
            )
        self._hold()
        if queried(self.connection, COLUMNS, schema, table) != rows:
            raise TransientError(
                f"{self.where}: table {self.selection.table!r} was changed while its columns were listed."
                " Nothing was read; the next try lists them anew"
            )
        checked = self._json_checked(schema, table)
        return [_column(row, is_json=row[0] in checked) for row in rows]

    def _hold(self) -> None:
        """Keep the table from being changed or replaced until the transaction ends: a read makes such changes wait."""
        self.connection.query(f"SELECT 1 FROM {self._relation()} LIMIT 0")
        self.connection.store_result()

    def _json_checked(self, schema: str, table: str) -> set[str]:
        """Name the columns that MariaDB declares as JSON, which it keeps as text with a check."""
        if "mariadb" not in queried(self.connection, "SELECT VERSION()")[0][0].lower():
            return set()
        clauses = [row[0] for row in queried(self.connection, _JSON_CHECKS, schema, table)]
        names = {clause[12:-2] for clause in clauses if clause.startswith("json_valid(`")}
        return {name.replace("``", "`") for name in names}

    def _query_columns(self) -> list[MySQLColumn]:
        """Ask the server what a query returns: its metadata needs no rights, as a view over it would."""
        from MySQLdb.constants import FLAG

        assert self.selection.query is not None
        nothing = f"SELECT * FROM {derived(self.selection.query)} LIMIT 0"
        self.connection.query(nothing)
        result = self.connection.store_result()
        columns, flags = result.describe(), result.field_flags()
        # Only the character set tells bytes from text with a binary collation, such as MariaDB's JSON.
        listed = ", ".join(f"CHARSET(z.{quoted(column[0])})" for column in columns)
        charsets = queried(
            self.connection, f"SELECT {listed} FROM (SELECT 1) AS s LEFT JOIN ({nothing}) AS z ON TRUE"
        )[0]
        return [
            described(column, unsigned=bool(flag & FLAG.UNSIGNED), is_bytes=charset == "binary")
            for column, flag, charset in zip(columns, flags, charsets, strict=True)
        ]

    def cursor_kind(self) -> CursorKind:
        """Classify the cursor column by its type."""
        column = self._cursor_column
        kind, type_name = (CURSORS.get(column.data_type), column.full_type) if column else (None, "unknown")
        return known_kind(kind, type_name, self.selection)

    def greatest(self) -> int | None:
        """Return the greatest cursor value."""
        assert self.selection.cursor is not None
        value = queried(
            self.connection, f"SELECT MAX({quoted(self.selection.cursor)}) FROM {self._relation()}"
        )[0][0]
        return None if value is None else int(value)

    def count(self, window: Window | None) -> int:
        """Count the window's rows in this snapshot."""
        return int(
            queried(self.connection, f"SELECT COUNT(*) FROM {self._relation()}{self._where(window)}")[0][0]
        )

    def read(self, window: Window | None) -> Iterator[pa.RecordBatch]:
        """Stream the window's rows, unbuffered."""
        return self._stream(self.columns, window)

    def read_keys(self, keys: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
        """Stream the key columns of all rows, unbuffered, asking for no others."""
        return self._stream([column for column in self.columns if column.name in keys], None)

    def _stream(self, columns: list[MySQLColumn], window: Window | None) -> Iterator[pa.RecordBatch]:
        rows = Rows(columns)
        self.connection.query(f"SELECT {rows.listed()} FROM {self._relation()}{self._where(window)}")
        result = self.connection.use_result()  # held here: when it is freed first, all of its rows are read
        try:
            yield from rows.batches(result)
        except GeneratorExit:
            self.connection.close()
            raise

    def _relation(self) -> str:
        if self.selection.query:
            return derived(self.selection.query)
        assert self.selection.table is not None
        return ".".join(quoted(part) for part in name_parts(self.selection.table))

    def _where(self, window: Window | None) -> str:
        if window is None:
            return ""
        assert self.selection.cursor is not None
        name = quoted(self.selection.cursor)
        start = "" if window.start is None else f"{name} >= {literal(window.start)} AND "
        zero = f" OR {name} < {_LEAST[self._data_type()]}" if self._data_type() in _LEAST else ""
        return f" WHERE (({start}{name} < {literal(window.end)}) OR {name} IS NULL{zero})"

    def _data_type(self) -> str:
        return self._cursor_column.data_type if self._cursor_column else ""


def literal(value: CursorValue) -> str:
    """Write a cursor value as a typed SQL literal; the session's time zone is UTC."""
    if isinstance(value, datetime):
        return f"TIMESTAMP'{value.replace(tzinfo=None).isoformat(sep=' ')}'"
    return f"DATE'{value.isoformat()}'" if isinstance(value, date) else str(int(value))


def _column(row: tuple[str, ...], *, is_json: bool) -> MySQLColumn:
    name, data_type, full_type, precision, scale = row
    return MySQLColumn(
        name,
        "json" if is_json else data_type.lower(),
        full_type.lower(),
        int(precision) if precision else None,
        int(scale) if scale else None,
    )


def name_parts(table: str) -> list[str]:
    """Split `table` or `database.table`; a name with a dot or backtick in it is written in backticks."""
    found = re.findall(r"`((?:[^`]|``)+)`|([^.`]+)", table)
    return [marked.replace("``", "`") or plain for marked, plain in found]


def tables(connection: Any, schema: str) -> list[str]:
    """Name the tables and views of a database."""
    sql = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s ORDER BY 1"
    return [row[0] for row in queried(connection, sql, schema)]


def queried(connection: Any, sql: str, *parameters: str) -> list[tuple[Any, ...]]:
    """Return all rows of a small result, as text; each `%s` is a parameter."""
    if parameters:
        sql = sql % tuple(connection.string_literal(parameter).decode() for parameter in parameters)
    connection.query(sql)
    rows = connection.store_result().fetch_row(maxrows=0)
    return [
        tuple(None if v is None else v.decode() if isinstance(v, bytes) else v for v in row) for row in rows
    ]
