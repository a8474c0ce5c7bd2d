"""Items come in order, one is made ahead, and whoever stops early leaves nothing behind."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Generator

import pytest

from etl_factory.landing.ahead import ahead


class Item:
    """Something that can be seen to be gone."""


def test_items_come_in_their_order() -> None:
    assert list(ahead(n for n in range(1000))) == list(range(1000))


def test_nothing_gives_nothing() -> None:
    assert list(ahead(n for n in ())) == []


def test_the_next_item_is_made_while_one_is_worked_on_and_no_other() -> None:
    made = threading.Semaphore(0)

    def items() -> Generator[int, None, None]:
        for number in range(5):
            made.release()
            yield number

    for number in ahead(items()):
        expected = min(2, 5 - number) if number == 0 else min(1, 4 - number)
        for _ in range(expected):
            assert made.acquire(timeout=30)
        assert not made.acquire(timeout=0.05)


def test_an_error_comes_where_its_item_would() -> None:
    def items() -> Generator[int, None, None]:
        yield 1
        yield 2
        raise ValueError("the third")

    got = []
    with pytest.raises(ValueError, match="the third"):
        for item in ahead(items()):
            got.append(item)
    assert got == [1, 2]


def test_who_stops_early_closes_what_makes_the_items_and_leaves_no_thread() -> None:
    before, closed = threading.active_count(), threading.Event()

    def items() -> Generator[int, None, None]:
        try:
            yield from range(100)
        finally:
            closed.set()

    for item in ahead(items()):
        if item == 3:
            break
    assert closed.is_set()
    assert threading.active_count() == before


def test_an_item_is_held_by_nobody_else() -> None:
    seen: list[weakref.ref[Item]] = []
    for item in ahead(Item() for _ in range(5)):
        assert all(before() is None for before in seen)
        seen.append(weakref.ref(item))
        del item
    assert len(seen) == 5
