"""How the tests' Airflow runs: it notices dead tasks soon, parses when told to, and can be struck by crash trials."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devstack import airflow
from devstack.process import Home
from examples import REPOSITORY

FAULTS = Path(__file__).parent / "faults"
PATHS = [REPOSITORY / "plugins", REPOSITORY / "include", REPOSITORY / "tests", FAULTS]
"""Where processes that a server forks for the fault tests find their modules."""
SETTINGS = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "10",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
    airflow.PARSE_EVERY: "300",
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",  # else a file that is mended at once stays broken
}
MARKED = "FAULTS_STRIKES"


def environment(home: Path) -> dict[str, str]:
    """Return what an Airflow of the stack in `home` is started with."""
    paths = (str(FAULTS / "airflow_site"), str(FAULTS), os.environ.get("PYTHONPATH", ""))
    return {
        **SETTINGS,
        MARKED: str(home / "strikes"),
        "ETL_FACTORY_CONFIG_ROOT": str(home / "tenants"),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }


@contextmanager
def fault_profile(home: Path) -> Iterator[None]:
    """Start Airflow inside this block: one that runs already without the profile is stopped first."""
    (home / "strikes").mkdir(parents=True, exist_ok=True)
    (home / "tenants").mkdir(parents=True, exist_ok=True)
    _stop_others(Home(home))
    before = dict(os.environ)
    os.environ.update(environment(home))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _stop_others(home: Home) -> None:
    file = home.path / "run" / "scheduler.pid"
    if not home.is_running("scheduler"):
        return
    started_with = Path(f"/proc/{file.read_text().split()[0]}/environ").read_bytes()
    if MARKED.encode() not in started_with:
        for name in airflow.COMPONENTS:
            home.stop(name)
