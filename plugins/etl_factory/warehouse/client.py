"""The one seam to BigQuery: jobs that run exactly once, small reads, tables and datasets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from etl_factory.errors import (
    AccessDeniedError,
    EtlFactoryError,
    NotFoundError,
    TerminalError,
    TransientError,
)
from etl_factory.schema.types import Field, extended
from etl_factory.warehouse.parameters import parameter
from etl_factory.warehouse.patience import asked_anew, repeated, repeated_job
from etl_factory.warehouse.quoting import identifier
from etl_factory.warehouse.refusals import bigquery_errors, classify
from etl_factory.warehouse.target import Target

if TYPE_CHECKING:
    from google.cloud.bigquery import Client, Table
    from google.cloud.bigquery.job import LoadJob, QueryJob

STAGING_DAYS = 7
JOB_TRIES = 20
# A query request with all its parameters may have 10 MB: https://cloud.google.com/bigquery/quotas#query_jobs
MOST_BYTES = 9_900_000


class Warehouse:
    """BigQuery as one resource's destination; every job carries its labels and cost limit."""

    def __init__(self, client: Client, target: Target) -> None:
        self.client, self.target = client, target

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> QueryJob:
        """Run a statement that may safely run twice, and wait for it."""
        config = self._query_config(parameters or {})

        def run() -> QueryJob:
            # Under an id of our own: one of google's would be asked for again for ten minutes, whatever we say.
            job, _ = self._start(str(uuid4()), lambda job_id: self._submit(sql, config, job_id))
            job.result(retry=repeated())
            return job  # type: ignore[return-value]  # as submitted

        with bigquery_errors():
            job: QueryJob = repeated_job()(run)()
            return job

    def rows(self, sql: str, *, absent_ok: bool = False, **parameters: Any) -> list[dict[str, Any]]:
        """Return the rows of a SELECT, by one request; with `absent_ok`, none when its table does not exist."""
        try:
            with bigquery_errors():
                return self._asked(sql, self._query_config(parameters))
        except NotFoundError:
            if absent_ok:
                return []
            raise

    def _asked(self, sql: str, config: Any) -> list[dict[str, Any]]:
        def ask() -> list[dict[str, Any]]:
            found = self.client.query_and_wait(
                sql, job_config=config, retry=repeated(), job_retry=repeated_job()
            )
            return [dict(row) for row in found]

        rows: list[dict[str, Any]] = asked_anew()(ask)()
        return rows

    def run_once(
        self, job_id: str, submit: Callable[[str], QueryJob | LoadJob], is_done: Callable[[], bool]
    ) -> None:
        """Run a job under an id of its own until its effect is there.

        `submit` starts the job under the id that it is given; `is_done` tells whether the effect
        (a staging table, a ledger row) exists. A job found running is waited for; one found
        finished counts only with its effect; otherwise the next id is tried.
        Raises TransientError or TerminalError as the job's own error says, and as soon as it is not
        known what became of a job.
        """
        for number in range(JOB_TRIES):
            with bigquery_errors():
                job, is_new = self._start(f"{job_id}_{number}", submit)
                failure = _failure(job)
            if failure is None and is_done():
                return
            if is_new:
                raise _explained(failure, job.job_id)
        raise TerminalError(
            f"BigQuery job {job_id} had no effect {JOB_TRIES} times: clear the run from `extract`"
        )

    def _start(
        self, job_id: str, submit: Callable[[str], QueryJob | LoadJob]
    ) -> tuple[QueryJob | LoadJob, bool]:
        from google.api_core.exceptions import Conflict, NotFound

        try:
            return submit(job_id), True
        except Conflict as taken:
            location = self.target.destination.location
            try:
                return self.client.get_job(job_id, location=location, retry=repeated()), False  # type: ignore[return-value]  # ours
            except NotFound:  # BigQuery may know an id before it shows its job
                raise TransientError(
                    f"BigQuery does not show job {job_id} yet, but has its id: {taken}"
                ) from taken

    def start_query(self, sql: str, parameters: Mapping[str, Any], job_id: str) -> QueryJob:
        """Submit a query job under `job_id` without waiting; raises google's Conflict if the id is taken.

        Raises TerminalError for a request that is too long for BigQuery.
        """
        config = self._query_config(parameters)
        _check_length(sql, config)
        return self._submit(sql, config, job_id)

    def _submit(self, sql: str, config: Any, job_id: str) -> QueryJob:
        return self.client.query(
            sql,
            job_config=config,
            job_id=job_id,
            retry=repeated(),
            job_retry=None,  # type: ignore[arg-type]  # documented
        )

    def published_fields(self) -> tuple[Field, ...] | None:
        """Return the published table's fields, `_etl_` ones left out; None when there is no table."""
        table = self.table(self.target.table_id)
        if table is None:
            return None
        fields = (Field.from_api(field.to_api_repr()) for field in table.schema)
        return tuple(field for field in fields if not field.name.startswith("_etl_"))

    def table(self, table_id: str) -> Table | None:
        """Return a table's metadata, or None."""
        from google.api_core.exceptions import NotFound

        with bigquery_errors():
            try:
                return self.client.get_table(table_id, retry=repeated())
            except NotFound:
                return None

    def set_schema(self, table: Table, fields: Sequence[Mapping[str, Any]]) -> None:
        """Write a table's fields, given as the API has them.

        Raises TransientError when the table has changed since it was read.
        """
        from google.api_core.exceptions import PreconditionFailed
        from google.cloud.bigquery import SchemaField

        table.schema = [SchemaField.from_api_repr(dict(field)) for field in fields]
        with bigquery_errors():
            try:
                self.client.update_table(table, ["schema"], retry=repeated())
            except PreconditionFailed as error:
                raise TransientError(
                    f"{table.full_table_id} was changed meanwhile; this is retried"
                ) from error

    def row_count(self, table_id: str) -> int | None:
        """Return how many rows a table holds, None when there is no table."""
        rows = self.rows(f"SELECT COUNT(*) AS n FROM {identifier(table_id)}", absent_ok=True)
        return int(rows[0]["n"]) if rows else None

    def create_staging(self, table_id: str, fields: tuple[Field, ...], *, as_is: bool = False) -> None:
        """Create an empty staging table that expires by itself, unless it exists; `as_is` keeps every type."""
        from google.cloud.bigquery import SchemaField, Table

        schema = [SchemaField.from_api_repr(field.to_api(staged=not as_is)) for field in fields]
        table = Table(table_id, schema=schema)
        table.expires = datetime.now(UTC) + timedelta(days=STAGING_DAYS)
        with bigquery_errors():
            self.client.create_table(table, exists_ok=True, retry=repeated())

    def extend(self, table_id: str, field: Field) -> None:
        """Add the parts that a nested column lacks, each to the end of its RECORD; no DDL can.

        https://cloud.google.com/bigquery/docs/managing-table-schemas#add_a_nested_column_to_a_record_column
        Raises TransientError when somebody else changes the table meanwhile.
        """
        from google.cloud.bigquery import SchemaField

        with bigquery_errors():
            table = self.client.get_table(table_id, retry=repeated())
            held = [column.to_api_repr() for column in table.schema]
            longer = [extended(column, field) if column["name"] == field.name else column for column in held]
            if longer != held:
                table.schema = [SchemaField.from_api_repr(column) for column in longer]
                self.client.update_table(table, ["schema"], retry=repeated())

    def drop(self, table_id: str) -> None:
        """Delete a table; one that is gone already is fine."""
        with bigquery_errors():
            self.client.delete_table(table_id, not_found_ok=True, retry=repeated())

    def ensure_datasets(self) -> None:
        """Create the tenant's two datasets in its location, unless they exist.

        What exists is only looked at: on BigQuery, asking to create it needs a permission on the whole project.
        """
        destination = self.target.destination
        for name in (destination.dataset, destination.etl_dataset):
            if not self._has_dataset(f"{destination.project}.{name}"):
                self._create_dataset(f"{destination.project}.{name}")

    def _has_dataset(self, dataset_id: str) -> bool:
        from google.api_core.exceptions import NotFound

        with bigquery_errors():
            try:
                self.client.get_dataset(dataset_id, retry=repeated())
            except NotFound:
                return False
            return True

    def _create_dataset(self, dataset_id: str) -> None:
        from google.api_core.exceptions import Conflict, Forbidden
        from google.cloud.bigquery import Dataset

        dataset = Dataset(dataset_id)
        dataset.location = self.target.destination.location
        with bigquery_errors():
            try:
                with suppress(Conflict):  # another task was faster
                    self.client.create_dataset(dataset, retry=repeated())
            except Forbidden as error:
                raise AccessDeniedError(
                    f"dataset {dataset_id} does not exist, and BigQuery does not let this identity make it:"
                    f" {error.message}. Make it beforehand in {dataset.location}, with BigQuery Data Editor for this"
                    " identity, or grant bigquery.datasets.create (BigQuery User) on its project"
                ) from error

    def _query_config(self, parameters: Mapping[str, Any]) -> Any:
        from google.cloud.bigquery import QueryJobConfig

        config = QueryJobConfig(
            query_parameters=[parameter(name, value) for name, value in parameters.items()],
            labels=self.target.labels | _load_label(parameters),
        )
        if limit := self.target.destination.maximum_bytes_billed:
            config.maximum_bytes_billed = limit
        return config


def _check_length(sql: str, config: Any) -> None:
    length = len(json.dumps(config.to_api_repr())) + len(sql.encode())
    if length > MOST_BYTES:
        raise TerminalError(
            f"BigQuery takes requests of at most {MOST_BYTES:,} bytes, and this one would have {length:,}: it names"
            " every object of the load. Nothing was published; narrow `path`, or divide the objects among several"
            " resources, then clear the run from `extract`"
        )


def _load_label(parameters: Mapping[str, Any]) -> dict[str, str]:
    load_id = parameters.get("load_id")
    return {"etl_load_id": load_id} if load_id else {}


def _failure(job: QueryJob | LoadJob) -> Exception | None:
    """Wait for a job and return its own error; an error in asking for it is raised."""
    from google.api_core.exceptions import GoogleAPICallError

    try:
        job.result(retry=repeated())
    except GoogleAPICallError as error:
        if job.error_result is None:
            job.reload(retry=repeated())
        if job.error_result is None:
            raise
        return error
    return None


def _explained(failure: Exception | None, job_id: str | None) -> EtlFactoryError:
    if failure is None:
        return TerminalError(
            f"BigQuery job {job_id} succeeded, but its effect is not there: clear the run from `extract`"
        )
    error = classify(failure)
    error.__cause__ = failure
    return error
