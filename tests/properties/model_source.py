"""A modelled database: one table, transactions that may commit late, and a clock of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from etl_factory.sources.base import Connection, Selection, TableSnapshot, TableSource
from etl_factory.windows import CursorKind, CursorValue, Window

ARROW = {
    "instant": pa.timestamp("us", "UTC"),
    "naive": pa.timestamp("us"),
    "date": pa.date32(),
    "integer": pa.int64(),
}


@dataclass(frozen=True)
class Row:
    """One version of a row."""

    id: int
    seen: CursorValue | None
    body: str


@dataclass(frozen=True)
class Setting:
    """What a table is like: how its cursor comes about, and what the config says of it.

    `load`, `deletes`, `history`: as the config says them. `lag`: in seconds, or units.
    `zone`: of the writers' clock; `knows_zone`: whether `cursor_timezone` says so.
    `settles`: the source tells since when its oldest writing transaction runs, as PostgreSQL does.
    `is_keyed`: the rows have a primary key, and the config names it.
    `is_partitioned`: the published table is, by the day of the cursor, which moves a row whenever it changes.
    `begin`: when the story begins. `ahead`: by how many seconds Airflow's clock is ahead of the source's.
    """

    kind: CursorKind = "instant"
    lag: int = 600
    load: str = "transactional"
    deletes: str = "ignore"
    history: str = "none"
    zone: str = "UTC"
    knows_zone: bool = True
    settles: bool = False
    is_keyed: bool = True
    is_partitioned: bool = False
    begin: datetime = datetime(2025, 6, 1, 12, tzinfo=UTC)
    ahead: int = 0

    def stamp(self, moment: datetime) -> CursorValue:
        """Write a moment as the writers' clock shows it."""
        if self.kind == "instant":
            return moment
        local = moment.astimezone(ZoneInfo(self.zone)).replace(tzinfo=None)
        return local.date() if self.kind == "date" else local


@dataclass
class Transaction:
    """What an open transaction has written: `None` for a deleted row; `begun` and its sequence value."""

    begun: datetime
    number: int
    writes: list[tuple[int, Row | None]]


@dataclass
class Database:
    """The table's committed rows, by key, and the transactions that are still open.

    Without a primary key, a key may have several rows, equal ones too. `latest`: the latest moment that its
    clock has shown.
    """

    setting: Setting
    now: datetime = field(init=False)
    latest: datetime = field(init=False)
    rows: dict[int, list[Row]] = field(default_factory=dict)
    open: dict[int, Transaction] = field(default_factory=dict)
    ever: set[Row] = field(default_factory=set)
    next_number: int = 100
    greatest: int = 99
    versions: int = 0

    def __post_init__(self) -> None:
        self.now = self.latest = self.setting.begin

    def go(self, seconds: int) -> None:
        """Let time go by."""
        self.now += timedelta(seconds=seconds)
        self.latest = max(self.latest, self.now)

    def put_back(self, seconds: int) -> None:
        """Put the clock back; where it writes cursors, by so much that the lag still covers it."""
        if self.setting.load == "transactional" and self.setting.kind != "integer":
            covered = self.setting.lag if self.setting.kind == "instant" else 0
            seconds = min(seconds, covered - int((self.latest - self.now).total_seconds()))
        self.now -= timedelta(seconds=max(seconds, 0))

    # Writing

    def put(self, key: int, seen: CursorValue | None) -> tuple[int, Row]:
        """Make a new version of a row, or a row."""
        self.versions += 1
        return key, Row(key, seen, f"v{self.versions}")

    def commit_at_once(self, key: int, late: int, what: str) -> None:
        """Commit one write now, with the cursor of `late` seconds, or numbers, ago."""
        if key in {written for held in self.open.values() for written, _ in held.writes}:
            return  # another transaction holds the row
        if self.setting.kind == "integer":
            number = self.next_number - late
            self.next_number += late == 0
            seen: CursorValue = number
        else:
            if self.setting.kind == "instant" and not self._is_covered(self.now - timedelta(seconds=late)):
                return
            number, seen = 0, self.setting.stamp(self.now - timedelta(seconds=late))
        self._commit(
            Transaction(self.now - timedelta(seconds=max(late, 0)), number, [self._write(key, seen, what)])
        )

    def begin(self, slot: int, key: int, what: str) -> None:
        """Begin a transaction that writes a row at once, with the cursor of its begin."""
        if slot in self.open or key in {k for held in self.open.values() for k, _ in held.writes}:
            return
        seen = self.next_number if self.setting.kind == "integer" else self.setting.stamp(self.now)
        self.open[slot] = Transaction(self.now, self.next_number, [self._write(key, seen, what)])
        self.next_number += self.setting.kind == "integer"

    def end(self, slot: int) -> None:
        """Commit a transaction; one that came later than the lag allows is rolled back."""
        if held := self.open.pop(slot, None):
            self._commit(held)

    def _write(self, key: int, seen: CursorValue, what: str) -> tuple[int, Row | None]:
        if what == "delete":
            return key, None
        if what == "copy" and self.rows.get(key) and not self.setting.is_keyed:
            return key, self.rows[key][-1]
        return self.put(key, None if what == "put_null" else seen)

    def _commit(self, held: Transaction) -> None:
        if not self._is_in_time(held):
            return
        for key, row in held.writes:
            old = self.rows.setdefault(key, [])
            is_copy = row in old
            if old and not is_copy:
                old.pop()
            if row:
                old.append(row)
                self.ever.add(row)
        if self.setting.kind == "integer":
            self.greatest = max(
                [self.greatest, *(r.seen for _, r in held.writes if r and r.seen is not None)]
            )

    def _is_in_time(self, held: Transaction) -> bool:
        if self.setting.kind == "integer":
            written = [row.seen for _, row in held.writes if row and row.seen is not None]
            return all(
                self.greatest + 1 - seen <= self.setting.lag for seen in written if seen <= self.greatest
            )
        if self.setting.settles:
            return True
        if self.setting.kind == "date":  # a lag of dates is of calendar days
            days: Any = self.setting.stamp(self.now) - self.setting.stamp(held.begun)  # type: ignore[operator]  # dates
            return bool(days <= timedelta(seconds=self.setting.lag))
        return self._is_covered(held.begun)

    def _is_covered(self, begun: datetime) -> bool:
        """Tell whether the lag reaches back to a moment from the latest that the clock has shown."""
        return self.latest - begun <= timedelta(seconds=self.setting.lag)

    # Reading

    def visible(self) -> list[Row]:
        """Return what a snapshot shows."""
        return [row for key in sorted(self.rows) for row in self.rows[key]]

    def settled(self) -> datetime:
        """Return the begin of the oldest open transaction, or now."""
        return min([self.now, *(held.begun for held in self.open.values())])


def holds(window: Window | None, seen: CursorValue | None) -> bool:
    """Tell whether a window reads a cursor's value, as the sources' SQL does."""
    if window is None or seen is None:
        return True
    return (window.start is None or seen >= window.start) and seen < window.end  # type: ignore[operator]  # one kind


class Snapshot(TableSnapshot):
    """The committed rows of a moment."""

    def __init__(self, database: Database) -> None:
        self.setting, self.rows = database.setting, database.visible()
        self.now, self._settled = database.now, database.settled()
        self.schema = pa.schema(
            [("id", pa.int64()), ("seen", ARROW[self.setting.kind]), ("body", pa.string())]
        )

    @property
    def settled(self) -> datetime:
        return self._settled if self.setting.settles else self.now

    def cursor_kind(self) -> CursorKind:
        return self.setting.kind

    def greatest(self) -> int | None:
        return max((row.seen for row in self.rows if isinstance(row.seen, int)), default=None)

    def within(self, window: Window | None) -> list[Row]:
        return [row for row in self.rows if holds(window, row.seen)]

    def count(self, window: Window | None) -> int:
        return len(self.within(window))

    def read(self, window: Window | None) -> Iterator[pa.RecordBatch]:
        if found := self.within(window):
            columns = {name: [getattr(row, name) for row in found] for name in self.schema.names}
            yield pa.record_batch(columns, self.schema)


class Model(TableSource):
    """The modelled database as a source."""

    def __init__(self, database: Database) -> None:
        super().__init__(Connection("acme__shop"))
        self.database = database

    def check(self) -> str:
        return "a model"

    def discover(self) -> Iterator[Any]:
        yield from ()

    @contextmanager
    def snapshot(self, selection: Selection) -> Iterator[Snapshot]:
        yield Snapshot(self.database)
        setting = self.database.setting
        if setting.load == "catalog" or setting.deletes != "ignore":
            self.database.now += timedelta(
                microseconds=1
            )  # which of two snapshots is newer, their times tell
