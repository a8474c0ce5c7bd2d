"""The sanitize task: names, types, contract and quarantine, between extract and load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import BaseOperator

from etl_factory.config.resource import Resource
from etl_factory.identity import attempt
from etl_factory.landing.manifest import Manifest
from etl_factory.landing.objects import Landing
from etl_factory.operators import google
from etl_factory.operators.boundary import airflow_errors
from etl_factory.operators.handover import read_manifest, write_manifest
from etl_factory.schema.types import Field


class SanitizeOperator(BaseOperator):
    """Make what extract left loadable: legal names, exact types, bad rows set aside.

    :param resource: the resource whose parts are cleaned.
    """

    template_fields = ()
    ui_color = "#e8f0fe"

    def __init__(self, *, resource: Resource, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.resource = resource

    @airflow_errors
    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Clean the parts; return the manifest's address and the counts."""
        landing = google.landing(self.resource)
        manifest = read_manifest(context, self.resource, landing, "extract")
        published = google.warehouse(self.resource).published_fields()
        name = attempt("sanitize", context["ti"].try_number)
        done = self._clean(manifest, landing, published, name)
        for note in done.notes:
            self.log.warning("%s: %s", self.resource.name, note)
        prefix = f"{self.resource.target.landing_prefix(done.plan.load_id)}/{name}"
        return write_manifest(
            landing, prefix, done, rows_staged=done.rows_staged, rows_quarantined=done.rows_quarantined
        )

    def _clean(
        self, manifest: Manifest, landing: Landing, published: tuple[Field, ...] | None, name: str
    ) -> Manifest:
        if manifest.staging_table:
            from etl_factory.operators.sanitizing_staged import sanitize_staged

            return sanitize_staged(self.resource, manifest, published, name)
        from etl_factory.operators.replaying import replay_sanitizer, told
        from etl_factory.operators.sanitizing import Sanitizer

        if manifest.plan.mode != "replay":
            return Sanitizer(self.resource, landing, manifest, name).run(published)
        sanitizer = replay_sanitizer(self.resource, landing, manifest, name)
        return told(sanitizer.run(published), sanitizer)
