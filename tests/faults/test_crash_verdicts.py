"""The verdicts of crash trials can fail: each check against a ledger, a table or leftovers that are wrong."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import crash_verdict as verdict
import pytest
from crash_cases import (
    CASES,
    Object,
    State,
    by_key,
    by_object_and_key,
    dated_snapshots,
    every_version,
    versions_by_time,
)

CASE = next(case for case in CASES if case.name == "postgres keyed")
NOON, LATER = datetime(2025, 6, 1, 12, tzinfo=UTC), datetime(2025, 6, 1, 13, tzinfo=UTC)


def load(version: int, **changes: Any) -> dict[str, Any]:
    counts = {"inserted": 3, "updated": 2, "unchanged": 1, "superseded": 0, "deleted": 0, "quarantined": 0}
    plan = json.dumps({"window": {"kind": "instant", "start": None, "end": NOON.isoformat()}})
    row = {
        "kind": "load",
        "version": version,
        "load_id": f"ld_{version}",
        "attempt": "a",
        "rows_read": 6,
        "plan": plan,
    }
    return {**row, **counts, **changes}


def head(version: int, watermark: str | None = NOON.isoformat()) -> dict[str, Any]:
    return {"kind": "head", "version": version, "watermark": watermark}


LEDGERS = {
    "two heads": ([head(1), head(1), load(1)], "2 heads"),
    "a load too many": ([head(1), load(1), load(1, load_id="x")], "head version 1, but loads [1, 1]"),
    "a load too few": ([head(2), load(2)], "head version 2, but loads [2]"),
    "an attempt twice": ([head(2), load(1), load(2, load_id="ld_1")], "published twice"),
    "a row that is not counted": ([head(1), load(1, rows_read=7)], "7 rows read are not"),
    "a watermark that is behind": (
        [head(1, "2025-01-01T00:00:00+00:00"), load(1)],
        "is not the greatest end",
    ),
    "a watermark of nothing": ([head(1), load(1, plan='{"window": null}')], "without any window"),
}


@pytest.mark.parametrize(("ledger", "told"), LEDGERS.values(), ids=LEDGERS)
def test_a_ledger_that_contradicts_itself(ledger: list[dict[str, Any]], told: str) -> None:
    assert told in "; ".join(verdict.ledger_problems(ledger))


def test_a_ledger_that_is_right() -> None:
    ledger = [head(2), load(1), load(2, inserted=0, unchanged=4, deleted=1)]

    assert list(verdict.ledger_problems(ledger)) == []
    assert list(verdict.count_problems(CASE, ledger, 2)) == []
    assert list(verdict.count_problems(CASE, ledger, 3)) == ["the ledger explains 2 rows, the table has 3"]


def test_what_is_left_lying_around() -> None:
    soon = datetime.now(UTC) + timedelta(days=7)
    tables = [("fine", soon), ("forever", None), ("gone by", NOON), ("too long", soon + timedelta(days=30))]
    objects = [
        "t/load_id=ld_1/a/manifest.json",
        "t/load_id=ld_1/a/part-0.parquet",
        "t/load_id=ld_2/a/part-0.parquet",
    ]

    assert [text.split()[2] for text in verdict.expiry_problems(tables)] == ["forever", "gone", "too"]
    [told] = verdict.cleanup_problems({"ld_1"}, objects)
    assert "ld_1/a/part-0.parquet" in told


OLD, NEW = State(((1, "a"), (2, "b"), (2, "b")), is_read=True), State(((1, "c"), (3, "d")))


def test_a_key_keeps_what_was_read_and_a_version_is_kept_as_often_as_it_was_there() -> None:
    assert by_key([OLD, NEW]) == (Counter([(1, "c"), (3, "d"), (2, "b")]), Counter())
    assert by_key([State(OLD.rows), NEW]) == (Counter([(1, "c"), (3, "d")]), Counter([(2, "b")]))
    assert every_version([OLD, NEW]) == (Counter(OLD.rows), Counter(NEW.rows))


def test_a_history_holds_what_was_shown() -> None:
    shown, _ = versions_by_time([State(OLD.rows[:2], is_read=True), NEW])

    assert shown == Counter([(1, "a", False), (2, "b", False), (1, "c", True), (3, "d", True)])
    held = [(*row, day) for day, state in ((1, OLD), (2, NEW)) for row in state.rows]
    assert dated_snapshots([OLD, NEW], held)[0] == Counter(held)
    assert (1, "a", "missing") in dated_snapshots([OLD, NEW], held[3:])[0]


def test_the_object_modified_last_wins_a_key() -> None:
    objects = {"a": Object(LATER, ((1, "a"),)), "b": Object(NOON, ((1, "b"), (2, "b")))}

    assert by_object_and_key([State(objects=objects)])[0] == Counter([(1, "a"), (2, "b")])
