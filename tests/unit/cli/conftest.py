"""What the command line's tests share: the command in this process, or as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import Command, Invoke
from typer.testing import CliRunner

from etl_factory.cli import app, private_airflow


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Return a function that runs the command in this process, without an Airflow of its own."""

    @contextmanager
    def same_airflow(*_: object) -> Iterator[Any]:
        yield sys.stderr

    monkeypatch.setattr(private_airflow, "private_airflow", same_airflow)
    runner = CliRunner()
    return lambda *arguments, **options: runner.invoke(app, [str(a) for a in arguments], **options)


@pytest.fixture
def command() -> Command:
    """Return a function that runs the installed command, with this environment and no other."""

    def run(
        *arguments: object, env: Mapping[str, str] | None = None, given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).parent / "etl-factory"), *map(str, arguments)]
        variables = dict(os.environ if env is None else env)
        return subprocess.run(
            command, env=variables, input=given, capture_output=True, text=True, check=False, timeout=300
        )

    return run
