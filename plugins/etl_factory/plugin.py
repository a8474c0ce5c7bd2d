"""What Airflow's plugin manager loads."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin


class EtlFactoryPlugin(AirflowPlugin):
    """Names the package among Airflow's plugins."""

    name = "etl_factory"
