"""Runs the cases round by round, each sample in a process of its own with a time limit; a failure stops nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cases import Case
from benchmarks.child import MARK

REPOSITORY = Path(__file__).resolve().parents[2]
OURS = [str(REPOSITORY / name) for name in ("plugins", "include", "tests")]


@dataclass(frozen=True)
class Place:
    """An environment of Python: how to start it, and what its processes find in their environment."""

    command: tuple[str, ...]
    environment: Mapping[str, str]


def places(environment: Mapping[str, str]) -> dict[str, Place]:
    """Return the environments by name: the project's, the peers' own, and the project's with its parsing peers."""
    venvs = REPOSITORY / ".venvs"
    found = {
        "project": (sys.executable, os.pathsep.join(OURS)),
        "bench": (str(venvs / "bench/bin/python"), str(REPOSITORY / "tests")),
        "parsing": (sys.executable, os.pathsep.join([*OURS, str(venvs / "parsing")])),
    }
    return {
        name: Place((python, "-P"), {**environment, "PYTHONPATH": path})
        for name, (python, path) in found.items()
    }


def interleaved(cases: Sequence[Case]) -> Iterator[tuple[int, Case]]:
    """Yield every sample of the run: round after round, each second one backwards, so that none is always last."""
    for number in range(max((case.rounds for case in cases), default=0)):
        due = [case for case in cases if case.rounds > number]
        yield from ((number, case) for case in (due if number % 2 == 0 else reversed(due)))


def sample(case: Case, number: int, at: Mapping[str, Place]) -> dict[str, Any]:
    """Measure a case once; what goes wrong is in the sample's `error`."""
    head = {"group": case.group, "who": case.who, "round": number}
    if not Path(at[case.place].command[0]).exists():
        return head | {"error": "not installed: `make bench` installs the peers"}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as log:
        ended = _wait(_start(case, at[case.place], out, log), case.seconds)
        text, said = _text(out), _text(log)
    if ended != 0:
        return head | {"error": _reason(ended, said or text, case.seconds)}
    return _checked(case, head | json.loads(text.rpartition(MARK)[2]))


def _start(case: Case, place: Place, out: Any, log: Any) -> subprocess.Popen[bytes]:
    command = [*place.command, "-m", "benchmarks.child", case.subject, json.dumps(dict(case.options))]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=out, stderr=log, start_new_session=True,
        env={**os.environ, **place.environment}, cwd=tempfile.gettempdir(),
    )  # fmt: skip


def _wait(child: subprocess.Popen[bytes], seconds: int) -> int | None:
    """Return how the process ended, None when it took too long; nothing of it is left, Ctrl-C included."""
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _checked(case: Case, measured: dict[str, Any]) -> dict[str, Any]:
    """Refuse figures for other rows than were asked for: who loses rows is not fast."""
    expected = case.options.get("rows")
    if expected is None or measured["rows"] == expected:
        return measured
    head = {name: measured[name] for name in ("group", "who", "round")}
    return head | {"error": f"{measured['rows']} rows came out of {expected}"}


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode(errors="replace"))


def _reason(ended: int | None, text: str, seconds: int) -> str:
    if ended is None:
        return f"not finished within {seconds} s"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Exit)\b", line)]
    return scrubbed((errors or lines or [f"ended with code {ended}"])[-1])


def scrubbed(text: str) -> str:
    """Take this machine's folders and addresses, and passwords, out of an error."""
    text = re.sub(r"://[^@/\s]+@", "://***@", text)
    text = text.replace(str(REPOSITORY), "...").replace(tempfile.gettempdir(), "...")
    text = re.sub(r"(?<![\w.:/])/(?:[\w.+@-]+/)+", ".../", text)
    return re.sub(r"\b127\.0\.0\.1:\d+", "127.0.0.1", text)[:300]
