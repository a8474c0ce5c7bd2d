"""Makes the next item of a stream while the caller works on the one before."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


@contextmanager
def ahead(items: Generator[Item, None, None]) -> Iterator[Iterator[Item]]:
    """Give the items in order, each made by a thread of their own, one ahead of what is asked for.

    What fails there is raised where that item would come. The block ends when the item under way is made and
    `items` is closed, by the thread as well, since it alone may touch what it makes them of.
    """
    thread = ThreadPoolExecutor(1, "ahead")
    try:
        yield _given(thread, items)
    finally:
        closed = thread.submit(items.close)
        thread.shutdown()
        closed.result()


def _given(thread: ThreadPoolExecutor, items: Iterator[Item]) -> Iterator[Item]:
    def begin() -> Future[list[Item]]:
        return thread.submit(lambda: list(islice(items, 1)))

    coming = begin()
    while made := coming.result():
        coming = begin()
        yield made.pop()  # so that nobody else holds it
