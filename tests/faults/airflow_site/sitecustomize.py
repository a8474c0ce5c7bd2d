"""Lets crash trials strike the tasks of an Airflow that has this folder on PYTHONPATH; without a trial it does nothing.

Python imports this module at its start. The seams are wrapped as soon as a task has imported them.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

FIRST = "etl_factory.operators.google"
"""What every operator of the product imports."""


class _Wrapping(MetaPathFinder):
    """Finds `FIRST` once as others do, and wraps the seams after it has been imported."""

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != FIRST:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        execute = spec.loader.exec_module

        def executed(module: ModuleType) -> None:
            execute(module)
            _install()

        spec.loader.exec_module = executed
        return spec


def _install() -> None:
    import crash_boundaries

    crash_boundaries.install(crash_boundaries.strike_of_this_task)
    crash_boundaries.make_small_parts(lambda: os.environ.get("AIRFLOW_CTX_DAG_ID", "").startswith("faults__"))


if "FAULTS_STRIKES" in os.environ:
    sys.meta_path.insert(0, _Wrapping())
