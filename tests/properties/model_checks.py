"""What must be true of a published table, by strategy: always, and after the last run."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from model_runs import Loader
from model_source import Row


def check_always(loader: Loader) -> None:
    """Whatever happened: no version that never was, no key twice, no version more often than it was read."""
    setting, published = loader.database.setting, loader.published()
    assert set(published) <= loader.database.ever
    if setting.load == "catalog":
        _HISTORIES[setting.history](loader)
    elif setting.is_keyed:
        assert max(Counter(row.id for row in published.elements()).values(), default=1) == 1
    else:
        assert published == _most(loader.reads())


def check_at_last(loader: Loader, *, is_newest: bool = True) -> None:
    """After the last run the source's rows are all there, and with a key nothing older in their place.

    `is_newest`: no publish of an older read came after it, which may bring back what was deleted.
    """
    check_always(loader)
    setting, there = loader.database.setting, Counter(loader.database.visible())
    if setting.load == "catalog" and setting.history == "none":
        assert loader.published() == there
    current = {"scd2": "_etl_is_current"}.get(setting.history, "TRUE")
    published = loader.published(current)
    assert not there - published, f"not published: {there - published}"
    if setting.is_keyed:
        keys = {row.id for row in there}
        assert {row for row in published if row.id in keys} == set(there)
        if is_newest:
            _check_gone(loader, keys)


def _check_gone(loader: Loader, keys: set[int]) -> None:
    """Of rows that are gone at the source, what the config asks for."""
    deletes = loader.database.setting.deletes
    if deletes == "remove":
        assert {row.id for row in loader.published()} == keys
    if deletes == "mark":
        assert {row.id for row in loader.published("_etl_deleted_at IS NULL")} == keys


def _most(reads: list[Counter[Row]]) -> Counter[Row]:
    most: Counter[Row] = Counter()
    for read in reads:
        most |= read
    return most


def _check_newest(loader: Loader) -> None:
    """A catalog without a history is the newest snapshot of those published."""
    newest: Any = max(loader.commits, key=lambda commit: commit.snapshot_at, default=None)
    assert loader.published() == (newest.rows if newest else Counter())


def _check_snapshots(loader: Loader) -> None:
    """Every load's last snapshot is there, as it was."""
    last = {commit.load_id: commit for commit in loader.commits}
    expected: Counter[tuple[Any, ...]] = Counter()
    for commit in last.values():
        expected.update({(row, commit.snapshot_at): count for row, count in commit.rows.items()})
    assert loader.held("_etl_snapshot_at") == expected


def _check_versions(loader: Loader) -> None:
    """Every version that a snapshot showed is there, with the time it was valid."""
    open_: dict[int, tuple[Row, datetime]] = {}
    expected: Counter[tuple[Any, ...]] = Counter()
    for commit in loader.commits:
        shown = {row.id: row for row in commit.rows}
        for key, (row, since) in list(open_.items()):
            if shown.get(key) != row:
                expected[row, since, commit.snapshot_at, False] += 1
                del open_[key]
        for key, row in shown.items():
            open_.setdefault(key, (row, commit.snapshot_at))
    expected.update((row, since, None, True) for row, since in open_.values())
    assert loader.held("_etl_valid_from", "_etl_valid_to", "_etl_is_current") == expected


_HISTORIES = {"none": _check_newest, "snapshots": _check_snapshots, "scd2": _check_versions}
