"""The publish script and the ledger on the local BigQuery: what becomes of rows, and who wins a race."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from shop import EARLY, FIELDS, LATE, Shop

from etl_factory.errors import TerminalError
from etl_factory.schema.types import Field
from etl_factory.warehouse.ledger import Head
from etl_factory.warehouse.publication import StagedColumn
from etl_factory.warehouse.sql import MOVED, SHRUNK, TALLY_COLUMNS, TOO_MANY_BAD, UNBALANCED

pytestmark = pytest.mark.stack


MERGE: dict[str, Any] = {"strategy": "merge", "keys": ("id",), "cursor": "at"}
FILES: dict[str, Any] = {"strategy": "append_files", "is_file": True}


def of_file(version: str, modified: datetime, rows: int) -> dict[str, Any]:
    """Return the parameters of a load of one file."""
    return {"uris": ("s3://b/a'.csv",), "versions": (version,), "sizes": (1,), "modified": (modified,),
            "file_rows": (rows,), "file_quarantined": (0,)}  # fmt: skip


def test_a_key_is_kept_once_and_the_later_cursor_wins(shop: Shop) -> None:
    first = ["(1, TIMESTAMP '2025-01-01', 'old', NULL)", "(1, TIMESTAMP '2025-01-02', 'new', '{\"a\": 1}')"]

    assert shop.publish(1, first, MERGE) == {"inserted": 1, "superseded": 1}
    assert shop.publish(2, first, MERGE) == {"unchanged": 1, "superseded": 1}
    assert shop.publish(3, ["(1, TIMESTAMP '2025-01-01', 'late', NULL)"], MERGE) == {"superseded": 1}
    assert shop.publish(4, ["(1, TIMESTAMP '2025-01-03', 'moved', NULL)"], MERGE) == {"updated": 1}
    assert shop.names() == ["moved"]


def test_equal_cursors_go_to_the_later_snapshot(shop: Shop) -> None:
    row = "(1, TIMESTAMP '2025-01-01', '{}', NULL)"
    shop.publish(1, [row.format("first")], MERGE)

    assert shop.publish(2, [row.format("older")], MERGE, snapshot_at=EARLY) == {"superseded": 1}
    assert shop.publish(3, [row.format("again")], MERGE) == {"updated": 1}
    assert shop.names() == ["again"]


def test_null_keys_are_quarantined_as_far_as_allowed(shop: Shop) -> None:
    rows = ["(NULL, TIMESTAMP '2025-01-01', 'a', NULL)", "(2, NULL, 'b', NULL)"]

    with pytest.raises(TerminalError, match=TOO_MANY_BAD):
        shop.publish(1, rows, MERGE)
    assert (shop.names(), shop.ledger.head()) == ([], Head())

    assert shop.publish(2, rows, MERGE, most_bad=1) == {"inserted": 1, "quarantined": 1}
    kept = shop.warehouse.rows(f"SELECT load_id, `column`, reason FROM `{shop.target.quarantine_id}`")
    assert kept == [{"load_id": "ld_2", "column": "id", "reason": "the primary key is NULL"}]


def test_a_key_that_is_published_twice_already_is_named_as_that(shop: Shop) -> None:
    shop.publish(1, ["(1, NULL, 'a', NULL)", "(1, NULL, 'b', NULL)"], {})

    with pytest.raises(TerminalError, match="the published table holds a primary key more than once"):
        shop.publish(2, ["(1, TIMESTAMP '2025-01-01', 'c', NULL)"], MERGE)


def test_without_a_key_every_version_is_kept_as_often_as_it_was_read(shop: Shop) -> None:
    twice = ["(1, NULL, 'a', NULL)", "(1, NULL, 'a', NULL)"]

    assert shop.publish(1, twice, {}) == {"inserted": 2}
    assert shop.publish(2, [*twice, "(1, NULL, 'a|b', NULL)"], {}) == {"inserted": 1, "unchanged": 2}
    assert shop.publish(3, [twice[0], "(1, NULL, NULL, NULL)"], {}) == {"inserted": 1, "unchanged": 1}


def test_a_file_is_replaced_by_its_newer_version_only(shop: Shop) -> None:
    row = "(1, NULL, '{}', NULL, 's3://b/a\\'.csv', 1)"
    assert shop.publish(1, [row.format("first")], FILES, **of_file("1", EARLY, 1)) == {"inserted": 1}
    assert shop.publish(2, [row.format("newer")], FILES, **of_file("2", LATE, 1)) == {
        "inserted": 1,
        "deleted": 1,
    }
    assert shop.publish(3, [row.format("stale")], FILES, **of_file("1", EARLY, 1)) == {"superseded": 1}
    assert shop.names() == ["newer"]
    assert shop.ledger.loaded_objects() == {("s3://b/a'.csv", "1"), ("s3://b/a'.csv", "2")}

    plan = shop.ledger.plan("ld_2")
    assert plan is not None
    assert [(item.uri, item.version, item.modified) for item in plan.objects] == [
        ("s3://b/a'.csv", "2", LATE.isoformat())
    ]


def test_files_may_be_named_by_a_table(shop: Shop) -> None:
    row = "(1, NULL, '{}', NULL, 's3://b/a\\'.csv', 1)"
    fields = tuple(Field(name, type_) for name, type_ in TALLY_COLUMNS.items())
    named = "('s3://b/a\\'.csv', '{}', 1, TIMESTAMP '2025-01-01', 1, 0)"
    shop.publish(1, [row.format("first")], FILES, **of_file("1", EARLY, 1))

    table = shop.keys(fields, named.format("2"))
    with pytest.raises(TerminalError, match=f"{UNBALANCED}, files"):
        shop.publish(2, [row.format("newer")], {**FILES, "files_staging": table}, files=2)
    counts = shop.publish(3, [row.format("newer")], {**FILES, "files_staging": table}, files=1)

    assert (counts, shop.names()) == ({"inserted": 1, "deleted": 1}, ["newer"])
    assert shop.ledger.loaded_objects() == {("s3://b/a'.csv", "1"), ("s3://b/a'.csv", "2")}


def test_files_with_a_key_merge_by_their_time(shop: Shop) -> None:
    row = "(1, NULL, '{}', NULL, 's3://b/a\\'.csv', 1)"
    keyed = {**FILES, "strategy": "merge", "keys": ("id",)}
    assert shop.publish(1, [row.format("first")], keyed, **of_file("2", LATE, 1)) == {"inserted": 1}
    assert shop.publish(2, [row.format("stale")], keyed, **of_file("1", EARLY, 1)) == {"superseded": 1}
    assert shop.publish(3, [row.format("again")], keyed, **of_file("3", LATE, 1)) == {"updated": 1}


def test_a_catalog_replaces_unless_it_shrinks_too_much(shop: Shop) -> None:
    catalog = {"strategy": "replace", "checks_shrink": True}
    ten = [f"({n}, NULL, '{n}', NULL)" for n in range(10)]
    assert shop.publish(1, ten, catalog, least_ratio=0.5) == {"inserted": 10}

    with pytest.raises(TerminalError, match="etl-factory: shrunk"):
        shop.publish(2, ten[:2], catalog, least_ratio=1 - 0.7)
    assert len(shop.names()) == 10

    assert shop.publish(3, ten[:3], catalog, least_ratio=1 - 0.7) == {"inserted": 3, "deleted": 10}


def test_the_second_of_two_publishes_of_one_version_changes_nothing(shop: Shop) -> None:
    shop.publish(1, ["(1, NULL, 'a', NULL)"], {})
    head = shop.ledger.head()

    with pytest.raises(TerminalError, match=MOVED):
        shop.publish(2, ["(2, NULL, 'b', NULL)"], {}, expected=0)

    assert (head.version, head.watermark, head.watermark_of, head.snapshot_at) == (1, "w", "c", LATE)
    assert shop.ledger.head() == head
    assert shop.names() == ["a"]
    assert shop.ledger.load("ld_2", "load-1-0") is None


def test_lost_rows_are_noticed_and_nothing_is_published(shop: Shop) -> None:
    with pytest.raises(TerminalError, match="etl-factory: unbalanced, staged rows"):
        shop.publish(1, ["(1, NULL, 'a', NULL)"], {}, rows_staged=2)
    with pytest.raises(TerminalError, match="etl-factory: unbalanced, quarantined rows"):
        shop.publish(2, ["(1, NULL, 'a', NULL)"], {}, rows_quarantined=1, most_bad=1)

    assert (shop.names(), shop.ledger.head()) == ([], Head())


def test_a_json_null_is_a_change_from_nothing(shop: Shop) -> None:
    shop.publish(1, ["(1, NULL, 'a', NULL)"], MERGE)

    assert shop.publish(2, ["(1, NULL, 'a', 'null')"], MERGE) == {"updated": 1}


def test_an_updated_row_holds_null_where_the_source_has_no_column_any_more(shop: Shop) -> None:
    both = ["(1, TIMESTAMP '2025-01-01', 'a', NULL)", "(2, TIMESTAMP '2025-01-01', 'b', NULL)"]
    shop.publish(1, both, MERGE)
    left = tuple(
        StagedColumn(field, field.name, field.staged_type) for field in FIELDS if field.name != "name"
    )
    later = ["(1, TIMESTAMP '2025-01-02', NULL, NULL)", both[1]]

    assert shop.publish(2, later, {**MERGE, "columns": left, "absent": ("name",)}) == {
        "updated": 1,
        "unchanged": 1,
    }
    assert shop.names() == [None, "b"]


def test_what_must_be_refused_is_refused_before_ddl(shop: Shop) -> None:
    catalog = {"strategy": "replace", "checks_shrink": True}
    ten = [f"({n}, NULL, '{n}', NULL)" for n in range(10)]
    shop.publish(1, ten, catalog, least_ratio=0.5)
    no_key = ["(NULL, NULL, 'a', NULL)"]

    with pytest.raises(TerminalError, match=SHRUNK):
        shop.check(2, ten[:4], catalog, least_ratio=0.5)
    with pytest.raises(TerminalError, match=MOVED):
        shop.check(3, ten, catalog, least_ratio=0.5, expected=0)
    with pytest.raises(TerminalError, match=TOO_MANY_BAD):
        shop.check(4, no_key, MERGE)
    with pytest.raises(TerminalError, match="etl-factory: unbalanced, staged rows"):
        shop.check(5, ten, MERGE, rows_staged=11)

    shop.check(6, ten[:5], catalog, least_ratio=0.5)
    shop.check(7, no_key, MERGE, most_bad=1)
    assert len(shop.names()) == 10
