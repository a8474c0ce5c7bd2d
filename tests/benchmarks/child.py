"""Measures one subject once, in this fresh process: `python -m benchmarks.child MODULE:FUNCTION OPTIONS`.

It imports nothing but Python's own library, so that it runs in every environment that a peer lives in.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

Counts = dict[str, Any]
Subject = Callable[[dict[str, Any]], Iterator[Any]]
MARK = "RESULT"


def measure(subject: Subject, options: dict[str, Any]) -> Counts:
    """Run a subject; return its counts with wall and CPU seconds, and memory in MB before and at the peak.

    What comes before its first `yield`, imports and connections above all, and after its second, is not measured.
    """
    steps = subject(options)
    next(steps)
    base = memory("VmRSS")
    forget_peak()
    cpu, written, begin = cpu_seconds(), written_bytes(), time.perf_counter()
    counts = next(steps)
    seconds = time.perf_counter() - begin
    measured = {
        "seconds": round(seconds, 6),
        "cpu_seconds": round(cpu_seconds() - cpu, 6),
        "base_mb": round(base, 1),
        "peak_mb": round(memory("VmHWM"), 1),
        "local_mb": round((written_bytes() - written) / 1e6, 3),
    }
    for _ in steps:
        continue
    return measured | counts


def memory(name: str) -> float:
    """Return a size of this process as the kernel keeps it, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"this kernel does not tell {name}")


def forget_peak() -> None:
    """Let the peak begin anew from what is held now."""
    Path("/proc/self/clear_refs").write_text("5")


def cpu_seconds() -> float:
    """Return the CPU that this process and its children that have ended have used, in all threads."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def written_bytes() -> int:
    """Return how many bytes this process has sent to a disk."""
    line = next(each for each in Path("/proc/self/io").read_text().splitlines() if each.startswith("write_b"))
    return int(line.split()[1])


def main() -> None:
    """Measure what the command line names, and print it as one line of JSON."""
    module, _, function = sys.argv[1].partition(":")
    subject = getattr(import_module(f"benchmarks.subjects.{module}"), function)
    result = measure(subject, json.loads(sys.argv[2]))
    print("\n" + MARK + json.dumps(result), flush=True)
    os._exit(0)  # a peer's leftover threads, telemetry for one, must not keep the run waiting


if __name__ == "__main__":
    main()
