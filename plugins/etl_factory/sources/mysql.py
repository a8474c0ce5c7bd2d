"""MySQL and MariaDB, read unbuffered, as the server prints each value, inside one consistent snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from etl_factory.errors import (
    AccessDeniedError,
    EtlFactoryError,
    NotFoundError,
    TerminalError,
    TransientError,
)
from etl_factory.sources import _silence
from etl_factory.sources._mysql_snapshot import COLUMNS, MySQLSnapshot, name_parts, queried, tables
from etl_factory.sources._mysql_types import quoted
from etl_factory.sources._sql import login_refused
from etl_factory.sources.base import Found, Selection, TableSource
from etl_factory.sources.specs import ConnectedSpec, Name, TableResource

# https://mariadb.com/kb/en/mariadb-error-codes/ and the same numbers in MySQL's server error reference
_DENIED, _NO_GRANT, _MISSING = (1045, 1044, 1698), (1142, 1143, 1227), (1049, 1051, 1054, 1146, 1305)
# Server errors below 2000 and above 3000 are the statement's own fault, but for these: load, locks, timeouts.
_BUSY = (1040, 1041, 1053, 1129, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1317, 1969, 3024)
_KEYS = """SELECT COLUMN_NAME FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX"""


class MySQLSpec(ConnectedSpec):
    """A MySQL or MariaDB database."""

    type: Literal["mysql"]
    resources: Annotated[dict[Name, TableResource], Field(min_length=1)]


class MySQLSource(TableSource):
    """A MySQL or MariaDB database."""

    type: ClassVar[str] = "mysql"
    title: ClassVar[str] = "MySQL / MariaDB"
    transfer: ClassVar[str] = "etl_factory.transfers.mysql_to_gcs:MySQLToGCSPartsOperator"
    conn_types: ClassVar[tuple[str, ...]] = ("mysql",)
    spec = MySQLSpec

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """Open one connection, in UTC and utf8mb4, whose values arrive as the server prints them."""
        import MySQLdb

        to = self.connection
        secure = {key: to.extra[key] for key in ("ssl", "ssl_mode") if key in to.extra}
        try:
            connection = MySQLdb.connect(
                host=to.host or "localhost", port=to.port or 3306, user=to.login, password=to.password,
                database=to.database, charset="utf8mb4", use_unicode=False, conv={}, multi_statements=False,
                connect_timeout=15,
                read_timeout=_silence.SILENCE_SECONDS, write_timeout=_silence.SILENCE_SECONDS, **secure,
            )  # fmt: skip
            try:
                for statement in (
                    "SET time_zone = '+00:00'",
                    # An unbuffered read waits for each upload; by default the server gives up at 60 s.
                    "SET net_write_timeout = 3600",
                    # For the session: a server may take the reading of the clock for the next transaction.
                    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                    # A server may cut what it answers: rows, and lists of columns.
                    "SET SESSION sql_select_limit = 18446744073709551615",
                    # A CHAR is the same value whatever the server prefers; SPACE(0), since '' may be its NULL.
                    "SET SESSION sql_mode = REPLACE(@@sql_mode, 'PAD_CHAR_TO_FULL_LENGTH', SPACE(0))",
                ):
                    connection.query(statement)
                yield connection
            finally:
                if connection.open:
                    connection.close()
        except MySQLdb.Error as error:
            raise self._explain(error) from None

    def _explain(self, error: Any) -> EtlFactoryError:
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        text, where = f"{error.args[-1] if error.args else error}", f"{self.connection.conn_id} (MySQL)"
        if code in _DENIED:
            return login_refused(self.connection, where, text)
        if code in _NO_GRANT:
            return AccessDeniedError(f"{where}: {text}. GRANT SELECT on it to {self.connection.login!r}")
        if code in _MISSING:
            return NotFoundError(f"{where}: {text}")
        if code not in _BUSY and (1000 <= code < 2000 or code >= 3000):
            return TerminalError(f"{where}: {text}")
        address = f"{self.connection.host}:{self.connection.port or 3306}"
        return TransientError(
            f"{where}: {address} does not answer as it should: {text}. Check host, port, firewall"
        )

    def check(self) -> str:
        """Return the server's version."""
        with self._connection() as connection:
            return f"MySQL {queried(connection, 'SELECT VERSION()')[0][0]}"

    def discover(self) -> Iterator[Found]:
        """List the database's tables and views with their columns and primary keys."""
        with self._connection() as connection:
            for name in tables(connection, self.connection.database):
                rows = queried(connection, COLUMNS, self.connection.database, name)
                columns = tuple((row[0], row[2]) for row in rows)
                keys = tuple(row[0] for row in queried(connection, _KEYS, self.connection.database, name))
                yield Found(name if name_parts(name) == [name] else quoted(name), columns, keys)

    @contextmanager
    def snapshot(self, selection: Selection) -> Iterator[MySQLSnapshot]:
        """Open a consistent read of a table or query."""
        with self._connection() as connection:
            yield MySQLSnapshot(connection, selection, self.connection.database, self.connection.conn_id)
