"""Puts a server far away: `python distance.py HOST PORT SECONDS` passes on what comes so much later.

Only what a client sends is held back, so that the first byte of each answer comes later, and the rest no slower.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

CHUNK = 1 << 20
# "consistent small object latencies (and first-byte-out latencies for larger objects) of roughly 100-200 milliseconds":
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html
SECONDS = 0.1


@contextmanager
def far(url: str, seconds: float = SECONDS) -> Iterator[None]:
    """Let whatever in the environment names this server name one that is far away from it."""
    at = urlsplit(url)
    command = [sys.executable, __file__, str(at.hostname), str(at.port), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        near, away = f":{at.port}", f":{process.stdout.readline().strip()}"
        before = {name: value for name, value in os.environ.items() if near in value}
        os.environ.update({name: value.replace(near, away) for name, value in before.items()})
        try:
            yield
        finally:
            os.environ.update(before)
            process.terminate()


def serve(host: str, port: int, seconds: float) -> None:
    """Listen on a free port, say which, and pass everything on until terminated."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            client, _ = server.accept()
            there = socket.create_connection((host, port))
            for way in ((_asked, client, there, seconds), (_answered, there, client)):
                threading.Thread(target=_until_gone, args=way, daemon=True).start()


def _until_gone(way: Callable[..., None], source: socket.socket, target: socket.socket, *how: float) -> None:
    with suppress(ConnectionError):
        way(source, target, *how)
    with suppress(OSError):  # who has gone already cannot be told
        target.shutdown(socket.SHUT_WR)


def _asked(client: socket.socket, server: socket.socket, seconds: float) -> None:
    while data := client.recv(CHUNK):
        time.sleep(seconds)
        server.sendall(data)


def _answered(server: socket.socket, client: socket.socket) -> None:
    """Let the kernel pass answers on: what Python would take for that, the two sides would lack."""
    out, into = os.pipe()
    with os.fdopen(out), os.fdopen(into, "wb"):
        while size := os.splice(server.fileno(), into, CHUNK):
            while size:
                size -= os.splice(out, client.fileno(), size)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
