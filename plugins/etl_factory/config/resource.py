"""One resource with everything a task needs to know of its source, tenant and destination."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from etl_factory.identity import digest
from etl_factory.sources.specs import ResourceSpec
from etl_factory.warehouse.target import Destination, Target

__all__ = ["Destination", "Resource"]


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
        """Fingerprint of all that decides what is read and how it is published."""
        document: dict[str, Any] = self.spec.model_dump(mode="json", exclude={"description"})
        return digest({"spec": document, "conn_id": self.conn_id, "table": self.table_id})
