"""Bytes are sent behind their writer's back: all of them, in order, two blocks at most held, and errors come back."""

from __future__ import annotations

import io
import threading
from typing import Any

import pytest

from etl_factory.landing import behind
from etl_factory.landing.behind import Behind


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "BLOCK_BYTES", 100)


class Slow(io.BytesIO):
    """A stream that sends nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_send, self.asked = threading.Event(), threading.Event()

    def write(self, data: Any) -> int:
        self.asked.set()
        assert self.may_send.wait(10)
        return super().write(data)


def test_all_bytes_arrive_in_order() -> None:
    to = io.BytesIO()
    stream = Behind(to)
    pieces = [bytes([n % 256]) * (n % 61) for n in range(300)]
    for piece in pieces:
        assert stream.write(memoryview(piece)) == len(piece)
    stream.settle()
    stream.stop()

    assert to.getvalue() == b"".join(pieces)
    assert stream.tell() == len(to.getvalue())


def test_the_writer_goes_on_while_one_block_is_sent_and_waits_before_the_third() -> None:
    to = Slow()
    stream = Behind(to)
    stream.write(b"a" * 100)
    assert to.asked.wait(10)
    stream.write(b"b" * 99)
    waiting = threading.Thread(target=stream.write, args=(b"c" * 50,))
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()

    to.may_send.set()
    waiting.join(10)
    stream.settle()
    stream.stop()
    assert to.getvalue() == b"a" * 100 + b"b" * 99 + b"c" * 50


def test_what_fails_is_raised_by_the_next_block_or_at_the_end() -> None:
    class Broken(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(f"{len(data)} bytes lost")

    stream = Behind(Broken())
    stream.write(b"a" * 120)
    with pytest.raises(OSError, match="120 bytes lost"):
        stream.write(b"b" * 100)
    stream.stop()

    stream = Behind(Broken())
    stream.write(b"a" * 120)
    with pytest.raises(OSError, match="120 bytes lost"):
        stream.settle()
    stream.stop()


def test_after_it_is_given_up_nothing_more_is_sent() -> None:
    to = io.BytesIO()
    stream = Behind(to)
    stream.write(b"a" * 100)
    stream.stop()
    stream.give_up()

    with pytest.raises(InterruptedError):
        stream.write(b"b")
    assert to.getvalue() == b"a" * 100
