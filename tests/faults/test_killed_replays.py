"""Replays whose processes are killed at the step boundaries: every row is loaded once, and leaves the quarantine."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import crash_child
import pytest
from crash_boundaries import Moment, Strike
from crash_subset import CLEANING, FROM_OUTSIDE, LOADING, PUBLISHING

from fault_profile import PATHS
from scheduling import PLAYS_ALL
from shelf import STEPS, Shelf, Steps

pytestmark = pytest.mark.stack
KEYED = ("load: transactional", "cursor: at", "primary_key: [id]", "max_bad_rows: 60%")
AS_TEXT = (*KEYED, "columns: {types: {v: STRING}, rename: {v: v_text}}")
SECONDS = 120


@pytest.fixture
def shelf(stack: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """Return a source with two rows in quarantine, whose YAML is mended."""
    # The server that forks the children finds its modules by this variable alone.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, PATHS)))
    made = Shelf(stack, tmp_path / "tenants", f"killed_{uuid.uuid4().hex[:8]}")
    made.sql(
        "CREATE TABLE {s}.things (id int, v date, at timestamptz DEFAULT now())",
        "INSERT INTO {s}.things (id, v) VALUES (1, '2025-01-01'), (2, 'infinity'), (3, '-infinity'), (4, NULL)",
    )
    made.table(*KEYED)
    assert made.run() == {"inserted": 2, "quarantined": 2}
    made.table(*AS_TEXT)
    yield made
    made.remove()


class Killed:
    """A replay of which some tries are processes that are killed."""

    def __init__(self, shelf: Shelf, folder: Path) -> None:
        self.steps, self.folder = Steps(shelf.resource, {"replay": True}), folder

    def kill(self, moment: Moment) -> None:
        """Let a process try a step until it is killed."""
        step, tries = moment.step, self.steps.tries + 1
        mark, result, log = (self.folder / f"{tries}.{ending}" for ending in ("mark", "json", "log"))
        child = crash_child.start(
            crash_child.Order(
                self.steps.resource, step, self.steps.run_id, datetime.now(UTC), tries, dict(self.steps.left),
                str(result), str(log), dict(os.environ), Strike(moment, "kill", str(mark)),
                conf=self.steps.conf,
            )
        )  # fmt: skip
        child.join(SECONDS)
        self.steps.tries = tries
        assert (mark.exists(), result.exists()) == (True, False), log.read_text()[-2000:]

    def go(self, moments: Sequence[Moment]) -> dict[str, Any]:
        """Run every step to its end, killed before at its moments; return what the replay reports."""
        for step in STEPS:
            for moment in moments:
                if moment.step == step:
                    self.kill(moment)
            self.steps.do(step)
        report: dict[str, Any] = json.loads(json.dumps(self.steps.left["publish"]["replay"]))
        return report


# The other moments in `make faults`.
@pytest.mark.parametrize("moment", PUBLISHING if PLAYS_ALL else PUBLISHING[1:6:2], ids=str)
def test_of_a_publish(shelf: Shelf, tmp_path: Path, moment: Moment) -> None:
    report = Killed(shelf, tmp_path).go([moment])

    demand_replayed_once(shelf, report)


def test_of_the_steps_before(shelf: Shelf, tmp_path: Path) -> None:
    report = Killed(shelf, tmp_path).go([*FROM_OUTSIDE[2:4], CLEANING[1], LOADING[3]])

    demand_replayed_once(shelf, report)


def demand_replayed_once(shelf: Shelf, report: dict[str, Any]) -> None:
    assert (report["rows"], report["loaded"], report["stay"]) == (2, 2, 0)
    assert shelf.rows("id, v_text") == [(1, None), (2, "infinity"), (3, "-infinity"), (4, None)]
    assert shelf.aside() == []
    assert [(load["mode"], load["rows_read"]) for load in shelf.loads()] == [("live", 4), ("replay", 2)]
