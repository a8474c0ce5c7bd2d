"""Bounds the memory of copies that run at the same time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Condition
from typing import TypeVar

ROOM_BYTES = 192 * 1024 * 1024
MOST_PER_COPY = 64 * 1024 * 1024
MOST_EXPANDED = 20  # of text by gzip, with a margin for what it is parsed to
TIMES_HELD = 6  # a block is held by the reader, by its buffer, by the writer, and by each one's client
WAITING = 256  # calls that are submitted ahead of the first one that is not done
Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    pool: ThreadPoolExecutor, call: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """Yield what `call` returns for each item, in order; a pool's own `map` submits all of them at once."""
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(call, item))
            if len(waiting) >= WAITING:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for each in waiting:
            each.cancel()


def memory_of(size: int, *, is_parsed: bool = False) -> int:
    """Return how many bytes of memory the copy of an object takes at most; to be parsed, it may be compressed text."""
    return min(TIMES_HELD * size * (MOST_EXPANDED if is_parsed else 1), MOST_PER_COPY)


class Room:
    """Bytes that copies share: each waits until there is room for it."""

    def __init__(self, size: int) -> None:
        self.free = size
        self._changed = Condition()

    @contextmanager
    def taken(self, wanted: int) -> Iterator[None]:
        """Hold so many bytes, which must not be more than there are in all, during the block."""
        with self._changed:
            self._changed.wait_for(lambda: self.free >= wanted)
            self.free -= wanted
        try:
            yield
        finally:
            with self._changed:
                self.free += wanted
                self._changed.notify_all()
