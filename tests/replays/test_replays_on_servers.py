"""Rows in quarantine, of a real table and of real files, are loaded by real steps after the YAML is mended."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from shelf import Shelf

pytestmark = pytest.mark.stack

KEYED = ("load: transactional", "cursor: at", "primary_key: [id]", "max_bad_rows: 60%")
CSV = ("load: transactional", "max_bad_rows: 60%", "columns: {types: {v: INT64}}")


def told(report: dict[str, Any]) -> dict[str, Any]:
    return {name: report[name] for name in ("rows", "loaded", "superseded", "stay") if report[name]}


def test_a_table(shelf: Shelf) -> None:
    shelf.sql(
        "CREATE TABLE {s}.things (id int, v date, at timestamptz DEFAULT now())",
        "INSERT INTO {s}.things (id, v) VALUES (1, '2025-01-01'), (2, 'infinity'), (3, '-infinity'), (4, NULL)",
    )
    shelf.table(*KEYED)
    assert shelf.run() == {"inserted": 2, "quarantined": 2}
    assert shelf.aside("`key`, `column`, kind") == [('{"id": 2}', "v", "row"), ('{"id": 3}', "v", "row")]
    shelf.table(*KEYED, "columns: {rename: {v: v_text}, types: {v: STRING}}")
    shelf.sql("UPDATE {s}.things SET v = '2026-02-02', at = now() WHERE id = 3")
    one, other = shelf.steps(replay=True), shelf.steps(replay=True)
    one.do("extract", "sanitize", "load")
    other.do("extract", "sanitize", "load")
    shelf.run()

    assert told(one.do("publish")["replay"]) == {"rows": 2, "superseded": 2}
    with pytest.raises(AirflowFailException, match="the quarantine has changed since these rows were taken"):
        other.do("publish")
    assert told(one.do("publish")["replay"]) == {"rows": 2, "superseded": 2}
    assert shelf.rows("id, v_text")[1:3] == [(2, "infinity"), (3, "2026-02-02")]
    assert shelf.aside() == []
    with pytest.raises(AirflowSkipException, match="nothing is in quarantine"):
        shelf.replay()
    assert [load["mode"] for load in shelf.loads()] == ["live", "live", "replay"]


def test_files(shelf: Shelf) -> None:
    shelf.put("a.csv", "id,v\n1,10\n2,n/a\n3,30\n4,many\n")
    shelf.put("b.csv", "id,v\n5,n/a\n6,60\n")
    shelf.files("format: csv", *CSV)
    assert shelf.run() == {"inserted": 3, "quarantined": 3}
    shelf.store.delete_object(Bucket=shelf.bucket, Key="b.csv")
    shelf.files('format: {type: csv, null_values: ["", "n/a"]}', *CSV)

    report = shelf.replay()
    assert told(report) == {"rows": 3, "loaded": 1, "stay": 2}
    assert report["left_over"] == "1: the object, at the version that was read, is gone at the source"
    assert shelf.rows() == [(1, 10), (2, None), (3, 30), (6, 60)]
    assert shelf.aside("record, value") == [(1, "n/a"), (4, "many")]
    assert told(shelf.replay()) == {"rows": 2, "stay": 2}
    assert shelf.rows() == [(1, 10), (2, None), (3, 30), (6, 60)]
