"""Gives the contract suite its databases: one of its own on each server of the local stack."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from table_systems import SYSTEMS, System


@pytest.fixture(scope="session", params=SYSTEMS, ids=lambda system: system.name)
def system(request: pytest.FixtureRequest, stack: object) -> Iterator[System]:
    """Return a database server with an empty database."""
    made: System = request.param()
    made.set_up()
    yield made
    made.tear_down()
