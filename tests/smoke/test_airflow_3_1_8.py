"""The oldest Airflow that we support, in an environment of its own, builds and serialises every example DAG."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from examples import REPOSITORY

VENV = REPOSITORY / ".venvs" / "airflow-3.1.8"
REQUIREMENTS = Path(__file__).parent / "airflow-3.1.8.txt"
SECONDS = 600


@pytest.fixture(scope="module")
def python() -> Path:
    """Return the Python of an environment that holds Airflow 3.1.8; it is made once per list of requirements."""
    stamp = VENV / "requirements.sha256"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    executable = VENV / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != wanted:
        uv = Path(sys.executable).with_name("uv")
        run([uv, "venv", "-q", "--clear", "--python", sys.executable, VENV])
        run([uv, "pip", "install", "-q", "--no-deps", "--python", executable, "-r", installable()])
        stamp.write_text(wanted)
    return executable


def installable() -> Path:
    """Return the list of requirements, without MySQL's client where it cannot be built."""
    if subprocess.run(["pkg-config", "--exists", "libmariadb"], check=False).returncode == 0:
        return REQUIREMENTS
    kept = [line for line in REQUIREMENTS.read_text().splitlines() if "mysql" not in line]
    target = VENV.with_suffix(".txt")
    target.write_text("\n".join(kept))
    return target


def run(command: list[Any], **environment: str) -> str:
    """Run a command; return what it printed, or fail with what it said."""
    env = {**os.environ, **environment}
    done = subprocess.run(
        list(map(str, command)), env=env, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def test_every_example_builds_and_serialises(python: Path, tmp_path: Path) -> None:
    printed = run(
        [python, REPOSITORY / "tests/dags/parse.py", REPOSITORY / "dags/tenants.py"],
        AIRFLOW_HOME=str(tmp_path),
        AIRFLOW__CORE__PLUGINS_FOLDER=str(REPOSITORY / "plugins"),
        ETL_FACTORY_CONFIG_ROOT=str(REPOSITORY / "config/tenants"),
        ETL_FACTORY_ROLES="acme,globex",
        PYTHONPATH=str(REPOSITORY / "plugins"),
    )
    result = json.loads(printed.partition("RESULT")[2])
    assert result["errors"] == {}
    files = (REPOSITORY / "config/tenants").glob("*/*.yaml")
    wanted = {f"{file.parent.name}__{file.stem}" for file in files if file.stem != "tenant"}
    assert set(result["dags"]) == wanted
    tags = {tag for dag in result["dags"].values() for tag in dag["dag"]["tags"]}
    assert "config-error" not in tags
