"""BigQuery: the local-bigquery emulator, in an environment of its own, reading the GCS emulator's folder."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from devstack.process import Home, Process

PROJECT = "acme-analytics"


def process(home: Home, venvs: Path) -> Process:
    """Describe the emulator; its DuckDB extensions lie in its environment's own home."""
    port = home.port("bigquery")
    root = home.data("gcs") / ".cloudstorage"
    root.mkdir(parents=True, exist_ok=True)
    command = [
        str(venvs / "bigquery/bin/python"),
        str(Path(__file__).parent / "bigquery_server.py"),
        "--data-dir",
        str(home.data("bigquery")),
        "--port",
        str(port),
        "--grpc-port",
        str(home.port("bigquery.grpc")),
    ]
    environment = {"GCS_LOCAL_ROOT": str(root), "HOME": str(venvs / "bigquery"), "PYTHONPATH": ""}
    return Process("bigquery", command, lambda: _ready(port), environment)


def environment(home: Home) -> dict[str, str]:
    """Return what clients need."""
    return {
        "BIGQUERY_EMULATOR_HOST": f"http://127.0.0.1:{home.port('bigquery')}",
        "GOOGLE_CLOUD_PROJECT": PROJECT,
    }


def _ready(port: int) -> None:
    urllib.request.urlopen(f"http://127.0.0.1:{port}/bigquery/v2/projects/{PROJECT}/datasets", timeout=5)
