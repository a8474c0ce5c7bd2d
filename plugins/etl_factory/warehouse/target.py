"""Where one resource's rows go: every table id, landing folder and job label derives from it."""

from __future__ import annotations

from dataclasses import dataclass


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
class Target:
    """One resource at its destination; `table` is the published table's name."""

    tenant: str
    source: str
    resource: str
    table: str
    destination: Destination

    @property
    def table_id(self) -> str:
        """Published table as `project.dataset.table`."""
        return f"{self.destination.project}.{self.destination.dataset}.{self.table}"

    @property
    def ledger_id(self) -> str:
        """Ledger table as `project.dataset.table`."""
        return self._etl_table(f"_loads__{self.source}__{self.resource}")

    @property
    def quarantine_id(self) -> str:
        """Quarantine table as `project.dataset.table`."""
        return self._etl_table(f"_quarantine__{self.source}__{self.resource}")

    def staging_id(self, load_id: str, attempt: str) -> str:
        """Staging table of one attempt as `project.dataset.table`."""
        suffix = attempt.replace("-", "_")
        return self._etl_table(f"_staging__{self.source}__{self.resource}__{load_id}_{suffix}")

    def landing_prefix(self, load_id: str) -> str:
        """Folder of one load in the landing bucket, without a trailing slash."""
        root = self.destination.landing.rstrip("/")
        return f"{root}/{self.tenant}/{self.source}/{self.resource}/load_id={load_id}"

    @property
    def labels(self) -> dict[str, str]:
        """BigQuery job labels: each value at most 63 characters of [a-z0-9_-]."""
        return {
            "etl_tenant": self.tenant[:63],
            "etl_source": self.source[:63],
            "etl_resource": self.resource[:63],
        }

    def _etl_table(self, name: str) -> str:
        return f"{self.destination.project}.{self.destination.etl_dataset}.{name}"
