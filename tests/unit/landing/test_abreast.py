"""Several items are worked on at once, come in order, and whoever stops early leaves nothing behind."""

from __future__ import annotations

import threading
import time

import pytest

from etl_factory.landing.abreast import abreast


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_items_come_in_their_order_however_long_each_takes(threads: int) -> None:
    def make(number: int) -> int:
        time.sleep(0.002 * (5 - number % 5))
        return number * 2

    assert list(abreast(range(40), make, threads)) == [number * 2 for number in range(40)]


def test_nothing_gives_nothing() -> None:
    assert list(abreast((), str, 2)) == []


def test_so_many_are_made_at_once_and_no_more_items_are_taken() -> None:
    taken: list[int] = []
    both = threading.Barrier(2, timeout=30)

    def make(number: int) -> int:
        both.wait()  # fails unless two threads meet here
        return number

    made = abreast((taken.append(number) or number for number in range(10)), make, 2)
    assert next(made) == 0
    assert taken == [0, 1, 2]
    assert list(made) == list(range(1, 10))


def test_the_items_are_taken_by_the_thread_that_asks_for_what_is_made() -> None:
    takers = [taker for taker in abreast((threading.get_ident() for _ in range(5)), lambda taker: taker, 2)]
    assert set(takers) == {threading.get_ident()}


def test_an_error_comes_where_its_item_would() -> None:
    got = []
    with pytest.raises(ZeroDivisionError):
        for made in abreast([1, 2, 0, 4], lambda number: 4 // number, 2):
            got.append(made)
    assert got == [4, 2]


def test_an_error_of_the_items_comes_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        list(abreast((4 // number for number in (1, 2, 0, 4)), str, 2))


def test_who_stops_early_leaves_no_thread() -> None:
    before, begun = threading.active_count(), []
    made = abreast(range(100), lambda number: begun.append(number) or number, 2)
    assert next(made) == 0
    made.close()
    assert threading.active_count() == before
    assert len(begun) <= 3
