"""Processes that outlive the command that started them, found again by pid and start time."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path


class StackError(Exception):
    """A part of the stack did not start: the message holds the end of its log and what to do."""


@dataclass(frozen=True)
class Process:
    """One server process.

    `ready` raises until the server answers its own protocol. `user` is who runs it, when we are root.
    """

    name: str
    command: Sequence[str]
    ready: Callable[[], object]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    seconds: int = 90


class Home:
    """A folder that holds one stack: its data, logs, pids and ports."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        for name in ("log", "run", "data"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o711)

    def data(self, name: str) -> Path:
        """Return a server's data folder."""
        return self.path / "data" / name

    def log(self, name: str) -> Path:
        """Return a server's log file."""
        return self.path / "log" / f"{name}.log"

    def port(self, name: str) -> int:
        """Return the port of `name`: the same at every start, and free when first asked for."""
        file = self.path / "run" / "ports.json"
        ports = json.loads(file.read_text()) if file.exists() else {}
        if name not in ports or (not self.is_running(name.split(".")[0]) and _taken(ports[name])):
            ports[name] = _free_port(set(ports.values()))
            file.write_text(json.dumps(ports))
        return int(ports[name])

    def start(self, process: Process) -> bool:
        """Start a process and wait until it is ready; False when it runs already."""
        if self.is_running(process.name):
            return False
        with self.log(process.name).open("ab") as log:
            child = subprocess.Popen(
                process.command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **process.environment},
                user=process.user,
                group=process.user,
                start_new_session=True,
                cwd="/" if process.user else None,
            )
        self._pid_file(process.name).write_text(f"{child.pid} {_started(child.pid)}")
        self._await(process, child)
        # It outlives this process on purpose; without a return code Popen would warn that it still runs.
        child.returncode = 0
        return True

    def _await(self, process: Process, child: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + process.seconds
        while True:
            try:
                process.ready()
                return
            except Exception as error:
                if child.poll() is not None or time.monotonic() > deadline:
                    self.stop(process.name)
                    raise StackError(self._failure(process, error)) from error
            time.sleep(0.2)

    def _failure(self, process: Process, error: Exception) -> str:
        log = self.log(process.name)
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        return (
            f"{process.name} did not start: {error}\n--- end of {log} ---\n{tail}\n---\n"
            f"Run `make down`, remove {self.path} for a clean start, and try again."
        )

    def is_running(self, name: str) -> bool:
        """Whether the very process that was started is still there (a reused pid is not it)."""
        file = self._pid_file(name)
        if not file.exists():
            return False
        pid, started = file.read_text().split()
        return _started(int(pid)) == started

    def started_at(self, name: str) -> float:
        """Return when `name` was last started, in seconds since the epoch."""
        return self._pid_file(name).stat().st_mtime

    def stop(self, name: str) -> bool:
        """Stop a process and its whole group; False when it does not run."""
        running = self.is_running(name)
        file = self._pid_file(name)
        if running:
            _stop_group(int(file.read_text().split()[0]))
        file.unlink(missing_ok=True)
        return running

    def names(self) -> list[str]:
        """List what was started here, latest first."""
        files = sorted(self.path.glob("run/*.pid"), key=lambda file: file.stat().st_mtime, reverse=True)
        return [file.stem for file in files]

    def _pid_file(self, name: str) -> Path:
        return self.path / "run" / f"{name}.pid"


def _stop_group(pid: int) -> None:
    for name, seconds in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
        deadline = time.monotonic() + seconds
        with suppress(ProcessLookupError):
            os.killpg(pid, name)
        while time.monotonic() < deadline:
            _reap(pid)
            if not any(_group(member) == pid for member in _processes()):
                return
            time.sleep(0.05)


def _reap(pid: int) -> None:
    """Collect the child's exit when it is ours; another process's child is its parent's business."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _processes() -> Iterator[int]:
    return (int(folder.name) for folder in Path("/proc").glob("[0-9]*"))


def _group(pid: int) -> int | None:
    """Return a process's group; None for one that is gone, or a zombie that waits for its parent."""
    try:
        state, _, group, *_ = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state == "Z" else int(group)


def _started(pid: int) -> str:
    """Return a process's start time in clock ticks; empty for one that is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _free_port(used: set[int]) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in used:
            return port


def answers(port: int) -> None:
    """Raise OSError unless something accepts connections on `port`."""
    socket.create_connection(("127.0.0.1", port), timeout=2).close()
