"""The run report, from what tasks leave behind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from etl_factory.report import ResourceReport, RunReport, TaskResult, resource_report

EXTRACT = {"manifest": "gs://b/m.json", "rows": 12, "bytes": 12_345_678, "window": "[a, b)", "objects": 2}
SANITIZE = {"manifest": "gs://b/s.json", "rows_staged": 10, "rows_quarantined": 2}
PUBLISH = {
    "outcome": "published", "mode": "live", "window": "[a, b)", "rows_read": 12, "rows_staged": 10,
    "inserted": 7, "updated": 1, "unchanged": 1, "superseded": 1, "deleted": 0, "quarantined": 2,
    "bytes": 12_345_678, "files": 2, "schema_changes": ["column note was added"],
}  # fmt: skip
NOT_RUN = TaskResult("upstream_failed")


def tasks(**changes: TaskResult) -> dict[str, TaskResult]:
    done: dict[str, dict[str, Any]] = {
        "extract": EXTRACT,
        "sanitize": SANITIZE,
        "load": {},
        "publish": PUBLISH,
    }
    return {step: TaskResult("success", 1.234, left) for step, left in done.items()} | changes


def report(*resources: ResourceReport) -> RunReport:
    ok = all(resource.outcome != "failed" for resource in resources)
    return RunReport("acme", "shop", "acme__shop", "manual__1", ok, 3.25, resources)


def test_a_published_resource_reports_what_publish_says() -> None:
    found = resource_report("orders", "p.d.orders", tasks())
    assert (found.outcome, found.mode, found.window) == ("published", "live", "[a, b)")
    assert (found.rows_extracted, found.rows_staged, found.rows_quarantined) == (12, 10, 2)
    counts = {"inserted": 7, "updated": 1, "unchanged": 1, "superseded": 1, "deleted": 0, "restored": 0}
    assert found.published == counts
    assert (found.bytes, found.files, found.schema_changes) == (12_345_678, 2, ("column note was added",))
    assert found.seconds == {"extract": 1.23, "sanitize": 1.23, "load": 1.23, "publish": 1.23}
    assert (found.failed_task, found.message) == ("", "")


@pytest.mark.parametrize(
    ("restored", "said"), [(0, "1 superseded, 0 deleted\n"), (1200, "0 deleted, 1,200 restored\n")]
)
def test_restored_rows_are_told_where_there_are_some(restored: int, said: str) -> None:
    publish = TaskResult("success", 1.0, PUBLISH | {"restored": restored})

    assert said in report(resource_report("orders", "p.d.orders", tasks(publish=publish))).to_text()


def test_a_failed_load_keeps_what_is_known_until_then() -> None:
    failed = TaskResult("failed", 0.5, {}, "TerminalError: no bucket")
    found = resource_report("orders", "p.d.orders", tasks(load=failed, publish=NOT_RUN))
    assert (found.outcome, found.failed_task, found.message) == ("failed", "load", "TerminalError: no bucket")
    assert (found.rows_extracted, found.rows_staged, found.rows_quarantined) == (12, 10, 2)
    assert found.published is None
    assert "publish" not in found.seconds


def test_the_first_failed_task_is_the_one_that_counts() -> None:
    failed = TaskResult("failed", 0.5, {}, "first")
    found = resource_report(
        "orders", "t", tasks(extract=failed, sanitize=NOT_RUN, load=NOT_RUN, publish=NOT_RUN)
    )
    assert (found.failed_task, found.message, found.rows_extracted) == ("extract", "first", None)


def test_a_skip_says_why_and_is_no_failure() -> None:
    skipped = TaskResult("skipped", 0.1, {}, "no new object")
    rest = TaskResult("skipped")
    found = resource_report("orders", "t", tasks(extract=skipped, sanitize=rest, load=rest, publish=rest))
    assert (found.outcome, found.message, found.failed_task) == ("skipped", "no new object", "")
    assert report(found).ok


@pytest.mark.parametrize("state", [None, "upstream_failed", "removed"])
def test_what_was_never_published_is_not_called_published(state: str | None) -> None:
    assert resource_report("orders", "t", tasks(publish=TaskResult(state))).outcome == "failed"


def test_a_superseded_snapshot_is_named_so() -> None:
    left = {**PUBLISH, "outcome": "superseded"}
    assert resource_report("o", "t", tasks(publish=TaskResult("success", 1.0, left))).outcome == "superseded"


def test_json_holds_every_count_and_is_plain() -> None:
    document = json.loads(json.dumps(report(resource_report("orders", "p.d.orders", tasks())).to_json()))
    assert document["ok"] is True
    assert document["resources"][0]["published"]["inserted"] == 7
    assert document["resources"][0]["schema_changes"] == ["column note was added"]


def test_text_for_a_person() -> None:
    good = resource_report("orders", "p.d.orders", tasks())
    failed = TaskResult("failed", 0.5, {}, "NotFoundError: no table")
    bad = resource_report(
        "lines", "p.d.lines", tasks(extract=failed, sanitize=NOT_RUN, load=NOT_RUN, publish=NOT_RUN)
    )
    assert report(good, bad).to_text() == (
        "acme__shop, run manual__1: FAILED in 3.2 s\n"
        "\n"
        "orders -> p.d.orders: published\n"
        "  window       [a, b) (live)\n"
        "  extracted    12 rows from 2 files, 12.35 MB\n"
        "  staged       10 rows\n"
        "  published    7 inserted, 1 updated, 1 unchanged, 1 superseded, 0 deleted\n"
        "  quarantined  2 rows\n"
        "  schema       column note was added\n"
        "  seconds      extract 1.2, sanitize 1.2, load 1.2, publish 1.2\n"
        "\n"
        "lines -> p.d.lines: failed\n"
        "  seconds      extract 0.5\n"
        "  extract failed: NotFoundError: no table"
    )


def test_one_is_not_many() -> None:
    left = {**PUBLISH, "rows_read": 1, "rows_staged": 1, "files": 1, "bytes": 1, "quarantined": 0}
    text = report(resource_report("o", "t", tasks(publish=TaskResult("success", 1.0, left)))).to_text()
    assert "1 row from 1 file, 1 byte\n" in text
    assert "staged       1 row\n" in text
    assert "quarantined  0 rows" in text
