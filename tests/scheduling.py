"""How much is played; which tests run in one process, and in which order, where several share the servers."""

from __future__ import annotations

import os

import pytest
from xdist.scheduler import LoadFileScheduling

PLAYS_ALL = os.environ.get("ETL_FACTORY_FAULTS") == "all"
"""Whether `make faults` runs, which plays what `make test` takes a part of."""
LONGEST = (
    "test_real_runs.py",
    "test_crashes.py",
    "test_files.py",
    "test_canary.py",
    "test_publish_on_server.py",
    "test_types_at_destination.py",
    "test_accounting.py",
)
"""Files that take minutes: one that began last would keep a single process busy at the end."""


def turn(item: pytest.Item) -> int:
    """Say when a test begins: what needs Airflow first, which takes longest, then the longest files."""
    if item.get_closest_marker("airflow"):
        return -1
    return LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST)


class ByFileAndAirflow(LoadFileScheduling):
    """Files go from process to process as a whole; there is one Airflow, so that its files go together."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "airflow" if "/e2e/" in file or file.endswith("_in_dag_runs.py") else file
