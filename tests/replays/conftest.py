"""Gives the replay's tests one source on the local servers, whose YAML each test writes and then mends."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from shelf import Shelf


@pytest.fixture
def shelf(stack: dict[str, str], tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(stack, tmp_path / "tenants", f"replay_{uuid.uuid4().hex[:8]}")
    yield made
    made.remove()
