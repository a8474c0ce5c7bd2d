"""The engine that runs publish's SQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from duck import Client, Engine


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    """Start the engine once."""
    engine = Engine()
    yield Client(engine)
    engine.close()
