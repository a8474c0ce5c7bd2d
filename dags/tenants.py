"""Every tenant's DAGs; Airflow looks for the words airflow and dag in this text before it reads it."""

from __future__ import annotations

from etl_factory.loader import tenant_dags

globals().update(tenant_dags())
