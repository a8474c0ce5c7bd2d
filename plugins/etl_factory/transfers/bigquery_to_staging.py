"""BigQuery to a staging table: a query job, so that rows never leave BigQuery."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any

from airflow.providers.google.cloud.operators.bigquery import BigQueryInsertJobOperator

from etl_factory.config.resource import Resource
from etl_factory.errors import AccountingError, ConfigError, NotFoundError
from etl_factory.identity import digest
from etl_factory.landing.manifest import Plan
from etl_factory.operators import google
from etl_factory.operators.boundary import airflow_errors
from etl_factory.schema.types import Field
from etl_factory.sources._sql import choose_columns
from etl_factory.sources.base import Selection, WindowBasis
from etl_factory.sources.bigquery import CURSORS, predicate, relation
from etl_factory.transfers.base import Extraction, plan_table, selection
from etl_factory.warehouse.client import Warehouse, bigquery_errors
from etl_factory.windows import CursorKind, Window


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
        if staged != count:
            raise AccountingError(
                f"{self.resource.dag_id}.{self.resource.name}: {count} rows counted, {staged} staged from"
                f" {snapshot.name}: its rows changed meanwhile. Nothing was published; clear the run from `extract`"
            )
        fields = tuple(field.to_json() for field in snapshot.fields)
        manifest = run.manifest(plan, snapshot.now).then(staging_table=table, rows_read=count, fields=fields)
        return run.finish(manifest)

    def _stage(self, run: Extraction, reader: Warehouse, snapshot: BigQuerySnapshot, plan: Plan) -> str:
        table = self.resource.target.staging_id(plan.load_id, run.request.attempt)
        reader.create_staging(table, snapshot.fields, as_is=True)
        statement = f"INSERT INTO `{table}` {snapshot.select(plan.window)}"
        reader.run_once(
            f"{plan.load_id}_extract_{digest({'sql': statement})}",
            lambda job_id: reader.start_query(statement, {}, job_id),
            lambda: (reader.row_count(table) or 0) > 0 or snapshot.count(plan.window) == 0,
        )
        return table


class BigQuerySnapshot(WindowBasis):
    """One relation of BigQuery at one moment: tables are read as of `now`, queries as they answer."""

    def __init__(self, reader: Warehouse, chosen: Selection, conn_id: str) -> None:
        self.reader, self.chosen = reader, chosen
        self.name = f"{conn_id}: {chosen.table or 'query'}"
        self.now = reader.rows("SELECT CURRENT_TIMESTAMP() AS now")[0]["now"].astimezone(UTC)
        everything = self._fields()
        self.fields = tuple(choose_columns(everything, chosen, self.name))
        self._types = {field.name: field.type for field in everything}

    def _fields(self) -> tuple[Field, ...]:
        sql = f"SELECT * FROM {relation(self.chosen.table, self.chosen.query)} LIMIT 0"
        with self._named():
            schema = self.reader.query(sql).result().schema
        return tuple(_nullable(Field.from_api(field.to_api_repr())) for field in schema)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            with bigquery_errors():
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
        rows = self.reader.rows(f"SELECT MAX(`{self.chosen.cursor}`) AS greatest FROM {self._from()}")
        value: int | None = rows[0]["greatest"]
        return value

    def count(self, window: Window | None) -> int:
        """Count the window's rows."""
        where = predicate(self.chosen.cursor, window)
        return int(self.reader.rows(f"SELECT COUNT(*) AS n FROM {self._from()}{where}")[0]["n"])

    def select(self, window: Window | None) -> str:
        """Return the SELECT of the window's rows."""
        listed = ", ".join(f"`{field.name}`" for field in self.fields)
        return f"SELECT {listed} FROM {self._from()}{predicate(self.chosen.cursor, window)}"

    def _from(self) -> str:
        return relation(self.chosen.table, self.chosen.query)


def _nullable(field: Field) -> Field:
    mode = "REPEATED" if field.mode == "REPEATED" else "NULLABLE"
    return Field(field.name, field.type, mode, field.fields)  # type: ignore[arg-type]  # one of the modes
