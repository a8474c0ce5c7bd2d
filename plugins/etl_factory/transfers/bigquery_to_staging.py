"""BigQuery to a staging table: a query job, so that rows never leave BigQuery.

A stored table is read as of one moment: counted, measured and copied at that moment, whatever arrives meanwhile.
What has no past that may be asked for (a query, a view, an external table, a table under row-level policies)
is copied and counted in one transaction, which sees one state of all tables behind it.
https://cloud.google.com/bigquery/docs/access-historical-data
https://cloud.google.com/bigquery/docs/transactions
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any

from airflow.providers.google.cloud.operators.bigquery import BigQueryInsertJobOperator

from etl_factory.config.resource import Resource
from etl_factory.errors import AccountingError, ConfigError, NotFoundError, TerminalError, TransientError
from etl_factory.identity import digest
from etl_factory.landing.manifest import Plan
from etl_factory.operators import google
from etl_factory.operators.boundary import airflow_errors
from etl_factory.operators.seals import seal
from etl_factory.schema.types import Field
from etl_factory.sources._sql import choose_columns
from etl_factory.sources.base import Selection, WindowBasis
from etl_factory.sources.bigquery import CURSORS, literal, predicate, quoted, relation
from etl_factory.transfers.base import Extraction, plan_table, selection
from etl_factory.warehouse.client import Warehouse
from etl_factory.warehouse.refusals import bigquery_errors
from etl_factory.windows import CursorKind, Window

CHANGED = "etl-factory: source changed"


class BigQueryToStagingOperator(BigQueryInsertJobOperator):
    """Select one window of a table or query of another project into a staging table.

    :param resource: the resource that is read.
    """

    template_fields = ()

    def __init__(self, *, resource: Resource, **kwargs: Any) -> None:
        super().__init__(
            configuration={},
            project_id=resource.destination.project,
            location=resource.destination.location,
            gcp_conn_id=resource.conn_id,
            impersonation_chain=resource.destination.impersonate,
            **kwargs,
        )
        self.resource = resource

    @airflow_errors
    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Run the query job and write the manifest; return its address and the counts."""
        run = Extraction(context, self.resource)
        run.warehouse.ensure_datasets()
        reader = Warehouse(google.bigquery_client(self.resource, self.resource.conn_id), self.resource.target)
        snapshot = BigQuerySnapshot(reader, selection(self.resource), self.resource.conn_id)
        plan = plan_table(run, snapshot)
        count = snapshot.count(plan.window)
        if count == 0 and self.resource.spec.is_incremental and plan.mode != "full_refresh":
            run.skip(f"no rows in {plan.window} at {snapshot.name}")
        table = self._stage(run, reader, snapshot, plan)
        staged = reader.row_count(table)
        if snapshot.is_fixed and staged != count:
            raise AccountingError(
                f"{self._name}: {count} rows counted, {staged} staged from {snapshot.name} as of {snapshot.now}."
                " Nothing was published; clear the run from `extract`"
            )
        fields = tuple(field.to_json() for field in snapshot.fields)
        manifest = run.manifest(plan, snapshot.now).then(seals=seal(reader, (table,)))
        return run.finish(manifest.then(staging_table=table, rows_read=staged or 0, fields=fields))

    @property
    def _name(self) -> str:
        return f"{self.resource.dag_id}.{self.resource.name}"

    def _stage(self, run: Extraction, reader: Warehouse, snapshot: BigQuerySnapshot, plan: Plan) -> str:
        """Fill a staging table that only this attempt knows, so that it is full as soon as the job has succeeded."""
        table = self.resource.target.staging_id(plan.load_id, run.request.attempt)
        reader.create_staging(table, snapshot.fields, as_is=True)
        statement = snapshot.copy(table, plan.window)
        try:
            reader.run_once(
                f"{plan.load_id}_extract_{digest({'sql': statement})}",
                lambda job_id: reader.start_query(statement, {}, job_id),
                lambda: reader.table(table) is not None,
            )
        except TerminalError as error:
            if CHANGED not in str(error):
                raise
            raise TransientError(
                f"{self._name}: {snapshot.name} does not give the same rows twice, as a query over what changes"
                " outside of BigQuery's own tables may: this one will be retried"
            ) from error
        return table


class BigQuerySnapshot(WindowBasis):
    """One relation of BigQuery; `now` is BigQuery's own clock, to the millisecond in which it keeps a table's past.

    `is_fixed`: everything is read as of `now`, so that it can be asked any number of times.
    """

    def __init__(self, reader: Warehouse, chosen: Selection, conn_id: str) -> None:
        self.reader, self.chosen = reader, chosen
        self.name = f"{conn_id}: {chosen.table or 'query'}"
        clock = "SELECT TIMESTAMP_TRUNC(CURRENT_TIMESTAMP(), MILLISECOND) AS now"
        self.now = reader.rows(clock)[0]["now"].astimezone(UTC)
        self._relation = relation(chosen.table, chosen.query)
        past = self._past()
        self.is_fixed = past is not None
        everything = past or self._present()
        self.fields = tuple(choose_columns(everything, chosen, self.name))
        self._types = {field.name: field.type for field in everything}

    def _past(self) -> tuple[Field, ...] | None:
        """Go on with the table as of `now` and return its fields; None where there is no asking for the past."""
        name = (self.chosen.table or "").replace("`", "")
        if name.count(".") != 2 or "*" in name:
            return None
        now = f"{self._relation} FOR SYSTEM_TIME AS OF {literal(self.now)}"
        with contextlib.suppress(TerminalError):
            held = self.reader.table(name)
            if held is not None and held.table_type == "TABLE":
                fields = self._fields(now)
                self._relation = now
                return fields
        return None

    def _present(self) -> tuple[Field, ...]:
        with self._named():
            return self._fields(self._relation)

    def _fields(self, source: str) -> tuple[Field, ...]:
        with bigquery_errors():
            schema = self.reader.query(f"SELECT * FROM {source} LIMIT 0").result().schema
        return tuple(_nullable(Field.from_api(field.to_api_repr())) for field in schema)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except NotFoundError as error:
            raise NotFoundError(
                f"{self.name}: {error}. Correct `table`, or grant this identity access"
            ) from error

    def cursor_kind(self) -> CursorKind:
        """Classify the cursor column by its type."""
        type_ = self._types.get(self.chosen.cursor or "", "unknown")
        if type_ not in CURSORS:
            raise ConfigError(
                f"cursor {self.chosen.cursor!r} of {self.name} is of type {type_}: a cursor is a TIMESTAMP, a"
                " DATETIME, a DATE or an INT64"
            )
        return CURSORS[type_]

    def greatest(self) -> int | None:
        """Return the greatest value of an integer cursor."""
        column = quoted(self.chosen.cursor or "")
        rows = self.reader.rows(f"SELECT MAX({column}) AS greatest FROM {self._relation}")
        value: int | None = rows[0]["greatest"]
        return value

    def count(self, window: Window | None) -> int:
        """Count the window's rows."""
        return int(self.reader.rows(self._select("COUNT(*) AS n", window))[0]["n"])

    def copy(self, table: str, window: Window | None) -> str:
        """Return the statement that puts the window's rows into `table`; it counts them itself if nothing is fixed."""
        columns = ", ".join(quoted(field.name) for field in self.fields)
        insert = f"INSERT INTO {quoted(table)} ({columns})\n{self._select(columns, window)}"
        if self.is_fixed:
            return insert
        counted = f"ASSERT @@row_count = ({self._select('COUNT(*)', window)}) AS '{CHANGED}'"
        return f"BEGIN TRANSACTION;\n{insert};\n{counted};\nCOMMIT TRANSACTION;"

    def _select(self, what: str, window: Window | None) -> str:
        return f"SELECT {what} FROM {self._relation}{predicate(self.chosen.cursor, window)}"


def _nullable(field: Field) -> Field:
    mode = "REPEATED" if field.mode == "REPEATED" else "NULLABLE"
    return Field(field.name, field.type, mode, field.fields)  # type: ignore[arg-type]  # one of the modes
