"""The publish task: data and ledger in one BigQuery transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import BaseOperator

from etl_factory.config.resource import Resource
from etl_factory.operators import google
from etl_factory.operators.boundary import airflow_errors
from etl_factory.operators.handover import read_manifest


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
        """Publish; return this resource's part of the run report."""
        from etl_factory.operators.publishing import Publisher

        manifest = read_manifest(context, self.resource, google.landing(self.resource), "load")
        run_id = context["dag_run"].run_id
        report = Publisher(self.resource, google.warehouse(self.resource), manifest, run_id).run()
        self.log.info("%s", summary(report))
        return report


def summary(report: Mapping[str, Any]) -> str:
    """Say in one line what a publish did."""
    if report["outcome"] == "superseded":
        return f"{report['table']}: a newer snapshot is published already, so this one was left out"
    counts = ", ".join(
        f"{report[name]} {name}"
        for name in ("inserted", "updated", "unchanged", "superseded", "deleted", "quarantined")
    )
    return f"{report['table']}: {report['rows_read']} rows read, {counts}"
