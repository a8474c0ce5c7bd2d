"""One resource with everything a task needs to know of its source, tenant and destination."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from etl_factory.identity import digest
from etl_factory.sources.specs import ResourceSpec


@dataclass(frozen=True)
class Destination:
    """Where a tenant's rows go and as whom: BigQuery project and dataset, landing prefix, identity."""

    project: str
    location: str
    dataset: str
    landing: str
    gcp_conn_id: str = "google_cloud_default"
    impersonate: str | None = None
    maximum_bytes_billed: int | None = None

    @property
    def etl_dataset(self) -> str:
        """Dataset of staging, quarantine and ledger."""
        return f"{self.dataset}_etl"


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
    def table_id(self) -> str:
        """Published table as `project.dataset.table`."""
        return f"{self.destination.project}.{self.destination.dataset}.{self.table}"

    @property
    def ledger_id(self) -> str:
        """Ledger table as `project.dataset.table`."""
        return self._etl_table(f"_loads__{self.source}__{self.name}")

    @property
    def quarantine_id(self) -> str:
        """Quarantine table as `project.dataset.table`."""
        return self._etl_table(f"_quarantine__{self.source}__{self.name}")

    def staging_id(self, load_id: str, attempt: str) -> str:
        """Staging table of one attempt as `project.dataset.table`."""
        suffix = attempt.replace("-", "_")
        return self._etl_table(f"_staging__{self.source}__{self.name}__{load_id}_{suffix}")

    def landing_prefix(self, load_id: str) -> str:
        """Folder of one load in the landing bucket, without a trailing slash."""
        return f"{self.destination.landing.rstrip('/')}/{self.tenant}/{self.source}/{self.name}/load_id={load_id}"

    @property
    def labels(self) -> dict[str, str]:
        """BigQuery job labels: each value at most 63 characters of [a-z0-9_-]."""
        return {
            "etl_tenant": self.tenant[:63],
            "etl_source": self.source[:63],
            "etl_resource": self.name[:63],
        }

    @property
    def spec_digest(self) -> str:
        """Fingerprint of all that decides what is read and how it is published."""
        document: dict[str, Any] = self.spec.model_dump(mode="json", exclude={"description"})
        return digest({"spec": document, "conn_id": self.conn_id, "table": self.table_id})

    def _etl_table(self, name: str) -> str:
        return f"{self.destination.project}.{self.destination.etl_dataset}.{name}"
