"""No object lost, none doubled: whatever a store lists, late, twice or changed, and whatever its runs do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from duck import Client
from hypothesis import given
from hypothesis import strategies as st
from model_files import Bucket, Drop, FileLoader, Held, Line
from search import searching

from etl_factory.operators import google
from etl_factory.transfers import planning

pytestmark = pytest.mark.timeout(7200)  # the long search
MOST = 2  # objects that one run takes; 5,000 in truth
NAMES = ("a.json", "b.json", "c.json", "d.json")
LoaderOf = Callable[[Drop], FileLoader]


@dataclass(frozen=True)
class Put:
    """An object is written, perhaps where one was; `is_hidden` until the store lists it."""

    name: str
    keys: tuple[int, ...]
    ago: int = 0
    is_hidden: bool = False

    def happen(self, loader: FileLoader) -> None:
        loader.bucket.put(self.name, self.keys, self.ago)
        if self.is_hidden:
            loader.bucket.hidden.add(f"gs://drops/{self.name}")


@dataclass(frozen=True)
class Remove:
    """An object is deleted."""

    name: str

    def happen(self, loader: FileLoader) -> None:
        loader.bucket.held.pop(f"gs://drops/{self.name}", None)


@dataclass(frozen=True)
class Wait:
    """Time goes by, and what was hidden is listed."""

    milliseconds: int

    def happen(self, loader: FileLoader) -> None:
        loader.bucket.now += timedelta(milliseconds=self.milliseconds)
        loader.bucket.hidden.clear()


@dataclass(frozen=True)
class Load:
    """A run copies, while one object may change, and publishes unless it stops before."""

    stops: bool = False
    refresh: bool = False
    changes: str = ""

    def happen(self, loader: FileLoader) -> None:
        loader.bucket.changes_after_listing = self.changes
        run = loader.start({"full_refresh": True} if self.refresh else {})
        if not self.stops:
            loader.publish(run)


@dataclass(frozen=True)
class Publish:
    """A run publishes what it copied some time ago, perhaps while another does so too."""

    run: int
    is_lost: bool = False
    rival: int | None = None

    def happen(self, loader: FileLoader) -> None:
        if not loader.runs:
            return
        run = loader.runs[self.run % len(loader.runs)]
        rival = None if self.rival is None else loader.runs[self.rival % len(loader.runs)]
        loader.client.lose_answer = self.is_lost
        if rival is not None and rival is not run:
            loader.client.before_publish = lambda: loader.publish(rival) and None
        outcome = loader.publish(run)
        loader.client.lose_answer, loader.client.before_publish = False, None
        if outcome == "retry":
            outcome = loader.publish(run)
        assert outcome in ("published", "superseded", "nothing")


@dataclass(frozen=True)
class Again:
    """A run is cleared; its landing folder may be gone by then."""

    run: int
    is_wiped: bool = False

    def happen(self, loader: FileLoader) -> None:
        if loader.runs:
            if self.is_wiped:
                loader.landing.objects.clear()
            run = loader.runs[self.run % len(loader.runs)]
            loader.extract(run)
            loader.publish(run)


def stories() -> st.SearchStrategy[list[Any]]:
    """Draw a story."""
    name, run = st.sampled_from(NAMES), st.integers(0, 9)
    keys = st.lists(st.integers(1, 3), max_size=2).map(tuple)
    step = st.one_of(
        st.builds(Put, name, keys, st.sampled_from((0, 0, 1, 60)), st.booleans()),
        st.builds(Put, name, keys),
        st.builds(Remove, name),
        st.builds(Wait, st.sampled_from((1, 400, 1000, 90_000))),
        st.builds(Load),
        st.builds(Load, st.booleans(), st.booleans(), st.just("") | name),
        st.builds(Publish, run, st.booleans(), st.none() | run),
        st.builds(Again, run, st.booleans()),
    )
    return st.lists(step, min_size=8, max_size=30)


def drops() -> st.SearchStrategy[Drop]:
    """Draw how a store is used."""
    exact = st.sampled_from((timedelta(seconds=1), timedelta(microseconds=1)))
    used = st.sampled_from((Drop(), Drop(is_keyed=True), Drop("catalog"), Drop("catalog", "latest")))
    return st.builds(lambda drop, to: replace(drop, exact=to, goes_back=not drop.is_keyed), used, exact)


@pytest.fixture
def loader_of(client: Client, monkeypatch: pytest.MonkeyPatch) -> LoaderOf:
    """Return what makes a loader whose runs use its own landing and warehouse."""
    monkeypatch.setattr(planning, "MOST_OBJECTS", MOST)

    def make(drop: Drop) -> FileLoader:
        loader = FileLoader(Bucket(drop), client)
        monkeypatch.setattr(google, "landing", lambda _: loader.landing)
        monkeypatch.setattr(google, "warehouse", lambda _: loader.warehouse)
        return loader

    return make


def tell(loader: FileLoader, story: list[Any]) -> None:
    """Let a story happen, then run until nothing is new, and check."""
    for step in story:
        step.happen(loader)
        assert set(loader.rows()) <= loader.bucket.ever
    Wait(90_000).happen(loader)
    runs = 1 + len(NAMES) // MOST
    for _ in range(runs):
        Load().happen(loader)
    if loader.bucket.drop.load == "transactional":
        assert not loader.extract(loader.start({})), "an object is new again and again"
    check(loader)


def check(loader: FileLoader) -> None:
    """The rows are those of every object there is, or with a key the newest of each."""
    bucket, rows = loader.bucket, loader.rows()
    there = [bucket.held[uri] for uri in sorted(bucket.held)]
    if bucket.drop.load == "catalog":
        chosen = (
            sorted(there, key=lambda o: (o.modified, o.uri))[-1:] if bucket.drop.files == "latest" else there
        )
        assert rows == _lines(chosen) or not there  # where no object matches, nothing is published
    elif bucket.drop.is_keyed:
        assert rows == _newest(loader.published)
    else:
        assert Counter({line: n for line, n in rows.items() if line[0] in bucket.held}) == _lines(there)


def _lines(objects: list[Held]) -> Counter[Line]:
    return Counter(line for held in objects for line in held.lines)


def _newest(published: list[list[Held]]) -> Counter[Line]:
    """Return of each key the row of the object modified last; of an object's versions, its last."""
    objects = sorted(
        {held for commit in published for held in commit}, key=lambda o: (o.modified, o.uri, o.number)
    )
    return Counter({line[1]: line for held in objects for line in held.lines}.values())


@searching(24)
@given(drop=drops(), story=stories())
def test_a_store_loses_and_doubles_nothing(loader_of: LoaderOf, drop: Drop, story: list[Any]) -> None:
    tell(loader_of(drop), story)


STORIES = {
    "an_object_that_changes_while_it_is_copied": (Drop(), Put("a.json", (1,)), Load(changes="a.json")),
    "more_objects_than_a_run_takes": (Drop(), *(Put(name, (1, 2)) for name in NAMES), Load(stops=True)),
    "an_object_that_is_listed_late": (
        Drop(),
        Put("a.json", (1,), 60, is_hidden=True),
        Put("b.json", (1,)),
        Load(),
    ),
    "an_object_that_went_and_came_back": (
        Drop(),
        Put("a.json", (1,)),
        Load(),
        Remove("a.json"),
        Put("a.json", (1,)),
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_a_story_of_a_store(loader_of: LoaderOf, name: str) -> None:
    drop, *story = STORIES[name]
    tell(loader_of(drop), story)


SAME_SECOND = [Put("a.json", (1,)), Load(stops=True), Put("a.json", (1,)), Load(), Publish(0)]


@pytest.mark.parametrize("drop", [Drop(), Drop(is_keyed=True)], ids=["without_key", "with_key"])
def test_of_two_versions_of_one_second_the_later_stays(loader_of: LoaderOf, drop: Drop) -> None:
    """A run that read the first version publishes after a run that read the second."""
    tell(loader_of(drop), SAME_SECOND)


def test_a_newer_version_with_an_older_time_is_published(loader_of: LoaderOf) -> None:
    """S3 dates an upload in parts by its begin, which may be before the version that it replaces."""
    tell(loader_of(Drop(goes_back=True)), [Put("a.json", (1,)), Load(), Put("a.json", (2,), ago=60)])
