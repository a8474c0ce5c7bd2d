"""A task's rows lie in the memory pool that takes least time and memory, unless the environment names another."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from examples import REPOSITORY

PROGRAM = """
from etl_factory.loader import tenant_dags
assert tenant_dags()
import pyarrow
print(pyarrow.default_memory_pool().backend_name)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Arrow's wheels for Linux hold jemalloc for sure")
@pytest.mark.parametrize(
    ("said", "used"),
    [
        ({}, "jemalloc"),
        ({"ARROW_DEFAULT_MEMORY_POOL": ""}, "jemalloc"),
        ({"ARROW_DEFAULT_MEMORY_POOL": "system"}, "system"),
    ],
)
def test_a_task_uses_the_pool_that_the_environment_names_or_ours(said: dict[str, str], used: str) -> None:
    env = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    env |= {
        "PYTHONPATH": str(REPOSITORY / "plugins"),
        "ETL_FACTORY_CONFIG_ROOT": str(REPOSITORY / "config/tenants"),
    }

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=env | said, capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == used
