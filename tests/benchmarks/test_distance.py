"""A server that is put far away answers the same, later, and is near again afterwards."""

from __future__ import annotations

import os
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.distance import far

CONTENT = b"x" * 3_000_000


class Store(BaseHTTPRequestHandler):
    """Answers every request with the same content."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_far_server_answers_the_same_and_later(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE_URL", f"{address}/store")
    monkeypatch.setenv("CONNECTION", f'{{"endpoint": "{address}"}}')
    with far(address, 0.3):
        begin, there = time.monotonic(), os.environ["STORE_URL"]
        assert address not in there
        assert address not in os.environ["CONNECTION"]
        with urllib.request.urlopen(there) as answer:
            assert answer.read() == CONTENT
        assert time.monotonic() - begin >= 0.3
    assert os.environ["STORE_URL"] == f"{address}/store"
