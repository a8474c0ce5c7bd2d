"""A TCP line in front of a server: passes bytes on, until a test cuts it, holds it or takes it away."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

NO_LINGER = struct.pack("ii", 1, 0)  # closing a socket then resets its connection


@dataclass
class Line:
    """The line's own port, how many connections it took, and what happens to those to come.

    After `after` bytes from the server, a connection is closed in good order (`end`), is reset (`reset`), or says
    nothing more for ever (`hold`).
    """

    target: tuple[str, int]
    port: int = 0
    taken: int = 0
    how: Literal["", "end", "reset", "hold"] = ""
    after: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def fails(self, how: Literal["end", "reset", "hold"], after: int = 0) -> None:
        """Let connections to come fail so."""
        self.how, self.after = how, after

    def mend(self) -> None:
        """Let connections to come pass."""
        self.how = ""

    def carry(self, client: socket.socket) -> None:
        """Pass on what both sides say; a client is let go when its server is gone."""
        self.taken += 1
        how, left = (self.how, self.after) if self.how else ("", None)
        with client, suppress(OSError), socket.create_connection(self.target) as server:
            up = threading.Thread(target=self._up, args=(client, server), daemon=True)
            if left != 0:
                up.start()
                self._down(client, server, left)
            if how == "hold":
                self.over.wait()
            elif how == "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            client.shutdown(socket.SHUT_RD if how == "reset" else socket.SHUT_RDWR)
            if up.ident:
                up.join(5)

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _down(self, client: socket.socket, server: socket.socket, left: int | None) -> None:
        while left != 0 and (data := server.recv(65536)):
            part = data[:left]
            client.sendall(part)
            left = None if left is None else left - len(part)


@contextmanager
def line_to(host: str, port: int) -> Iterator[Line]:
    """Lay a line to a server."""
    line = Line((host, port))
    listener = socket.create_server(("127.0.0.1", 0))
    line.port = listener.getsockname()[1]

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=line.carry, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield line
    finally:
        line.over.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
