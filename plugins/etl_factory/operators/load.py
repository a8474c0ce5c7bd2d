"""The load task: clean Parquet parts into a staging table of their own, by one BigQuery load job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook
from airflow.providers.google.cloud.transfers.gcs_to_bigquery import GCSToBigQueryOperator
from google.cloud.bigquery import LoadJob

from etl_factory.config.resource import Resource
from etl_factory.identity import attempt, digest
from etl_factory.landing.manifest import Manifest, Part
from etl_factory.landing.objects import split_uri
from etl_factory.operators import google
from etl_factory.operators.boundary import airflow_errors
from etl_factory.operators.handover import read_manifest, write_manifest
from etl_factory.operators.hooks import bigquery_hook
from etl_factory.operators.loading import StagingLoad
from etl_factory.operators.seals import seal
from etl_factory.schema.types import Field
from etl_factory.warehouse.sql import QUARANTINE_COLUMNS, TALLY_COLUMNS


class GCSToStagingOperator(GCSToBigQueryOperator):
    """The providers' load, mended: exactly the listed URIs, a declared schema, and a job id that a retry finds.

    :param resource: the resource whose parts are loaded.
    """

    template_fields = ()

    def __init__(self, *, resource: Resource, **kwargs: Any) -> None:
        to = resource.destination
        super().__init__(
            bucket=split_uri(to.landing)[0],
            source_objects=[],
            destination_project_dataset_table=f"{to.project}.{to.etl_dataset}.{resource.source}__{resource.name}",
            source_format="PARQUET",
            autodetect=False,
            write_disposition="WRITE_TRUNCATE",
            create_disposition="CREATE_IF_NEEDED",
            gcp_conn_id=to.gcp_conn_id,
            impersonation_chain=to.impersonate,
            project_id=to.project,
            location=to.location,
            labels=resource.target.labels,
            **kwargs,
        )
        self.resource = resource

    @airflow_errors
    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Load the clean parts and what else is staged with them; return the manifest's address and the staging table.

        Raises StaleError when an object is not the one that `sanitize` listed, before the job or after it.
        """
        self.landing, self.warehouse = google.landing(self.resource), google.warehouse(self.resource)
        manifest = read_manifest(context, self.resource, self.landing, "sanitize")
        self.warehouse.ensure_datasets()
        filled = self._load_parts(manifest)
        for fill in (self._load_quarantine, self._load_keys, self._load_tallies):
            filled = fill(filled)
        done = self._sealed(filled)
        name = attempt("load", context["ti"].try_number)
        prefix = f"{self.resource.target.landing_prefix(done.plan.load_id)}/{name}"
        return write_manifest(self.landing, prefix, done.then(step="load"), staging_table=done.staging_table)

    def _load_parts(self, manifest: Manifest) -> Manifest:
        """Load the rows, unless they never left BigQuery."""
        if manifest.staging_table:
            return manifest
        table = self.resource.target.staging_id(manifest.plan.load_id, manifest.attempt)
        fields = tuple(Field.from_json(document) for document in manifest.fields)
        self._load(manifest, table, fields, manifest.parts)
        return manifest.then(staging_table=table)

    def _load_quarantine(self, manifest: Manifest) -> Manifest:
        if not manifest.quarantine:
            return manifest
        table = f"{self.resource.target.staging_id(manifest.plan.load_id, manifest.attempt)}_quarantine"
        fields = tuple(Field(name, type_) for name, type_ in QUARANTINE_COLUMNS.items())
        self._load(manifest, table, fields, manifest.quarantine)
        return manifest.then(quarantine_table=table)

    def _load_keys(self, manifest: Manifest) -> Manifest:
        """Load the source's keys, where deletes are looked for and they are not in BigQuery already."""
        if manifest.keys_table or not manifest.key_fields:
            return manifest
        table = f"{self.resource.target.staging_id(manifest.plan.load_id, manifest.attempt)}_keys"
        fields = tuple(Field.from_json(document) for document in manifest.key_fields)
        self._load(manifest, table, fields, manifest.keys)
        return manifest.then(keys_table=table)

    def _load_tallies(self, manifest: Manifest) -> Manifest:
        """Load what became of each file, where a request cannot name them all."""
        if not manifest.tallies:
            return manifest
        table = f"{self.resource.target.staging_id(manifest.plan.load_id, manifest.attempt)}_files"
        fields = tuple(Field(name, type_) for name, type_ in TALLY_COLUMNS.items())
        self._load(manifest, table, fields, manifest.tallies)
        return manifest.then(files_table=table)

    def _sealed(self, manifest: Manifest) -> Manifest:
        """Seal the tables that were filled here; extract seals what it fills itself."""
        filled = [table for table in manifest.staging_tables if table not in manifest.seals]
        return manifest.then(seals=manifest.seals | seal(self.warehouse, filled))

    def _load(
        self, manifest: Manifest, table: str, fields: tuple[Field, ...], parts: tuple[Part, ...]
    ) -> None:
        """Load `parts` into `table`, once; an empty list leaves an empty table."""
        self.warehouse.create_staging(table, fields)
        if not parts:
            return
        labels = {"labels": self.resource.target.labels | {"etl_load_id": manifest.plan.load_id}}
        configuration = self._load_configuration(table, fields, parts) | labels
        name = f"{self.resource.dag_id}.{self.resource.name}"
        StagingLoad(self.landing, self.warehouse, name, table, parts).run(
            f"{manifest.plan.load_id}_load_{digest(configuration)}",
            lambda job_id: self._insert_job(configuration, job_id),
        )

    def _insert_job(self, configuration: dict[str, Any], job_id: str) -> LoadJob:
        assert isinstance(self.hook, BigQueryHook)
        job = self.hook.insert_job(
            configuration=configuration,
            project_id=self.resource.destination.project,
            location=self.location,
            job_id=job_id,
            nowait=True,
        )
        assert isinstance(job, LoadJob)
        return job

    def _load_configuration(
        self, table: str, fields: tuple[Field, ...], parts: tuple[Part, ...]
    ) -> dict[str, Any]:
        self.destination_project_dataset_table = table
        self.source_uris = [part.uri for part in parts]
        self.schema_fields = [field.to_api(staged=True) for field in fields]
        # Else an array would load as a RECORD `list` of RECORDs `element`:
        # https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-parquet#list_logical_type
        self.src_fmt_configs = (
            {"enableListInference": True} if any(field.has_lists for field in fields) else {}
        )
        self.hook = bigquery_hook(self.resource, self.gcp_conn_id)
        configuration: dict[str, Any] = self._use_existing_table()  # type: ignore[no-untyped-call]  # the parent's, not annotated
        return configuration
