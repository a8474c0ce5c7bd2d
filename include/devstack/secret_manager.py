"""Secret Manager: our small gRPC server (see secret_manager_server.py)."""

from __future__ import annotations

import sys
from pathlib import Path

from devstack.bigquery import PROJECT
from devstack.process import Home, Process, answers


def process(home: Home) -> Process:
    """Describe the server."""
    port = home.port("secret_manager")
    script = Path(__file__).parent / "secret_manager_server.py"
    home.data("secrets").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(script), str(home.data("secrets") / "secrets.json"), str(port)]
    return Process("secret_manager", command, lambda: answers(port), {"PYTHONPATH": ""})


def environment(home: Home) -> dict[str, str]:
    """Return what clients need."""
    endpoint = f"127.0.0.1:{home.port('secret_manager')}"
    return {
        "SECRET_MANAGER_ENDPOINT": endpoint,
        "ETL_FACTORY_SECRET_MANAGER_ENDPOINT": endpoint,
        "ETL_FACTORY_SECRETS_PROJECT": PROJECT,
    }
