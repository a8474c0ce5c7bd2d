"""Items come in order, one is made ahead, and whoever stops early leaves nothing behind."""

from __future__ import annotations

import signal
import threading
import weakref
from collections.abc import Generator

import pytest

from etl_factory.landing.ahead import ahead


class Item:
    """Something that can be seen to be gone."""


def test_items_come_in_their_order() -> None:
    with ahead(n for n in range(1000)) as items:
        assert list(items) == list(range(1000))


def test_nothing_gives_nothing() -> None:
    with ahead(n for n in ()) as items:
        assert list(items) == []


def test_the_next_item_is_made_while_one_is_worked_on_and_no_other() -> None:
    made = threading.Semaphore(0)

    def items() -> Generator[int, None, None]:
        for number in range(5):
            made.release()
            yield number

    with ahead(items()) as coming:
        for number in coming:
            for _ in range(min(2, 5 - number) if number == 0 else min(1, 4 - number)):
                assert made.acquire(timeout=30)
            assert not made.acquire(timeout=0.05)


def test_an_error_comes_where_its_item_would() -> None:
    def items() -> Generator[int, None, None]:
        yield 1
        yield 2
        raise ValueError("the third")

    got = []
    with pytest.raises(ValueError, match="the third"), ahead(items()) as coming:
        for item in coming:
            got.append(item)
    assert got == [1, 2]


def test_who_stops_early_closes_what_makes_the_items_and_leaves_no_thread() -> None:
    before, closed = threading.active_count(), threading.Event()

    def items() -> Generator[int, None, None]:
        try:
            yield from range(100)
        finally:
            closed.set()

    with ahead(items()) as coming:
        assert next(coming) == 0
    assert closed.is_set()
    assert threading.active_count() == before


def test_an_item_is_held_by_nobody_else() -> None:
    seen: list[weakref.ref[Item]] = []
    with ahead(Item() for _ in range(5)) as coming:
        for item in coming:
            assert all(before() is None for before in seen)
            seen.append(weakref.ref(item))
            del item
    assert len(seen) == 5


def test_a_signal_while_the_item_under_way_is_waited_for_is_heard() -> None:
    """Airflow's time-out is an exception of a signal handler; the wait for the thread must not swallow it."""

    class TimedOut(BaseException):
        """What the handler raises."""

    go_on, closed = threading.Event(), threading.Event()

    def items() -> Generator[int, None, None]:
        try:
            yield 0
            go_on.wait(30)
            yield 1
        finally:
            closed.set()

    def expired(*_: object) -> None:
        raise TimedOut

    before = signal.signal(signal.SIGALRM, expired)
    try:
        with pytest.raises(TimedOut), ahead(items()) as coming:
            assert next(coming) == 0
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            threading.Timer(1, go_on.set).start()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert closed.wait(30)
