"""Copies at the same time share a bound of memory."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from etl_factory.transfers.base import COPIES_AT_ONCE
from etl_factory.transfers.memory import MOST_PER_COPY, ROOM_BYTES, Room, memory_of


def test_a_large_object_takes_no_more_than_its_blocks() -> None:
    assert memory_of(10) == 60
    assert memory_of(5 * 10**9) == MOST_PER_COPY <= ROOM_BYTES


def test_small_objects_all_fit() -> None:
    assert COPIES_AT_ONCE * memory_of(1_000_000) <= ROOM_BYTES


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
