"""A connection on which nothing has come for too long is shut; others are left alone."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from etl_factory.sources import _silence


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Listen, and take one second for too long."""
    monkeypatch.setattr(_silence, "SILENCE_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def connect(server: socket.socket) -> tuple[socket.socket, socket.socket]:
    client = socket.create_connection(server.getsockname(), timeout=5)
    return client, server.accept()[0]


def test_what_is_silent_is_shut(server: socket.socket) -> None:
    with _silence.watched(server.getsockname()[1]):
        client, other = connect(server)
        with client, other:
            client.sendall(b"SELECT")
            assert client.recv(1) == b""


def test_what_is_not_read_yet_is_not_silent(server: socket.socket) -> None:
    with _silence.watched(server.getsockname()[1]):
        client, other = connect(server)
        with client, other:
            other.sendall(b"rows")
            deadline = time.monotonic() + 2.5
            while time.monotonic() < deadline:
                assert client.recv(4, socket.MSG_PEEK) == b"rows"
                time.sleep(0.05)
            other.sendall(b"!")
            assert client.recv(5, socket.MSG_WAITALL) == b"rows!"


def test_a_connection_of_before_is_left_alone(server: socket.socket) -> None:
    client, other = connect(server)
    with client, other, _silence.watched(server.getsockname()[1]):
        client.settimeout(2.5)
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_nothing_is_watched_where_the_system_does_not_tell(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_silence, "_OPEN_FILES", _silence.Path("/nowhere"))
    with _silence.watched(server.getsockname()[1]):
        client, other = connect(server)
        with client, other:
            client.settimeout(2.5)
            with pytest.raises(TimeoutError):
                client.recv(1)
