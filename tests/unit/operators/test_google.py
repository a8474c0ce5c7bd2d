"""Google clients work as the tenant: its identity, its project, its location."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.impersonated_credentials import Credentials as Impersonated
from google.oauth2.service_account import Credentials as ServiceAccount

from etl_factory.config.loading import load
from etl_factory.config.resource import Resource, resources
from etl_factory.errors import AccessDeniedError
from etl_factory.operators import google
from examples import SOURCE, TENANT, Write

IDENTITY = "etl-acme@acme-analytics.iam.gserviceaccount.com"


@pytest.fixture(autouse=True)
def own_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Airflow's default Google connection be a service account with a key of its own."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account",
        "project_id": "composer-project",
        "private_key": pem.decode(),
        "client_email": "composer@composer-project.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    extra = {"keyfile_dict": json.dumps(account)}
    value = json.dumps({"conn_type": "google_cloud_platform", "extra": extra})
    monkeypatch.setenv("AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT", value)
    for name in ("STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)


def resource(root: Path) -> Resource:
    """Return the only resource of a config root."""
    (source,) = load(root).sources
    return next(iter(resources(source.tenant, source.spec, "google_cloud_default")))


def test_all_work_is_done_as_the_tenants_identity(write: Write) -> None:
    tenant = f"{TENANT}impersonate: {IDENTITY}\n"
    made = resource(write({"acme/tenant.yaml": tenant, "acme/shop_db.yaml": SOURCE}))

    for client in (google.storage_client(made, "google_cloud_default"), google.warehouse(made).client):
        assert isinstance(client._credentials, Impersonated)
        assert client._credentials.service_account_email == IDENTITY


def test_without_impersonation_the_connection_is_the_identity(write: Write) -> None:
    made = resource(write({"acme/tenant.yaml": TENANT, "acme/shop_db.yaml": SOURCE}))

    credentials = google.landing(made).client._credentials
    assert isinstance(credentials, ServiceAccount)
    assert credentials.service_account_email == "composer@composer-project.iam.gserviceaccount.com"


def test_jobs_run_in_the_tenants_project_and_location(write: Write) -> None:
    made = resource(write({"acme/tenant.yaml": TENANT, "acme/shop_db.yaml": SOURCE}))

    client = google.warehouse(made).client
    assert (client.project, client.location) == ("acme-analytics", "EU")


def test_no_credentials_at_all_is_said_and_not_retried(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT", json.dumps({"conn_type": "google_cloud_platform"})
    )
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    made = resource(write({"acme/tenant.yaml": TENANT, "acme/shop_db.yaml": SOURCE}))

    for client in (google.landing, google.warehouse):
        with pytest.raises(AccessDeniedError, match="google_cloud_default has no Google credentials"):
            client(made)
