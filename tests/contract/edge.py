"""A server between a client and a real one: passes requests on, except where a test says otherwise."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Fault:
    """What happens to the next `times` requests whose line contains `when`.

    `answer` None cuts the real answer off in its middle; `is_done` lets the request take effect first.
    """

    when: str
    answer: Answer | None
    times: int
    is_done: bool


@dataclass
class Edge:
    """The server's address, the request lines and bodies that it saw, and the faults that are still to come."""

    target: str
    url: str = ""
    seen: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

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
        self.faults.append(Fault(when, (status, named, body), times, is_done))

    def cuts_off(self, when: str, *, times: int = 1) -> None:
        """Close the connection in the middle of the real answer."""
        self.faults.append(Fault(when, None, times, True))

    def due(self, line: str) -> Fault | None:
        """Take the fault that is due for a request line."""
        for fault in self.faults:
            if fault.times and fault.when in line:
                fault.times -= 1
                return fault
        return None


@contextmanager
def edge_of(target: str) -> Iterator[Edge]:
    """Serve in front of `target` (scheme, host and port)."""
    edge = Edge(target)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"edge": edge}))
    server.daemon_threads = True
    edge.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield edge
    finally:
        server.shutdown()
        server.server_close()


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
        real = self._passed_on(body) if fault is None or fault.is_done else None
        answer = real if fault is None or fault.answer is None else fault.answer
        assert answer
        self._send(answer, is_whole=fault is None or fault.answer is not None)

    def _passed_on(self, body: bytes) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.edge.target).netloc, timeout=30)
        try:
            connection.request(self.command, self.path, body, dict(self.headers))
            response = connection.getresponse()
            headers = {
                name: value.replace(self.edge.target, self.edge.url)
                for name, value in response.getheaders()
                if name.lower() not in ("connection", "transfer-encoding", "content-length", "keep-alive")
            }
            return response.status, headers, response.read()
        finally:
            connection.close()

    def _send(self, answer: Answer, *, is_whole: bool) -> None:
        status, headers, body = answer
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if is_whole else body[: len(body) // 2])
        self.wfile.flush()
        self.close_connection = self.close_connection or not is_whole
