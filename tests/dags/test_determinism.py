"""The same files give the same DAGs in every process: else each parse would make a new DAG version."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from examples import REPOSITORY

PARSE = Path(__file__).parent / "parse.py"
ROOTS = {
    "the examples": REPOSITORY / "config/tenants",
    "the tests' tenants": Path(__file__).parent / "tenants",
}


def parsed(root: Path, seed: int) -> dict[str, Any]:
    """Return what a new process, of another hash seed, makes of the DAG file."""
    env = {
        **os.environ,
        "PYTHONHASHSEED": str(seed),
        "PYTHONPATH": str(REPOSITORY / "plugins"),
        "ETL_FACTORY_CONFIG_ROOT": str(root),
        "ETL_FACTORY_ROLES": "acme,globex",
    }
    command = [sys.executable, str(PARSE), str(REPOSITORY / "dags/tenants.py")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=True)
    result: dict[str, Any] = json.loads(done.stdout.partition("RESULT")[2])
    return result


@pytest.mark.parametrize("root", ROOTS.values(), ids=ROOTS)
def test_two_processes_serialise_the_same(root: Path) -> None:
    one, two = parsed(root, 1), parsed(root, 2)

    assert one["errors"] == two["errors"] == {}
    assert len(one["dags"]) >= 7
    for dag_id, dag in one["dags"].items():
        # The order of keys is Airflow's own, by hash, and it sorts them before it compares versions.
        assert json.dumps(dag, sort_keys=True) == json.dumps(two["dags"][dag_id], sort_keys=True)
    assert one["dags"].keys() == two["dags"].keys()
