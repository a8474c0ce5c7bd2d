"""What every test may use: an Airflow home of its own, a tenants' folder to write, and the local servers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import tally
from examples import REPOSITORY, Write
from scheduling import ByFileAndAirflow, turn
from shared_stack import shared

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
    """Start the local servers once for all tests, in whichever process they run, and export their environment.

    With `ETL_FACTORY_STACK_HOME` set, the servers of that home are used, and left running.
    """
    with _servers(os.environ.get("ETL_FACTORY_STACK_HOME")) as env:
        before = dict(os.environ)
        os.environ.update(env)
        yield env
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _servers(kept: str | None) -> Iterator[dict[str, str]]:
    if kept:
        from devstack.stack import Stack

        yield Stack(Path(kept)).start()
        return
    with shared(REPOSITORY / ".devstack" / "test") as env:
        yield env


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=turn)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile`, let all tests that need Airflow follow one another in one process too."""
    if config.getvalue("dist") != "loadfile":
        return None
    return ByFileAndAirflow(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what this process counted to the one that started it."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["tallies"] = {name: asdict(of) for name, of in tally.TALLIES.items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what another process counted."""
    tally.TALLIES.update({name: tally.Tally(**of) for name, of in node.workeroutput["tallies"].items()})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many values of every type were tried at the destination, and what became of them."""
    if shown := list(tally.lines()):
        terminalreporter.section("values at the destination")
        for line in shown:
            terminalreporter.write_line(line)
