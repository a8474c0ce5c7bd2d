"""What every test may use: an Airflow home of its own, a tenants' folder to write, and the local servers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from examples import REPOSITORY, Write

# Airflow reads these once, at its first import, which collecting the tests already causes.
os.environ.update(
    {
        "AIRFLOW_HOME": os.environ.get("ETL_FACTORY_TEST_AIRFLOW_HOME")
        or tempfile.mkdtemp(prefix="etl-factory-airflow-"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "ETL_FACTORY_CONFIG_ROOT": str(REPOSITORY / "config/tenants"),
        "ETL_FACTORY_ROLES": "acme,globex",
    }
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes files into a config root, by path; it returns the root."""

    def write_files(files: Mapping[str, str | bytes]) -> Path:
        root = tmp_path / "tenants"
        root.mkdir(exist_ok=True)
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return root

    return write_files


@pytest.fixture(scope="session")
def stack() -> Iterator[dict[str, str]]:
    """Start the local servers once for all tests, and export their environment.

    With `ETL_FACTORY_STACK_HOME` set, the servers of that home are used, and left running.
    """
    from devstack.stack import Stack

    kept = os.environ.get("ETL_FACTORY_STACK_HOME")
    servers = Stack(Path(kept) if kept else REPOSITORY / ".devstack" / "test")
    env = servers.start()
    before = dict(os.environ)
    os.environ.update(env)
    yield env
    os.environ.clear()
    os.environ.update(before)
    if not kept:
        servers.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what needs no server first, then what needs the servers, and what needs Airflow last."""

    def needs(item: pytest.Item) -> int:
        return 2 if item.get_closest_marker("airflow") else int(bool(item.get_closest_marker("stack")))

    items.sort(key=needs)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many values of every type were tried at the destination, and what became of them."""
    from tally import lines

    if shown := list(lines()):
        terminalreporter.section("values at the destination")
        for line in shown:
            terminalreporter.write_line(line)
