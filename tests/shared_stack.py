"""One set of local servers for all processes of a test run: the first one starts them, the last to leave stops them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devstack.stack import Stack


@contextmanager
def shared(home: Path) -> Iterator[dict[str, str]]:
    """Start the servers in `home` unless they run, and yield their environment."""
    users = home / "users"
    users.mkdir(parents=True, exist_ok=True)
    mine = users / str(os.getpid())
    with _alone(users):
        env = Stack(home).start()
        mine.touch()
    try:
        yield env
    finally:
        with _alone(users):
            mine.unlink()
            if not any(_is_alive(user) for user in users.glob("[0-9]*")):
                Stack(home).stop()


@contextmanager
def _alone(users: Path) -> Iterator[None]:
    """Keep the other processes out of this block."""
    with (users / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_alive(user: Path) -> bool:
    """Whether the process is there; what a killed one has left is removed."""
    if Path(f"/proc/{user.name}").exists():
        return True
    user.unlink()
    return False
