"""Names that make every write idempotent, and the command that goes with a connection's name."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any


def load_id(dag_id: str, resource: str, run_id: str) -> str:
    """Name one resource's work in one DAG run; the same for every retry and clearing of that run."""
    return "ld_" + hashlib.sha256(f"{dag_id}\n{resource}\n{run_id}".encode()).hexdigest()[:20]


def attempt(step: str, try_number: int) -> str:
    """Name one try of one step, e.g. `extract-1-9f3a01bc`; two tries never share a name."""
    return f"{step}-{try_number}-{secrets.token_hex(4)}"


def digest(document: Mapping[str, Any]) -> str:
    """Fingerprint a JSON-like document, independent of key order."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def store_command(conn_id: str) -> str:
    """Spell the command that stores a connection, for messages."""
    tenant, _, name = conn_id.partition("__")
    return f"`etl-factory secret set {tenant} {name} -`"
