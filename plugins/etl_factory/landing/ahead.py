"""Makes the next item of a stream while the caller works on the one before."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Generator[Item, None, None]) -> Iterator[Item]:
    """Yield the items in order, each made by a thread of their own, one ahead of what is asked for.

    What fails there is raised where that item would come. Whoever stops earlier waits for the item under way.
    """
    with closing(items), ThreadPoolExecutor(1, "ahead") as thread:
        coming = thread.submit(_next, items)
        while made := coming.result():
            coming = thread.submit(_next, items)
            yield made.pop()


def _next(items: Iterator[Item]) -> list[Item]:
    """Return the next item, nothing at the end; the caller's `pop` leaves it to whom it is given."""
    return list(islice(items, 1))
