"""Makes something of each item of a stream, of several at once, and gives it in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def abreast(items: Iterable[Item], make: Callable[[Item], Made], threads: int) -> Generator[Made, None, None]:
    """Yield `make` of each item in order; `threads` of them are being made while the caller works on one before.

    The caller's own thread takes the items, each when it is begun with. What `make` raises is raised where its item
    would come, what the items raise at once. No thread is left once the iterator ends or is closed.
    """
    with ThreadPoolExecutor(threads, "abreast") as pool:
        coming: deque[Future[Made]] = deque()
        try:
            for item in items:
                coming.append(pool.submit(make, item))
                if len(coming) > threads:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
