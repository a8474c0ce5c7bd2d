"""Names the machine and the versions of everything that is measured."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.running import Place

LIST = """
import json
from importlib.metadata import distributions
print(json.dumps({d.metadata["Name"].lower().replace("_", "-"): d.version for d in distributions()}))
"""
NAMED = {
    "project": ("apache-airflow", "apache-airflow-providers-google", "apache-airflow-providers-postgres",
                "apache-airflow-providers-mysql", "apache-airflow-providers-amazon",
                "apache-airflow-providers-microsoft-azure", "pyarrow", "adbc-driver-postgresql", "mysqlclient"),
    "bench": ("dlt", "connectorx", "pandas", "sling-linux-amd64", "sqlalchemy", "pyarrow"),
    "parsing": ("dag-factory", "airflow-blueprint"),
}  # fmt: skip


def machine() -> dict[str, Any]:
    """Return cores, processor, memory, system, and how busy it was before the run."""
    info = Path("/proc/cpuinfo").read_text()
    models = [line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")]
    memory = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "cores": len(os.sched_getaffinity(0)),
        "model": models[0] if models else platform.machine(),
        "memory_gb": round(memory / 1024 / 1024, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": round(os.getloadavg()[0], 1),
    }


def versions(at: Mapping[str, Place]) -> dict[str, str]:
    """Return the versions of Python, the servers, the peers, and what ours stands on."""
    found = {"Python": platform.python_version()}
    for name, place in at.items():
        env = {**os.environ, **place.environment}
        held = json.loads(_line(*place.command, "-c", LIST, env=env, absent="{}"))
        for package in NAMED[name]:
            label = "pyarrow (of the peers)" if (name, package) == ("bench", "pyarrow") else package
            found[label] = held.get(package, "not installed")
    return found | {"PostgreSQL": _line("psql", "--version"), "MariaDB": _line("mariadb", "--version")}


def commit(repository: Path) -> str:
    """Return the commit that was measured, `unknown` outside of git."""
    return _line("git", "-C", str(repository), "rev-parse", "--short", "HEAD")


def _line(*command: str, env: Mapping[str, str] | None = None, absent: str = "unknown") -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    except FileNotFoundError:
        return absent
    return done.stdout.strip() if done.returncode == 0 else absent
