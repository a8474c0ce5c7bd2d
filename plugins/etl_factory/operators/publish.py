"""The publish task: data and ledger in one BigQuery transaction, and then what the load has left is removed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import BaseOperator

from etl_factory.config.resource import Resource
from etl_factory.errors import NothingToLoad
from etl_factory.landing.manifest import Manifest
from etl_factory.operators import google
from etl_factory.operators.boundary import airflow_errors
from etl_factory.operators.cleanup import Cleanup
from etl_factory.operators.handover import manifest_uri, read_manifest
from etl_factory.operators.replayed import left_over
from etl_factory.warehouse.client import STAGING_DAYS
from etl_factory.warehouse.ledger import COUNTS


class PublishOperator(BaseOperator):
    """Make a staged load visible, exactly once, with the ledger row that says so.

    :param resource: the resource that is published.
    """

    template_fields = ()
    ui_color = "#e6f4ea"

    def __init__(self, *, resource: Resource, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.resource = resource

    @airflow_errors
    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Publish; return this resource's part of the run report.

        Raises NothingToLoad for a run with a row limit: its rows are looked at where they are staged.
        """
        from etl_factory.operators.publishing import Publisher

        landing, warehouse = google.landing(self.resource), google.warehouse(self.resource)
        manifest = read_manifest(context, self.resource, landing, "load")
        if manifest.plan.row_limit is not None:
            raise NothingToLoad(sample(self.resource, manifest))
        publisher = Publisher(self.resource, warehouse, manifest, context["dag_run"].run_id)
        report = publisher.run()
        self.log.info("%s", summary(report))
        cleanup = Cleanup(self.resource, landing, warehouse)
        cleanup.remove_load(manifest, manifest_uri(context, self.resource, "load"))
        cleanup.sweep(publisher.before, datetime.now(UTC))
        return report


def sample(resource: Resource, manifest: Manifest) -> str:
    """Say where the rows of a run with a row limit are."""
    rows, limit = manifest.rows_staged, manifest.plan.row_limit
    if manifest.plan.mode == "replay":
        return _dry_replay(resource, manifest)
    held = f"{rows} rows are in {manifest.staging_table}"
    if manifest.quarantine_table:
        held += f" and {manifest.rows_quarantined} bad rows in {manifest.quarantine_table}"
    return (
        f"{resource.dag_id}.{resource.name}: this run has a row_limit of {limit}, so nothing was published. {held},"
        f" for {STAGING_DAYS} days"
    )


def _dry_replay(resource: Resource, manifest: Manifest) -> str:
    told = manifest.extra["replay"]
    bad = f" ({told['first']})" if told["first"] else ""
    left = left_over(told["left"])
    return (
        f"{resource.dag_id}.{resource.name}: a dry run, so nothing was published. {manifest.rows_staged} rows fit now,"
        f" and are in {manifest.staging_table}; {manifest.rows_quarantined} stay bad{bad}"
        f"{f'; others stay as well: {left}' if left else ''}"
    )


def summary(report: Mapping[str, Any]) -> str:
    """Say in one line what a publish did."""
    if report["outcome"] == "superseded":
        return f"{report['table']}: a newer snapshot is published already, so this one was left out"
    counts = ", ".join(f"{report[name]} {name}" for name in COUNTS)
    return f"{report['table']}: {report['rows_read']} rows read, {counts}"
