"""A task's rows lie in the memory pool that takes least time and memory, unless the environment names another."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from examples import REPOSITORY

PROGRAM = """
import runpy, sys
for file in sys.argv[1:]:
    assert runpy.run_path(file)
import pyarrow
print(pyarrow.default_memory_pool().backend_name)
"""


@pytest.mark.parametrize(
    ("said", "used"),
    [
        ({}, "jemalloc"),
        ({"ARROW_DEFAULT_MEMORY_POOL": ""}, "jemalloc"),
        ({"ARROW_DEFAULT_MEMORY_POOL": "system"}, "system"),
    ],
)
@pytest.mark.parametrize("files", [["tenants.py"], ["preload.py", "tenants.py"]], ids=["task", "all files"])
def test_a_task_uses_the_pool_that_the_environment_names_or_ours(
    said: dict[str, str], used: str, files: list[str]
) -> None:
    env = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    env |= {
        "PYTHONPATH": str(REPOSITORY / "plugins"),
        "ETL_FACTORY_CONFIG_ROOT": str(REPOSITORY / "config/tenants"),
    }

    command = [sys.executable, "-c", PROGRAM, *(str(REPOSITORY / "dags" / file) for file in files)]
    done = subprocess.run(command, env=env | said, capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == used
