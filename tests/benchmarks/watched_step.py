"""Executes one step of a load in a process of its own, and says how much memory and which files it took.

`watched_step.py` reads a JSON object from its input: root, step, left, run_id. It writes one line of JSON: what the
step left, its seconds and those of its CPU, how many bytes its memory grew above the interpreter with the providers
loaded, and every file that it held open for writing or made in the folder of temporary files.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PROVIDERS = (
    "airflow.providers.google.cloud.hooks.bigquery", "airflow.providers.google.cloud.hooks.gcs",
    "airflow.providers.google.cloud.transfers.gcs_to_bigquery", "airflow.providers.google.cloud.transfers.s3_to_gcs",
    "airflow.providers.google.cloud.transfers.azure_blob_to_gcs", "google.cloud.bigquery", "google.cloud.storage",
    "boto3", "pyarrow.compute", "pyarrow.csv", "pyarrow.parquet", "etl_factory.factory",
    "etl_factory.operators.publishing", "etl_factory.operators.sanitizing",
)  # fmt: skip


@dataclass
class Watch:
    """What one process has taken while it was watched."""

    before: int
    files: set[str] = field(default_factory=set)

    @property
    def grown(self) -> int:
        """Bytes that resident memory grew at most."""
        return memory("VmHWM") - self.before


def memory(name: str) -> int:
    """Return one of the kernel's numbers of this process's memory, in bytes."""
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def written_files() -> Iterator[str]:
    """Name the regular files that this process holds open for writing, and all in its folder of temporary ones."""
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            name = os.readlink(entry)
            flags = int(
                re.search(r"flags:\s+(\d+)", Path(f"/proc/self/fdinfo/{entry.name}").read_text())[1], 8
            )  # type: ignore[index]  # the kernel's format
            if name.startswith("/") and not name.startswith(("/dev", "/proc")) and flags & os.O_ACCMODE:
                yield name
    yield from map(str, Path(tempfile.gettempdir()).rglob("*"))


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch this process from now on; files are looked for every few milliseconds."""
    Path("/proc/self/clear_refs").write_text("5")  # the greatest size starts anew
    known, ended = set(written_files()), threading.Event()
    watch = Watch(memory("VmRSS"))

    def look() -> None:
        while not ended.wait(0.02):
            watch.files |= set(written_files()) - known

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield watch
    finally:
        ended.set()
        watcher.join()


def execute(asked: dict[str, Any]) -> dict[str, Any]:
    """Execute the step."""
    for name in PROVIDERS:
        __import__(name)
    from etl_factory.config.loading import load
    from etl_factory.config.resource import resources
    from etl_factory.factory import operator_class

    (source,) = load(Path(asked["root"])).sources
    (resource,) = resources(source.tenant, source.spec)
    step, left = asked["step"], asked["left"]
    operator: Any = operator_class(step, resource.source_type)(task_id=step, resource=resource)
    task = SimpleNamespace(try_number=1, xcom_pull=lambda task_ids: left.get(task_ids.rpartition(".")[2]))
    run = SimpleNamespace(
        run_id=asked["run_id"], run_after=datetime.now(UTC), run_type="manual", conf=asked.get("conf", {})
    )
    begin, used = time.monotonic(), time.process_time()
    with watching() as watch:
        made = operator.execute({"ti": task, "dag_run": run, "params": {}})
    return {
        "left": made,
        "seconds": time.monotonic() - begin,
        "cpu": time.process_time() - used,
        "grown": watch.grown,
        "before": watch.before,
        "files": sorted(watch.files),
    }


if __name__ == "__main__":
    result = execute(json.load(sys.stdin))
    print(json.dumps(result, default=str))
