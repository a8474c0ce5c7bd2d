"""A server between a client and a real one: passes requests on, except where a test says otherwise."""

from __future__ import annotations

import http.client
import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

Answer = tuple[int, dict[str, str], bytes]
How = Literal["answer", "cut", "reset", "hang", "stall", "trickle"]
NOT_PASSED_ON = ("connection", "transfer-encoding", "content-length", "keep-alive")
NO_LINGER = struct.pack("ii", 1, 0)  # closing a socket then resets its connection


@dataclass
class Fault:
    """What happens to `times` requests whose line contains `when`, after `skip` others that do.

    `how`: an `answer` of our own; the real one `cut` off in its middle, by closing the connection; a `reset`
    instead of any answer; none at all for ever (`hang`), or none after its middle (`stall`); the real answer in
    slow pieces (`trickle`). `is_done` lets the request take effect first.
    """

    when: str
    how: How
    times: int = 1
    is_done: bool = False
    answer: Answer | None = None
    skip: int = 0


@dataclass
class Edge:
    """The server's address, the request lines and bodies that it saw, and the faults that are still to come."""

    target: str
    url: str = ""
    seen: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    finished: dict[str, Answer] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)

    def answers(
        self,
        when: str,
        status: int,
        body: bytes = b"",
        *,
        times: int = 1,
        is_done: bool = False,
        **headers: str,
    ) -> None:
        """Give requests an answer of our own; a header's name is given with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.faults.append(Fault(when, "answer", times, is_done, (status, named, body)))

    def cuts_off(self, when: str, *, times: int = 1) -> None:
        """Close the connection in the middle of the real answer."""
        self.faults.append(Fault(when, "cut", times, is_done=True))

    def fails(self, when: str, how: How, **more: Any) -> None:
        """Let requests fail as `Fault` says."""
        self.faults.append(Fault(when, how, **more))

    def count(self, when: str) -> int:
        """Return how many requests there were whose line contains `when`."""
        return sum(when in line for line in self.seen)

    def due(self, line: str) -> Fault | None:
        """Take the fault that is due for a request line."""
        for fault in self.faults:
            if fault.when not in line or not fault.times:
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            fault.times -= 1
            return fault
        return None


@contextmanager
def edge_of(target: str) -> Iterator[Edge]:
    """Serve in front of `target` (scheme, host and port)."""
    edge = Edge(target)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"edge": edge}))
    edge.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield edge
    finally:
        edge.over.set()
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def shutdown_request(self, request: Any) -> None:
        """Close without the orderly goodbye, which a reset leaves out."""
        self.close_request(request)

    def handle_error(self, *_: Any) -> None:
        """Take a client that has gone for what it is."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    edge: Edge

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        self._serve(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _serve(self, body: bytes) -> None:
        line = f"{self.command} {self.path}"
        self.edge.seen.append(line)
        self.edge.bodies.append(body)
        fault = self.edge.due(line)
        if fault is None:
            self._send(self.edge.finished.get(line) or self._passed_on(body))
            return
        answer = self._passed_on(body) if fault.is_done else (200, {}, b"")
        if fault.is_done and line.startswith("PUT") and answer[0] == 200:
            self.edge.finished[line] = answer  # a real server tells again what became of an upload
        self._fail(fault.how, fault.answer or answer)

    def _passed_on(self, body: bytes) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.edge.target).netloc, timeout=30)
        try:
            connection.request(self.command, self.path, body, dict(self.headers))
            response = connection.getresponse()
            headers = {
                name: value.replace(self.edge.target, self.edge.url)
                for name, value in response.getheaders()
                if name.lower() not in NOT_PASSED_ON
            }
            return response.status, headers, response.read()
        finally:
            connection.close()

    def _fail(self, how: How, answer: Answer) -> None:
        if how == "answer":
            self._send(answer)
            return
        self.close_connection = True
        if how == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        elif how == "trickle":
            self._send(answer, pieces=20)
        elif how == "hang":
            self._wait()
        else:
            self._send(answer, is_whole=False)
            if how == "stall":
                self._wait()

    def _send(self, answer: Answer, *, is_whole: bool = True, pieces: int = 1) -> None:
        status, headers, body = answer
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        sent = b"" if self.command == "HEAD" else body if is_whole else body[: len(body) // 2]
        step = max(1, -(-len(sent) // pieces))
        for start in range(0, len(sent), step):
            self.wfile.write(sent[start : start + step])
            self.wfile.flush()
            if pieces > 1:
                self.edge.over.wait(0.02)

    def _wait(self) -> None:
        """Say nothing until the client goes, or the test ends."""
        with suppress(OSError):
            while not self.edge.over.is_set():
                readable, _, _ = select.select([self.connection], [], [], 0.02)
                if readable and not self.connection.recv(65536):
                    return
