"""What the environment says, and what it means when it says nothing."""

from __future__ import annotations

import re

import pytest

from etl_factory.settings import Settings
from examples import REPOSITORY


def test_an_empty_environment_takes_the_built_in_values() -> None:
    assert Settings.from_environment({}) == Settings(
        config_root="config/tenants",
        roles=frozenset(),
        gcp_conn_id="google_cloud_default",
        secret_manager_endpoint="",
        secrets_project="",
        schedules=True,
        airflow_url="",
        airflow_username="",
        airflow_password="",
        airflow_token="",
    )


def test_every_variable_is_read() -> None:
    settings = Settings.from_environment(
        {
            "ETL_FACTORY_CONFIG_ROOT": "gs://acme-config/tenants",
            "ETL_FACTORY_ROLES": "acme, globex,,",
            "ETL_FACTORY_GCP_CONN_ID": "google_etl",
            "ETL_FACTORY_SECRET_MANAGER_ENDPOINT": "secretmanager.europe-west3.rep.googleapis.com",
            "ETL_FACTORY_SECRETS_PROJECT": "acme-secrets",
            "ETL_FACTORY_SCHEDULES": "off",
            "ETL_FACTORY_AIRFLOW_URL": "https://airflow.example",
            "ETL_FACTORY_AIRFLOW_USERNAME": "eve",
            "ETL_FACTORY_AIRFLOW_PASSWORD": "s3cret",
            "ETL_FACTORY_AIRFLOW_TOKEN": "t0ken",
        }
    )

    assert settings == Settings(
        config_root="gs://acme-config/tenants",
        roles=frozenset({"acme", "globex"}),
        gcp_conn_id="google_etl",
        secret_manager_endpoint="secretmanager.europe-west3.rep.googleapis.com",
        secrets_project="acme-secrets",
        schedules=False,
        airflow_url="https://airflow.example",
        airflow_username="eve",
        airflow_password="s3cret",
        airflow_token="t0ken",
    )
    assert "s3cret" not in repr(settings)
    assert "t0ken" not in repr(settings)


def test_a_variable_that_is_set_to_nothing_counts_as_absent() -> None:
    names = ("CONFIG_ROOT", "ROLES", "GCP_CONN_ID", "SECRET_MANAGER_ENDPOINT", "SECRETS_PROJECT", "SCHEDULES")

    assert Settings.from_environment(
        {f"ETL_FACTORY_{name}": "" for name in names}
    ) == Settings.from_environment({})


@pytest.mark.parametrize(
    ("text", "schedules"),
    [
        ("off", False),
        (" OFF ", False),
        ("false", False),
        ("0", False),
        ("no", False),
        ("on", True),
        ("", True),
    ],
)
def test_schedules_are_on_unless_they_are_off(text: str, schedules: bool) -> None:
    assert Settings.from_environment({"ETL_FACTORY_SCHEDULES": text}).schedules is schedules


def test_one_module_of_the_package_reads_the_settings_variables() -> None:
    files = (REPOSITORY / "plugins/etl_factory").rglob("*.py")
    reads = re.compile(r"(environ|getenv)[^\n]*ETL_FACTORY_")

    assert [file.name for file in files if reads.search(file.read_text())] == ["settings.py"]
