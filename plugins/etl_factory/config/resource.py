"""One resource with everything a task needs to know of its source, tenant and destination."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from etl_factory.config.models import Tenant
from etl_factory.identity import digest
from etl_factory.sources.specs import ResourceSpec, SourceSpec, TaskSettings
from etl_factory.warehouse.target import Destination, Target

__all__ = ["Destination", "Resource", "resources"]


@dataclass(frozen=True)
class Resource:
    """One resource of one source of one tenant, defaults applied.

    `conn_id` is the Airflow connection of the source. `timezone` is the tenant's.
    """

    tenant: str
    source: str
    source_type: str
    name: str
    conn_id: str
    timezone: str
    destination: Destination
    spec: ResourceSpec = field(repr=False)

    @property
    def dag_id(self) -> str:
        """DAG that loads this resource."""
        return f"{self.tenant}__{self.source}"

    @property
    def table(self) -> str:
        """Name of the published table."""
        return self.spec.target_table or f"{self.source}__{self.name}"

    @property
    def target(self) -> Target:
        """The resource at its destination: table ids, landing folder, job labels."""
        return Target(self.tenant, self.source, self.name, self.table, self.destination)

    @property
    def table_id(self) -> str:
        """Published table as `project.dataset.table`."""
        return self.target.table_id

    @property
    def spec_digest(self) -> str:
        """Fingerprint of all that decides what is read and how it is published; words for people do not."""
        unread: dict[str, Any] = dict.fromkeys(("description", *TaskSettings.model_fields), True)
        unread["columns"] = {"description", "policy_tags"}
        document: dict[str, Any] = self.spec.model_dump(mode="json", exclude=unread)
        return digest({"spec": document, "conn_id": self.conn_id, "table": self.table_id})

    @property
    def reads_digest(self) -> str:
        """Fingerprint of what is read: a plan that was made for another one is void."""
        return self._digest_of("table", "query", "path", "load", "files", "cursor", "cursor_timezone")

    @property
    def cursor_digest(self) -> str:
        """Fingerprint of a watermark's column, of the table that holds what lies before it, and of its masks."""
        mask = self.spec.model_dump(mode="json")["columns"]["mask"]
        hidden = {"mask": mask} if mask else {}  # as before there were masks, where there is none
        return self._digest_of("table", "cursor", "cursor_timezone", published=self.table, **hidden)

    @property
    def format_digest(self) -> str:
        """Fingerprint of how files are read: the schema that was found one way says nothing of another."""
        return digest({"format": self.spec.model_dump(mode="json").get("format")})

    def _digest_of(self, *keys: str, **more: Any) -> str:
        said = self.spec.model_dump(mode="json")
        return digest({key: said.get(key) for key in keys} | {"conn_id": self.conn_id} | more)


def resources(
    tenant: Tenant, source: SourceSpec, gcp_conn_id: str = "google_cloud_default"
) -> tuple[Resource, ...]:
    """Return the source's resources in the order of their file.

    A Google source that names no connection is read as the tenant itself, through `gcp_conn_id`.
    """
    destination = Destination(
        project=tenant.project,
        location=tenant.location,
        dataset=tenant.dataset,
        landing=tenant.landing.rstrip("/"),
        gcp_conn_id=gcp_conn_id,
        impersonate=tenant.impersonate,
        maximum_bytes_billed=tenant.limits.maximum_bytes_billed,
    )
    return tuple(
        Resource(
            tenant=tenant.tenant,
            source=source.source,
            source_type=source.type,
            name=name,
            conn_id=f"{tenant.tenant}__{source.connection}" if source.connection else gcp_conn_id,
            timezone=tenant.timezone,
            destination=destination,
            spec=spec,
        )
        for name, spec in source.resources.items()
    )
