"""Copies at the same time share a bound of memory."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from etl_factory.sources._stores import AT_ONCE
from etl_factory.transfers import memory
from etl_factory.transfers.memory import MOST_PER_COPY, ROOM_BYTES, Room, in_order, memory_of


def test_a_large_object_takes_no_more_than_its_blocks() -> None:
    assert memory_of(10) == 60
    assert memory_of(5 * 10**9) == MOST_PER_COPY <= ROOM_BYTES


def test_what_is_parsed_may_be_many_times_as_long() -> None:
    assert memory_of(10, is_parsed=True) == 1200
    assert 3 * memory_of(1_000_000, is_parsed=True) == 3 * MOST_PER_COPY <= ROOM_BYTES


def test_results_come_in_order_and_few_calls_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "WAITING", 4)
    begun: list[int] = []

    def call(number: int) -> int:
        begun.append(number)
        return number * 2

    with ThreadPoolExecutor(2) as pool:
        results = in_order(pool, call, range(100))
        assert next(results) == 0
        assert len(begun) <= 4
        assert list(results) == [number * 2 for number in range(1, 100)]


def test_the_first_failure_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "WAITING", 4)
    begun: list[int] = []

    def call(number: int) -> None:
        begun.append(number)
        raise KeyError(number)

    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyError, match="0"):
        list(in_order(pool, call, range(100)))
    assert len(begun) <= 5


def test_small_objects_all_fit() -> None:
    assert AT_ONCE * memory_of(1_000_000) <= ROOM_BYTES


def test_what_is_taken_never_exceeds_the_room() -> None:
    room, lock, taken, most = Room(10), threading.Lock(), 0, 0

    def copy(size: int) -> None:
        nonlocal taken, most
        with room.taken(size):
            with lock:
                taken += size
                most = max(most, taken)
            with lock:
                taken -= size

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(copy, [3, 10, 1, 4] * 50))

    assert 0 < most <= 10
    assert room.free == 10


def test_a_copy_that_fails_gives_its_room_back() -> None:
    room = Room(10)
    try:
        with room.taken(7):
            raise KeyError
    except KeyError:
        pass
    assert room.free == 10
