"""Stories: what may happen at a source and to its runs, in any order, and what must then be true."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from duck import PROJECT, Client
from hypothesis import strategies as st
from model_checks import check_always, check_at_last
from model_runs import Loader, Run
from model_source import Database, Setting

from etl_factory.config.resource import Destination, Resource
from etl_factory.sources.specs import CatalogTable, ResourceSpec, TransactionalTable
from etl_factory.windows import encode

KEYS, SLOTS = 3, 2
HOUR = 3600


def resource_of(setting: Setting, suffix: str = "") -> Resource:
    """Return the resource that loads the modelled table, into datasets of its own."""
    said: dict[str, Any] = {"table": "public.orders", "load": setting.load}
    said["primary_key"] = ["id"] if setting.is_keyed else []
    said["partition_by"] = "seen" if setting.is_partitioned and setting.kind != "integer" else None
    to = Destination(PROJECT, "EU", f"raw_{setting.kind}{suffix}", "gs://acme-landing")
    if setting.load == "catalog":
        spec: ResourceSpec = CatalogTable.model_validate(
            {**said, "history": setting.history, "max_shrink": 1.0}
        )
    else:
        spec = TransactionalTable.model_validate({**said, **_along_the_cursor(setting)})
    return Resource("acme", "shop", "postgres", "orders", "acme__shop", "UTC", to, spec)


def _along_the_cursor(setting: Setting) -> dict[str, Any]:
    is_integer = setting.kind == "integer"
    said = {
        "cursor": "seen",
        "lag": setting.lag if is_integer else f"{setting.lag}s",
        "cursor_timezone": setting.zone if setting.knows_zone and not is_integer else None,
    }
    return {**said, "deletes": setting.deletes, "max_deletes": 1.0} if setting.deletes != "ignore" else said


@dataclass
class World:
    """A source, its loader, and the story so far."""

    database: Database
    loader: Loader

    @classmethod
    def of(cls, setting: Setting, client: Client, suffix: str = "") -> World:
        database = Database(setting)
        return cls(database, Loader(database, resource_of(setting, suffix), client))

    def run(self, index: int) -> Run | None:
        return self.loader.runs[index % len(self.loader.runs)] if self.loader.runs else None


@dataclass(frozen=True)
class Wait:
    """Time goes by."""

    seconds: int

    def happen(self, world: World) -> None:
        world.database.go(self.seconds)


@dataclass(frozen=True)
class PutBack:
    """The source's clock is put back, as when another server takes over; Airflow's goes on."""

    seconds: int

    def happen(self, world: World) -> None:
        world.database.put_back(self.seconds)


@dataclass(frozen=True)
class Write:
    """A transaction of one write commits, with a cursor that is `late` seconds or numbers old."""

    key: int
    what: str = "put"
    late: int = 0

    def happen(self, world: World) -> None:
        world.database.commit_at_once(self.key, min(self.late, world.database.setting.lag), self.what)


@dataclass(frozen=True)
class Begin:
    """A transaction writes, and stays open."""

    slot: int
    key: int
    what: str = "put"

    def happen(self, world: World) -> None:
        world.database.begin(self.slot, self.key, self.what)


@dataclass(frozen=True)
class End:
    """A transaction commits."""

    slot: int

    def happen(self, world: World) -> None:
        world.database.end(self.slot)


@dataclass(frozen=True)
class Load:
    """A run that was due `delay` seconds ago extracts; it publishes too, unless it `stops` before."""

    delay: int = 0
    stops: bool = False
    refresh: bool = False

    def happen(self, world: World) -> None:
        run = world.loader.start({"full_refresh": True} if self.refresh else {}, self.delay)
        if not self.stops:
            world.loader.publish(run)


@dataclass(frozen=True)
class Backfill:
    """A run reads from `back` seconds or numbers ago, as many as `length`."""

    back: int
    length: int

    def happen(self, world: World) -> None:
        database, setting = world.database, world.database.setting
        if setting.kind == "integer":
            bounds = [database.next_number - self.back, database.next_number - self.back + self.length]
        else:
            begin = database.now - timedelta(seconds=self.back)
            bounds = [encode(setting.stamp(begin + timedelta(seconds=s))) for s in (0, self.length)]
        start, end = map(str, bounds)
        world.loader.publish(world.loader.start({"start": start, "end": end}))


@dataclass(frozen=True)
class Publish:
    """A run that extracted some time ago publishes: retried, late, or again after its answer was lost.

    `rival` is another run that publishes between its look at the ledger and its transaction.
    """

    run: int
    is_lost: bool = False
    rival: int | None = None

    def happen(self, world: World) -> None:
        run, loader = world.run(self.run), world.loader
        rival = None if self.rival is None else world.run(self.rival)
        if run is None:
            return
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
    """A run is cleared, or its extract retried; its landing folder may be gone by then."""

    run: int
    is_wiped: bool = False

    def happen(self, world: World) -> None:
        if run := world.run(self.run):
            if self.is_wiped:
                world.loader.landing.objects.clear()
            world.loader.extract(run)
            world.loader.publish(run)


def settings() -> st.SearchStrategy[Setting]:
    """Draw a table, near a moment when clocks change or far from any."""
    return st.one_of(
        st.builds(Setting, st.just("instant"), _lags(0, 1, 60, 600), settles=st.booleans(), **_common()),
        st.builds(_naive, st.sampled_from(CHANGES), _lags(HOUR, 2 * HOUR), st.booleans(), **_common()),
        st.builds(_dated, st.sampled_from(CHANGES), _lags(24 * HOUR, 48 * HOUR), st.booleans(), **_common()),
        st.builds(Setting, st.just("integer"), _lags(0, 1, 3, 1000), **_common()),
    )


def catalogs() -> st.SearchStrategy[Setting]:
    """Draw a table that is read whole, with each kind of history."""
    history = st.sampled_from((("none", True), ("none", False), ("snapshots", False), ("scd2", True)))
    return st.builds(lambda h: Setting(load="catalog", history=h[0], is_keyed=h[1]), history)


def deleting() -> st.SearchStrategy[Setting]:
    """Draw a table whose deleted rows are looked for."""
    kinds = st.sampled_from(("instant", "integer"))
    asked = st.sampled_from(("mark", "remove"))
    either = st.booleans()
    return st.builds(Setting, kinds, _lags(0, 3, 600), deletes=asked, settles=either, is_partitioned=either)


def _lags(*values: int) -> st.SearchStrategy[int]:
    return st.sampled_from(values)


def _common() -> dict[str, st.SearchStrategy[Any]]:
    ahead = st.sampled_from((0, 300, -300, 2 * HOUR))
    return {"is_keyed": st.booleans(), "ahead": ahead, "is_partitioned": st.booleans()}


# Zone, and a moment some hours before its clocks change; both ways, and by half an hour.
CHANGES = (
    ("Europe/Warsaw", datetime(2025, 10, 26, 0, tzinfo=UTC)),
    ("Europe/Warsaw", datetime(2025, 3, 30, 0, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2025, 4, 5, 14, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2025, 10, 4, 14, tzinfo=UTC)),
    ("America/Los_Angeles", datetime(2025, 6, 1, 6, tzinfo=UTC)),
)


def _naive(change: tuple[str, datetime], lag: int, settles: bool, **common: Any) -> Setting:
    return Setting("naive", lag, zone=change[0], settles=settles, begin=change[1], **common)


def _dated(change: tuple[str, datetime], lag: int, settles: bool, **common: Any) -> Setting:
    return Setting("date", lag, zone=change[0], settles=settles, begin=change[1], **common)


def steps() -> st.SearchStrategy[Any]:
    """Draw one thing that happens."""
    key, slot, run = st.integers(1, KEYS), st.integers(1, SLOTS), st.integers(0, 9)
    what = st.sampled_from(("put", "put", "put", "put_null", "delete", "delete", "copy"))
    late = st.sampled_from((0, 0, 1, 2, 59, 600, 1800, HOUR, 24 * HOUR, 48 * HOUR))
    seconds = st.sampled_from((0, 1, 60, 599, 1200, 1800, HOUR, 2 * HOUR, 13 * HOUR, 24 * HOUR))
    return st.one_of(
        st.builds(Wait, seconds),
        st.builds(PutBack, seconds),
        st.builds(Write, key, what, late),
        st.builds(Write, key),
        st.builds(Load),
        st.builds(Begin, slot, key, what),
        st.builds(End, slot),
        st.builds(Load, st.sampled_from((0, 0, 0, 1, 600, HOUR)), st.booleans()),
        st.builds(Load, st.just(0), st.just(False), st.just(True)),
        st.builds(Backfill, seconds, seconds),
        st.builds(Publish, run, st.booleans(), st.none() | run),
        st.builds(Again, run, st.booleans()),
    )


def stories() -> st.SearchStrategy[list[Any]]:
    """Draw a story."""
    return st.lists(steps(), min_size=8, max_size=30)


def tell(world: World, story: list[Any]) -> None:
    """Let a story happen, then let all settle, run once more, and check; late publishes may follow."""
    for step in story:
        step.happen(world)
        if isinstance(step, Load | Backfill | Publish | Again):
            check_always(world.loader)
    for slot in range(1, SLOTS + 1):
        End(slot).happen(world)
    world.database.now = world.database.latest
    Wait(4 * HOUR).happen(world)
    Load().happen(world)
    check_at_last(world.loader)
    for index in range(len(world.loader.runs)):
        Publish(index).happen(world)
    check_at_last(world.loader, is_newest=False)
