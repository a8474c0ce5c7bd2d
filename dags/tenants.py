"""Every tenant's DAGs; Airflow looks for the words airflow and dag in this text before it reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_factory.loader import tenant_dags

if TYPE_CHECKING:  # the DAG processor imports, once and for all files, the airflow modules named here
    import airflow.providers.google.cloud.transfers.gcs_to_bigquery
    import airflow.providers.google.cloud.transfers.mysql_to_gcs
    import airflow.providers.google.cloud.transfers.postgres_to_gcs
    import airflow.sdk  # noqa: F401 - see above

globals().update(tenant_dags())
