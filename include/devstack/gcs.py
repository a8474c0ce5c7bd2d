"""GCS: the gcp-storage-emulator with a faster storage and preconditions (see gcs_server.py)."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from devstack.process import Home, Process


def process(home: Home, venvs: Path) -> Process:
    """Describe the emulator."""
    port = home.port("gcs")
    server = Path(__file__).parent / "gcs_server.py"
    command = [str(venvs / "emulators/bin/python"), str(server), str(home.data("gcs")), str(port)]
    return Process("gcs", command, lambda: _ready(port), {"PYTHONPATH": ""})


def environment(home: Home) -> dict[str, str]:
    """Return what clients need."""
    return {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{home.port('gcs')}"}


def _ready(port: int) -> None:
    urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
