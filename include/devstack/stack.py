"""The stack as one thing: start it, stop it, and say where everything is."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from devstack import airflow, azure, bigquery, gcs, mysql, postgres, s3, secret_manager
from devstack.process import Home, Process, StackError

__all__ = ["Stack", "StackError"]
VENVS = airflow.REPOSITORY / ".venvs"


class Stack:
    """One home's servers. Starting what runs already changes nothing; stopping stops only what it started."""

    def __init__(self, home: Path | str = ".devstack", say: Callable[[str], None] = lambda _: None) -> None:
        self.home, self.say = Home(Path(home)), say
        self.has_mysql = mysql.is_available()

    def start(self, *, with_airflow: bool = False) -> dict[str, str]:
        """Start the servers, and Airflow if asked; return their environment once everything answers.

        Raises StackError with the log's end when a part does not start; what this call started is stopped.
        """
        started: list[str] = []
        try:
            self._start_servers(started)
            env = self.environment()
            airflow.migrate(self.home, env)
            self._write_environment(env)
            if with_airflow:
                self._start_airflow(env, started)
        except BaseException:
            for name in reversed(started):
                self.home.stop(name)
            raise
        return env

    def _servers(self) -> list[Callable[[], Process]]:
        home = self.home
        servers: list[Callable[[], Process]] = [
            lambda: bigquery.process(home, VENVS),
            lambda: postgres.process(home),
            lambda: gcs.process(home, VENVS),
            lambda: s3.process(home, VENVS),
            lambda: azure.process(home, VENVS),
            lambda: secret_manager.process(home),
        ]
        return [*servers, lambda: mysql.process(home)] if self.has_mysql else servers

    def _start_servers(self, started: list[str]) -> None:
        if not self.has_mysql:
            self.say("mysql           left out: no MariaDB server or client library here")
        processes = [describe() for describe in self._servers()]
        with ThreadPoolExecutor(len(processes)) as pool:
            for future in [pool.submit(self._start, process, started) for process in processes]:
                future.result()

    def _start(self, process: Process, started: list[str]) -> None:
        begin = time.monotonic()
        if self.home.start(process):
            started.append(process.name)
            self.say(f"{process.name:15} started in {time.monotonic() - begin:.1f} s")
        else:
            self.say(f"{process.name:15} runs already")

    def _start_airflow(self, env: dict[str, str], started: list[str]) -> None:
        begin = time.monotonic()
        self._stop_outdated_airflow()
        for process in airflow.processes(self.home, env):
            if self.home.start(process):
                started.append(process.name)
        while True:
            try:
                airflow.await_healthy(env)
                break
            except (OSError, StackError) as error:
                self._demand_alive(error)
                if time.monotonic() - begin > 240:
                    raise StackError(f"Airflow is not healthy after 240 s: {error}") from error
            time.sleep(0.5)
        self.say(f"{'airflow':15} healthy after {time.monotonic() - begin:.1f} s")

    def _stop_outdated_airflow(self) -> None:
        """Stop an Airflow that runs older code: a process imports a plugin once."""
        code = max(file.stat().st_mtime for file in (airflow.REPOSITORY / "plugins").rglob("*.py"))
        running = [name for name in airflow.COMPONENTS if self.home.is_running(name)]
        if any(self.home.started_at(name) < code for name in running):
            self.say(f"{'airflow':15} restarts, since the plugin's code has changed")
            for name in running:
                self.home.stop(name)

    def _demand_alive(self, error: Exception) -> None:
        for name in airflow.COMPONENTS:
            if not self.home.is_running(name):
                tail = self.home.log(name).read_text(errors="replace")[-3000:]
                raise StackError(f"Airflow's {name} stopped:\n{tail}") from error

    def stop(self) -> list[str]:
        """Stop everything that runs in this home; return its names."""
        (self.home.path / "env").unlink(missing_ok=True)
        return [name for name in self.home.names() if self.home.stop(name)]

    def running(self) -> dict[str, bool]:
        """Say of each part that was started whether it runs."""
        return {name: self.home.is_running(name) for name in sorted(self.home.names())}

    def environment(self) -> dict[str, str]:
        """Return all variables that clients, Airflow and `etl-factory` need."""
        parts = [postgres, bigquery, gcs, s3, azure, secret_manager, airflow]
        merged: dict[str, str] = {}
        for part in [*parts, mysql] if self.has_mysql else parts:
            merged |= part.environment(self.home)
        return merged

    def _write_environment(self, env: dict[str, str]) -> None:
        file = self.home.path / "env"
        file.touch(mode=0o600)
        lines = [f"{name}={shlex.quote(value)}" for name, value in sorted(env.items())]
        path = airflow.REPOSITORY / ".venv/bin"
        file.write_text("\n".join([*lines, f"PATH={shlex.quote(str(path))}:$PATH", ""]))
        os.chmod(file, 0o600)
