"""Runs BigQuery's SQL on DuckDB in memory, a script in milliseconds: the emulator's own translation, kept.

Run by the emulator's own Python. Each line in is a JSON request, each line out its answer: `query` with its
API parameters, `columns` of a table, `insert` of rows as DuckDB writes them, `reset`.
"""

from __future__ import annotations

import datetime
import functools
import json
import logging
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
from local_bigquery.settings import settings

settings.data_dir = Path(tempfile.mkdtemp(prefix="etl-factory-duck-"))
settings.default_project_id = "acme-analytics"

from local_bigquery.engine import database  # noqa: E402 - its settings come first
from local_bigquery.errors import BigQueryError, from_duckdb, from_exception  # noqa: E402 - see above
from local_bigquery.jobs.query import STATEMENT_TYPES  # noqa: E402 - see above
from local_bigquery.models import QueryParameter  # noqa: E402 - see above
from local_bigquery.sql import native, params, script  # noqa: E402 - see above
from local_bigquery.sql.dialect import FUNCTIONS, MACRO  # noqa: E402 - see above
from local_bigquery.sql.rules import ddl  # noqa: E402 - see above
from local_bigquery.sql.translate import Context, parse, translate  # noqa: E402 - see above
from sqlglot import exp  # noqa: E402 - see above

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of what DuckDB cannot partition
PROJECT = settings.default_project_id


class Zone(ZoneInfo):
    """A zone as that package has it."""

    def localize(self, moment: datetime.datetime) -> datetime.datetime:
        """Say that a moment is in this zone."""
        return moment.replace(tzinfo=self)


# DuckDB hands out instants with a zone of this package, which the emulator does not have.
sys.modules["pytz"] = ModuleType("pytz")
sys.modules["pytz"].timezone = Zone  # type: ignore[attr-defined]  # a stand-in
sys.modules["pandas"] = None  # type: ignore[assignment]  # so that DuckDB looks for it no more with every parameter
parse_script = functools.lru_cache(4096)(script.parse_script)
_cache: dict[Any, Any] = {}


def connect() -> duckdb.DuckDBPyConnection:
    """Open the emulator's database with every table in memory."""
    con = duckdb.connect(config={"TimeZone": "UTC", "python_enable_replacements": False, "threads": 1})
    con.execute("ATTACH ':memory:' AS emulator")
    con.execute(database.EMULATOR_SCHEMA)
    con.execute("ATTACH ':memory:' AS bq")
    native.register(con)
    for path in FUNCTIONS:
        con.execute(MACRO.sub(r"CREATE MACRO bq.main.\1", path.read_text()))
    con.execute(f"ATTACH ':memory:' AS {database.quote(PROJECT)}")
    return con


connection = connect()
database._connect = lambda: connection
database._attached.add(PROJECT)
database.projects = lambda: [PROJECT]


class Interpreter(script.Interpreter):
    """The emulator's interpreter of scripts, which translates each statement once."""

    rows: list[tuple[Any, ...]]
    names: list[str]

    def __init__(self, cursor: duckdb.DuckDBPyConnection, context: Context) -> None:
        super().__init__(cursor, context, lambda tree: None, lambda statistics: None)
        self.rows, self.names = [], []

    def sql(self, statement: script.Statement) -> None:
        """Run one statement; keep the rows of a SELECT, or the count of what DML changed."""
        for kind, query, used in self._kept(statement.text, self._parts):
            try:
                done = self.cursor.execute(query, {name: self.context.values[name] for name in used})
            except duckdb.CatalogException as error:
                raise BigQueryError("notFound", f"Not found: {error}") from error
            except duckdb.Error as error:
                raise from_duckdb(error, self.context, parse(statement.text)[0]) from error
            if kind == "query":
                self.names, self.rows = [column[0] for column in done.description], done.fetchall()
            elif kind == "dml":
                (self.context.system["row_count"],) = done.fetchone()

    def evaluate(self, sql: str) -> Any:
        """Return the value of an expression."""
        ((_, query, used),) = self._kept(f"SELECT {sql}", self._value)
        return self.cursor.execute(query, {n: self.context.values[n] for n in used}).fetchone()[0]

    def _kept(self, text: str, make: Any) -> list[tuple[str, str, list[str]]]:
        context = self.context
        count = context.system.get("row_count") if "@@row_count" in text else None
        key = (text, frozenset(context.temporary), count, tuple(sorted(context.parameters.items())))
        if key not in _cache:
            _cache[key] = (make(text), frozenset(context.temporary))
        found, temporary = _cache[key]
        context.temporary |= temporary
        return found

    def _parts(self, text: str) -> list[tuple[str, str, list[str]]]:
        found = []
        for tree in parse(text):
            for part in ddl.split(ddl.normalise(tree)):
                query, used = translate(part, self.context)
                found.append((_kind(part), query, list(used)))
        return found

    def _value(self, text: str) -> list[tuple[str, str, list[str]]]:
        query, used = translate(script._select(self.expression(text.removeprefix("SELECT "))), self.context)
        return [("query", query, list(used))]


def _kind(tree: exp.Expression) -> str:
    if isinstance(tree, exp.Query):
        return "query"
    return "dml" if type(tree) in STATEMENT_TYPES else "other"


def query(sql: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    """Run a script; a failure rolls its transaction back."""
    expressions, values = params.bind([QueryParameter.model_validate(p) for p in parameters])
    with database.cursor() as cursor:
        context = Context(PROJECT, None, expressions, values, system={"time_zone": "UTC"})
        cursor.execute(f"USE {database.quote(PROJECT)}.main")
        interpreter = Interpreter(cursor, context)
        interpreter.run(parse_script(sql))
    return {"names": interpreter.names, "rows": interpreter.rows}


def columns(dataset: str, table: str) -> dict[str, Any]:
    """Return a table's column names; none when there is no table."""
    found = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE schema_name = ? AND table_name = ? ORDER BY column_index",
        [dataset, table],
    ).fetchall()
    return {"names": [name for (name,) in found]}


def native_sql(sql: str) -> dict[str, Any]:
    """Run DuckDB's own SQL."""
    connection.execute(f"USE {database.quote(PROJECT)}.main")
    return {"rows": connection.execute(sql).fetchall()}


def reset(datasets: list[str]) -> dict[str, Any]:
    """Empty these datasets."""
    for name in datasets:
        schema = f"{database.quote(PROJECT)}.{database.quote(name)}"
        connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}")
    return {}


VERBS = {"query": query, "columns": columns, "native": native_sql, "reset": reset}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Do what a request asks; an error becomes its BigQuery reason and message."""
    try:
        return VERBS[request.pop("verb")](**request)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the client's answer
        known = error if isinstance(error, BigQueryError) else from_exception(error)
        return {"reason": known.reason, "error": known.message}


def encode(value: Any) -> Any:
    """Write what JSON lacks."""
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    return {type(value).__name__: value.isoformat()} if isinstance(value, datetime.date) else str(value)


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line)), default=encode), flush=True)
