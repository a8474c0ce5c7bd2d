"""Small objects are read ahead of their turn, in their order, and no more of them than the bound."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import IO, Any

import pytest

from etl_factory.errors import StaleError
from etl_factory.landing import prefetch
from etl_factory.landing.manifest import Part
from etl_factory.landing.prefetch import ReadAhead
from fakes import FakeLanding


class Watched(FakeLanding):
    """A bucket that keeps which objects were opened, and how often."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.changed = threading.Condition()

    def open(self, part: Part) -> IO[bytes]:
        with self.changed:
            self.opened.append(part.uri)
            self.changed.notify_all()
        return super().open(part)

    def await_opened(self, count: int) -> None:
        """Wait until so many were opened: what is closed before leaves out those whose turn has not come."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.opened) >= count, timeout=30), self.opened


@pytest.fixture
def landing() -> Watched:
    return Watched()


def put(landing: Watched, *sizes: int) -> tuple[Part, ...]:
    return tuple(landing.put(f"gs://l/{n:03d}", bytes([n]) * size) for n, size in enumerate(sizes))


@pytest.fixture
def ahead_of(landing: Watched) -> Iterator[Any]:
    made: list[ReadAhead] = []

    def of(parts: tuple[Part, ...]) -> ReadAhead:
        made.append(ReadAhead(landing, parts))  # type: ignore[arg-type]  # a fake
        return made[-1]

    yield of
    for each in made:
        each.close()


def test_every_object_is_itself_in_every_pass(landing: Watched, ahead_of: Any) -> None:
    parts = put(landing, *range(1, 200))
    ahead = ahead_of(parts)

    for _ in range(2):
        assert [ahead.open(part).read() for part in parts] == [landing.objects[part.uri] for part in parts]
    assert sorted(landing.opened) == sorted([part.uri for part in parts] * 2)


def test_what_is_held_is_bounded(landing: Watched, ahead_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch, "AHEAD_BYTES", 50)
    parts = put(landing, *[10] * 20)
    ahead = ahead_of(parts)

    ahead.open(parts[0])
    landing.await_opened(5)

    assert len(ahead._held) == 4
    ahead.close()
    assert sorted(landing.opened) == [part.uri for part in parts[:5]]


def test_a_large_object_is_streamed_in_its_turn(
    landing: Watched, ahead_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefetch, "SMALL_BYTES", 10)
    parts = put(landing, 5, 11, 5)
    ahead = ahead_of(parts)

    ahead.open(parts[0])
    landing.await_opened(2)
    ahead.close()
    assert sorted(landing.opened) == [parts[0].uri, parts[2].uri]
    assert ahead.open(parts[1]).read() == landing.objects[parts[1].uri]


def test_another_order_gives_the_same(landing: Watched, ahead_of: Any) -> None:
    parts = put(landing, *[3] * 9)
    ahead = ahead_of(parts)

    backwards = [ahead.open(part).read() for part in reversed(parts)]
    assert backwards == [landing.objects[part.uri] for part in reversed(parts)]


def test_an_object_that_is_gone_is_told_in_its_turn(landing: Watched, ahead_of: Any) -> None:
    parts = put(landing, 1, 1, 1)
    landing.delete(parts[1].uri)
    ahead = ahead_of(parts)

    assert ahead.open(parts[0]).read() == b"\0"
    with pytest.raises(StaleError, match=r"gs://l/001 is gone"):
        ahead.open(parts[1])


def test_one_object_needs_no_threads(landing: Watched) -> None:
    (part,) = put(landing, 3)
    before = threading.active_count()

    with closing(ReadAhead(landing, (part,))) as ahead:  # type: ignore[arg-type]  # a fake
        assert ahead.open(part).read() == b"\0\0\0"
        assert threading.active_count() == before
