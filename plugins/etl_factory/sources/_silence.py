"""Ends a database connection on which nothing has come for too long: libpq itself would wait for ever.

A server that is gone is noticed within minutes, by TCP's own keepalive. This is for one that is there and never
answers: its kernel, or a proxy in front of it, keeps the connection alive.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SILENCE_SECONDS = 3600  # longer than a statement may need before its first row
KEEPALIVE = {"keepalives_idle": "60", "keepalives_interval": "20", "keepalives_count": "5"}
_OPEN_FILES = Path("/proc/self/fd")
_TCP_INFO = struct.Struct("=8B9I3I")  # up to the times since data was sent, an ack was sent, and data came


@contextmanager
def watched(port: int) -> Iterator[None]:
    """Shut every TCP connection to `port` that is opened in this block and has then been silent for too long.

    Where the system does not list a process's connections, it watches none.
    """
    known, over = set(_connections(port)), threading.Event()
    watcher = threading.Thread(target=_watch, args=(port, known, over), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _watch(port: int, known: set[str], over: threading.Event) -> None:
    while not over.wait(min(15.0, SILENCE_SECONDS / 4)):
        for name, descriptor in _connections(port).items():
            if name not in known:
                with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as held:
                    if _peer_port(held) == port and _seconds_silent(held) > SILENCE_SECONDS:
                        held.shutdown(socket.SHUT_RDWR)


def _connections(port: int) -> dict[str, int]:
    """Return this process's connections to a port, by the system's own name for each; none if it does not tell."""
    found = {}
    for file in _OPEN_FILES.glob("*"):
        with suppress(OSError):  # closed meanwhile
            name = os.readlink(file)
            if name.startswith("socket:"):
                with socket.socket(fileno=os.dup(int(file.name))) as held:
                    if _peer_port(held) == port:
                        found[name] = int(file.name)
    return found


def _peer_port(held: socket.socket) -> int:
    peer = held.getpeername()
    return int(peer[1]) if isinstance(peer, tuple) and held.type == socket.SOCK_STREAM else 0


def _seconds_silent(held: socket.socket) -> float:
    """Return for how long nothing was sent or received; none while there is something that we have not read."""
    unread = struct.unpack("i", fcntl.ioctl(held, termios.FIONREAD, bytes(4)))[0]
    if unread:
        return 0.0
    info = _TCP_INFO.unpack(held.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size))
    sent, _, received = info[-3:]
    return float(min(sent, received)) / 1000
