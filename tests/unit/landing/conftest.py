"""A landing bucket on the local Cloud Storage, started for these tests alone."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from devstack import gcs
from devstack.process import Home
from devstack.stack import VENVS
from etl_factory.landing.objects import Landing


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[storage.Client]:
    """Start the server and return google's own client of it."""
    home = Home(tmp_path_factory.mktemp("landing"))
    server = gcs.process(home, VENVS)
    home.start(server)
    endpoint = gcs.environment(home)["STORAGE_EMULATOR_HOST"]
    client = storage.Client(
        "acme-analytics", AnonymousCredentials(), client_options={"api_endpoint": endpoint}
    )
    yield client
    client.close()
    home.stop(server.name)


@pytest.fixture
def bucket(client: storage.Client) -> str:
    """Make a bucket and return its name."""
    name = f"landing-{uuid.uuid4().hex[:8]}"
    client.create_bucket(name)
    return name


@pytest.fixture
def landing(client: storage.Client, bucket: str) -> Landing:
    return Landing(client)
