"""BigQuery to a staging table: a query job, so that rows never leave BigQuery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.google.cloud.operators.bigquery import BigQueryInsertJobOperator

from etl_factory.config.resource import Resource
from etl_factory.errors import AccountingError, TerminalError, TransientError
from etl_factory.identity import digest
from etl_factory.landing.manifest import Plan
from etl_factory.operators import google
from etl_factory.operators.boundary import airflow_errors
from etl_factory.operators.deletes import finds_deletes
from etl_factory.operators.seals import seal
from etl_factory.transfers.base import Extraction, may_skip, plan_table, selection
from etl_factory.transfers.bigquery_snapshot import CHANGED, BigQuerySnapshot, Staging
from etl_factory.transfers.replaying import replay_rows
from etl_factory.warehouse.client import Warehouse


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
        if run.request.mode == "replay":
            return replay_rows(run)
        run.warehouse.ensure_datasets()
        reader = Warehouse(google.bigquery_client(self.resource, self.resource.conn_id), self.resource.target)
        snapshot = BigQuerySnapshot(reader, selection(self.resource), self.resource.conn_id)
        plan = plan_table(run, snapshot)
        count = snapshot.count(plan.window)
        if plan.row_limit is not None:
            count = min(count, plan.row_limit)
        if count == 0 and may_skip(self.resource, plan):
            run.skip(f"no rows in {plan.window} at {snapshot.name}")
        staging = self._stage(run, reader, snapshot, plan)
        staged = self._counted(reader, snapshot, staging.table, count)
        fields, key_fields = (
            tuple(f.to_json() for f in kind) for kind in (snapshot.fields, staging.key_fields)
        )
        manifest = run.manifest(plan, run.later(snapshot.now)).then(
            staging_table=staging.table, fields=fields
        )
        if staging.keys:
            self._counted(reader, snapshot, staging.keys, snapshot.count(None))
            manifest = manifest.then(keys_table=staging.keys, key_fields=key_fields)
        seals = seal(reader, manifest.staging_tables)
        return run.finish(manifest.then(rows_read=staged, seals=seals))

    @property
    def _name(self) -> str:
        return f"{self.resource.dag_id}.{self.resource.name}"

    def _counted(self, reader: Warehouse, snapshot: BigQuerySnapshot, table: str, count: int) -> int:
        """Return how many rows were staged; they must be those counted, where both were asked of one moment."""
        staged = reader.row_count(table) or 0
        if snapshot.is_fixed and staged != count:
            raise AccountingError(
                f"{self._name}: {count} rows counted, {staged} staged from {snapshot.name} as of {snapshot.now}."
                " Nothing was published; clear the run from `extract`"
            )
        return staged

    def _stage(self, run: Extraction, reader: Warehouse, snapshot: BigQuerySnapshot, plan: Plan) -> Staging:
        """Fill staging tables that only this attempt knows, so that they are full as soon as the job has succeeded."""
        table = self.resource.target.staging_id(plan.load_id, run.request.attempt)
        keys = self.resource.spec.primary_key if finds_deletes(self.resource, plan) else ()
        staging = Staging(table, f"{table}_keys" if keys else "", snapshot.key_fields(keys))
        reader.create_staging(table, snapshot.fields, as_is=True)
        if staging.keys:
            reader.create_staging(staging.keys, staging.key_fields, as_is=True)
        statement = snapshot.copy(staging, plan.window, plan.row_limit)
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
        return staging
