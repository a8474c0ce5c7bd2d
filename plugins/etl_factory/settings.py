"""The process environment, read in this one place under the prefix `ETL_FACTORY_`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

COMPOSER_CONFIG_ROOT = "/home/airflow/gcs/dags/config/tenants"
OFF = ("off", "false", "no", "0")


@dataclass(frozen=True)
class Settings:
    """What the environment says.

    `config_root`: folder (or `gs://` prefix, CLI and web server only) of the tenants' YAML.
    `roles`: Airflow roles that a tenant's `airflow_role` may name.
    `gcp_conn_id`: Airflow connection used for landing, staging and publish.
    `secret_manager_endpoint`: host:port of a regional or local Secret Manager; empty for Google's.
    `secrets_project`: project that holds the `airflow-connections-*` secrets.
    `schedules`: False builds every DAG without its schedule, for a laptop or a staging environment.
    `airflow_url`: the Airflow that the command line talks to, by user name and password, or by a token;
    with neither, by Google's application default credentials.
    """

    config_root: str
    roles: frozenset[str]
    gcp_conn_id: str
    secret_manager_endpoint: str
    secrets_project: str
    schedules: bool = True
    airflow_url: str = ""
    airflow_username: str = ""
    airflow_password: str = field(default="", repr=False)
    airflow_token: str = field(default="", repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the environment; absent variables take Composer's defaults."""
        env = os.environ if environ is None else environ
        return cls(
            config_root=env.get("ETL_FACTORY_CONFIG_ROOT") or _default_config_root(),
            roles=frozenset(filter(None, (r.strip() for r in env.get("ETL_FACTORY_ROLES", "").split(",")))),
            gcp_conn_id=env.get("ETL_FACTORY_GCP_CONN_ID") or "google_cloud_default",
            secret_manager_endpoint=env.get("ETL_FACTORY_SECRET_MANAGER_ENDPOINT", ""),
            secrets_project=env.get("ETL_FACTORY_SECRETS_PROJECT", ""),
            schedules=env.get("ETL_FACTORY_SCHEDULES", "on").strip().lower() not in OFF,
            airflow_url=env.get("ETL_FACTORY_AIRFLOW_URL", ""),
            airflow_username=env.get("ETL_FACTORY_AIRFLOW_USERNAME", ""),
            airflow_password=env.get("ETL_FACTORY_AIRFLOW_PASSWORD", ""),
            airflow_token=env.get("ETL_FACTORY_AIRFLOW_TOKEN", ""),
        )


def _default_config_root() -> str:
    return COMPOSER_CONFIG_ROOT if Path(COMPOSER_CONFIG_ROOT).is_dir() else "config/tenants"
