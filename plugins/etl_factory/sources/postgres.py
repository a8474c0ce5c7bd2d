"""PostgreSQL, read by ADBC's binary COPY inside one repeatable-read snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote, urlencode

from pydantic import Field

from etl_factory.errors import (
    AccessDeniedError,
    EtlFactoryError,
    NotFoundError,
    TerminalError,
    TransientError,
)
from etl_factory.sources._postgres_snapshot import (
    COLUMNS,
    ISOLATION,
    RELATIONS,
    PostgresSnapshot,
    queried,
)
from etl_factory.sources._silence import KEEPALIVE, watched
from etl_factory.sources._sql import login_refused
from etl_factory.sources.base import Found, Selection, TableSource
from etl_factory.sources.specs import ConnectedSpec, Name, TableResource

# How values are spelt; before PostgreSQL 12 a float has all of its digits only with three extra ones. A plan in
# parallel passes each row from process to process, and machine code is made for each run anew: neither pays where most
# rows are read.
_SETTINGS = {
    "TimeZone": "UTC", "DateStyle": "ISO, YMD", "IntervalStyle": "iso_8601", "extra_float_digits": "3",
    "bytea_output": "hex", "jit": "off", "parallel_tuple_cost": "1",
}  # fmt: skip
# All in one request, whatever functions the login's search path has; PostgreSQL 10 has no `jit`.
_SET = f"""
SELECT pg_catalog.set_config(name, wanted, false)
FROM (VALUES {", ".join(f"('{name}', '{wanted}')" for name, wanted in _SETTINGS.items())}) AS t (name, wanted)
WHERE name <> 'jit' OR pg_catalog.current_setting(name, true) IS NOT NULL"""
# Classes of SQLSTATE that a retry may cure: connection, rollback, resources, locks, operator's act, system.
_BUSY = ("08", "40", "53", "55", "57", "58")
_VERSION = "SELECT current_setting('server_version') AS version"
_KEYS = """
SELECT a.attname AS name FROM pg_index i
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY((i.indkey::int2[])[0:i.indnkeyatts - 1])
WHERE i.indrelid = to_regclass($1) AND i.indisprimary
ORDER BY array_position(i.indkey::int[], a.attnum::int)"""


class PostgresSpec(ConnectedSpec):
    """A PostgreSQL database."""

    type: Literal["postgres"]
    resources: Annotated[dict[Name, TableResource], Field(min_length=1)]


class PostgresSource(TableSource):
    """A PostgreSQL database."""

    type: ClassVar[str] = "postgres"
    title: ClassVar[str] = "PostgreSQL"
    transfer: ClassVar[str] = "etl_factory.transfers.postgres_to_gcs:PostgresToGCSPartsOperator"
    conn_types: ClassVar[tuple[str, ...]] = ("postgres",)
    spec = PostgresSpec

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        """Open one read-only snapshot and a cursor in it; the driver's errors become ours."""
        from adbc_driver_manager import dbapi
        from adbc_driver_postgresql import dbapi as postgres

        try:
            with (
                watched(self.connection.port or 5432),
                postgres.connect(self._uri()) as connection,
                connection.cursor() as cursor,
            ):
                cursor.execute(ISOLATION)
                queried(cursor, _SET)
                yield cursor
        except dbapi.Error as error:
            raise self._explain(error) from None

    def _uri(self) -> str:
        to = self.connection
        host = f"[{to.host}]" if ":" in to.host else to.host
        options = {"connect_timeout": "15", "application_name": "etl-factory"} | KEEPALIVE
        options |= {key: str(value) for key, value in to.extra.items() if key.startswith("ssl")}
        login = f"{quote(to.login, safe='')}:{quote(to.password, safe='')}"
        return f"postgresql://{login}@{host}:{to.port or 5432}/{quote(to.database)}?{urlencode(options)}"

    def _explain(self, error: Any) -> EtlFactoryError:
        """Say what a driver error means and what to do; the password is in none of it."""
        text = " ".join(str(error).split())
        if self.connection.password:
            text = text.replace(self.connection.password, "***")
        state, where = str(getattr(error, "sqlstate", "") or ""), f"{self.connection.conn_id} (PostgreSQL)"
        if state in ("28000", "28P01") or "authentication failed" in text:
            return login_refused(self.connection, where, text)
        if state == "42501" or "permission denied" in text:
            return AccessDeniedError(f"{where}: {text}. GRANT SELECT on it to {self.connection.login!r}")
        if state in ("42P01", "42703", "3D000") or "does not exist" in text:
            return NotFoundError(f"{where}: {text}")
        if state == "57014":
            return TransientError(f"{where}: the statement was cancelled: {text}")
        if state and not state.startswith(_BUSY):
            return TerminalError(f"{where}: {text}")
        address = f"{self.connection.host}:{self.connection.port or 5432}"
        return TransientError(
            f"{where}: {address} does not answer as it should: {text}. Check host, port, firewall"
        )

    def check(self) -> str:
        """Return the server's version."""
        with self._cursor() as cursor:
            return f"PostgreSQL {queried(cursor, _VERSION)[0]['version']}"

    def discover(self) -> Iterator[Found]:
        """List tables and views with their columns and primary keys."""
        with self._cursor() as cursor:
            for row in queried(cursor, RELATIONS):
                columns = tuple((c["name"], c["type_name"]) for c in queried(cursor, COLUMNS, row["name"]))
                keys = tuple(key["name"] for key in queried(cursor, _KEYS, row["name"]))
                yield Found(row["name"], columns, keys)

    @contextmanager
    def snapshot(self, selection: Selection) -> Iterator[PostgresSnapshot]:
        """Open a consistent read of a table or query."""
        with self._cursor() as cursor:
            yield PostgresSnapshot(cursor, selection, self.connection.conn_id)
