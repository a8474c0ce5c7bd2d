"""Which version of a file a replay reads again, and whose entries leave the quarantine."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from etl_factory.landing.manifest import PlannedObject
from etl_factory.transfers.replaying import FileChoice, choose_versions
from etl_factory.warehouse.quarantine import FileEntries, ReadVersion


def at(hour: int) -> datetime:
    return datetime(2025, 6, 1, hour, tzinfo=UTC)


def read(load_id: str, version: str, hour: int, uri: str = "a", epoch: int = 0) -> ReadVersion:
    return ReadVersion(
        load_id, epoch, at(hour), at(hour), PlannedObject(uri, version, 1, at(hour).isoformat())
    )


def bad(load_id: str, uri: str = "a", rows: int = 2) -> FileEntries:
    return FileEntries(load_id, uri, rows, rows)


def chosen(choice: FileChoice) -> dict[str, str]:
    return {uri: version.file.version for uri, version in choice.versions.items()}


@pytest.mark.parametrize(
    ("versions", "epoch", "only", "expected", "superseded"),
    [
        ([read("1", "v1", 1)], 0, None, {"a": "v1"}, []),
        ([read("1", "v1", 1), read("2", "v2", 2)], 0, None, {}, ["1"]),
        ([read("1", "v1", 1), read("2", "v1", 2)], 0, None, {"a": "v1"}, []),
        ([read("1", "v1", 3), read("2", "v2", 2)], 0, None, {"a": "v1"}, []),
        ([read("1", "v1", 1), read("2", "v1", 2, epoch=1)], 1, None, {}, ["1"]),
        ([read("1", "v1", 1)], 0, at(2), {}, ["1"]),
        ([read("1", "v1", 1)], 0, at(1), {"a": "v1"}, []),
    ],
    ids=["the only", "replaced", "read twice", "a late publish", "a full refresh", "an old snapshot", "the snapshot"],
)  # fmt: skip
def test_the_newest_published_version_is_read_again(
    versions: list[ReadVersion], epoch: int, only: datetime | None, expected: dict[str, str], superseded: list[str]
) -> None:  # fmt: skip
    choice = choose_versions([bad("1")], versions, epoch, only)

    assert (chosen(choice), [entry.load_id for entry in choice.superseded]) == (expected, superseded)
    assert choice.left == {}


def test_a_load_that_the_ledger_does_not_know_leaves_its_rows() -> None:
    choice = choose_versions([bad("1"), bad("9", rows=3)], [read("1", "v1", 1)], 0, None)

    assert (chosen(choice), choice.left) == ({"a": "v1"}, {"unknown": 3})
