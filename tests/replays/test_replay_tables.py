"""Rows of a table that were quarantined are loaded after a fix, exactly once, and never against a newer row."""

from __future__ import annotations

import pytest
from shelf import Shelf

pytestmark = pytest.mark.stack

KEYED = ("load: transactional", "cursor: at", "lag: 0s", "primary_key: [id]", "max_bad_rows: 50%")
TEXT = ("columns: {rename: {v: v_text}, types: {v: STRING}}",)


def fill(shelf: Shelf, *rows: str) -> None:
    shelf.sql("CREATE TABLE {s}.things (id int, v date, at timestamptz DEFAULT now())")
    insert(shelf, *rows)


def insert(shelf: Shelf, *rows: str) -> None:
    values = ", ".join(f"({row})" for row in rows)
    shelf.sql(f"INSERT INTO {{s}}.things (id, v) VALUES {values}")


def test_rows_of_a_table_are_loaded_once_after_the_fix(shelf: Shelf) -> None:
    fill(shelf, "1, '2025-01-01'", "2, 'infinity'", "3, '2025-01-03'", "4, '12345-01-01'")
    shelf.table(*KEYED)
    assert shelf.run() == {"inserted": 2, "quarantined": 2}
    assert shelf.aside("`key`, `column`, kind") == [('{"id": 2}', "v", "row"), ('{"id": 4}', "v", "row")]
    before = shelf.head()

    told = shelf.replay()
    assert (told["rows"], told["loaded"], told["stay"]) == (2, 0, 2)
    assert "key {\"id\": 2}, column 'v'" in told["first"]
    assert len(shelf.aside()) == 2

    shelf.table(*KEYED, *TEXT)
    told = shelf.replay()
    assert {name: told[name] for name in ("rows", "loaded", "superseded", "stay")} == {
        "rows": 2, "loaded": 2, "superseded": 0, "stay": 0,
    }  # fmt: skip
    assert shelf.rows("id, v_text") == [(1, None), (2, "infinity"), (3, None), (4, "12345-01-01")]
    assert shelf.aside() == []
    assert (shelf.head().watermark, shelf.head().snapshot_at) == (before.watermark, before.snapshot_at)
    assert shelf.loads()[-1]["mode"] == "replay"
