"""S3: the moto server."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from devstack.process import Home, Process


def process(home: Home, venvs: Path) -> Process:
    """Describe the server."""
    port = home.port("s3")
    command = [str(venvs / "emulators/bin/moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    return Process("s3", command, lambda: _ready(port), {"PYTHONPATH": ""})


def environment(home: Home) -> dict[str, str]:
    """Return what clients need; the keys are moto's dummies."""
    return {
        "S3_ENDPOINT_URL": f"http://127.0.0.1:{home.port('s3')}",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def _ready(port: int) -> None:
    urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5)
