"""Types and readers for the command line's tests."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

from click.testing import Result

Invoke = Callable[..., Result]
Command = Callable[..., "subprocess.CompletedProcess[str]"]


def only_json(text: str) -> Any:
    """Read standard output as one JSON document, with nothing before or after it."""
    assert text.startswith("{")
    return json.loads(text)
