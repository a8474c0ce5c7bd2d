"""Deletes on the local BigQuery: what is gone, what is there again, and the brake; each publish once."""

from __future__ import annotations

from typing import Any

import pytest
from shop import EARLY, FIELDS, LATE, Shop

from etl_factory.errors import TerminalError
from etl_factory.schema.types import Field
from etl_factory.warehouse.ddl import MARK_TYPES
from etl_factory.warehouse.deletes import TOO_MANY_DELETES

pytestmark = pytest.mark.stack
BY_ID: dict[str, Any] = {"strategy": "merge", "keys": ("id",), "cursor": "at"}
MARKED = "id, _etl_deleted_at IS NOT NULL"
UNTOUCHED = [(1, False), (2, False), (3, False), (4, False)]
ROW = "({}, TIMESTAMP '2025-01-01', 'row', NULL)"


def marking(shop: Shop, *keys: str) -> dict[str, Any]:
    """Return what changes in a publication that looks for deletes, by these keys at the source."""
    return {**BY_ID, "deletes": "mark", "keys_staging": shop.keys(FIELDS[:1], *keys)}


def test_rows_that_are_gone_are_marked_once_and_come_back(shop: Shop) -> None:
    shop.keep(MARK_TYPES)
    shop.publish(1, [ROW.format(i) for i in (1, 2, 3, 4)], BY_ID)
    without_4 = marking(shop, "(1)", "(2)", "(3)", "(3)", "(NULL)")

    assert shop.publish(2, [], without_4, max_deletes=0.25) == {"deleted": 1}
    assert shop.rows("id, _etl_deleted_at") == [(1, None), (2, None), (3, None), (4, LATE)]
    assert shop.publish(3, [ROW.format(1)], without_4, max_deletes=0.0) == {"unchanged": 1}

    only_1 = marking(shop, "(1)")
    for refused in (shop.check, shop.publish):
        with pytest.raises(TerminalError, match=f"{TOO_MANY_DELETES}, 2 of 3"):
            refused(4, [], only_1, max_deletes=0.66)
    assert shop.rows(MARKED) == [(1, False), (2, False), (3, False), (4, True)]

    again = marking(shop, "(1)", "(2)", "(3)", "(4)", "(5)")
    staged = [ROW.format(4), ROW.format(5), "(NULL, NULL, 'no key', NULL)"]
    counts = {"inserted": 1, "unchanged": 1, "restored": 1, "quarantined": 1}
    assert shop.publish(5, staged, again, max_deletes=0.0, most_bad=1) == counts
    assert shop.publish(6, staged[:2], again, max_deletes=0.0) == {"unchanged": 2}
    assert shop.rows(MARKED) == [*UNTOUCHED, (5, False)]


def test_an_empty_source_is_no_reason_to_mark_all_and_a_backfill_only_restores(shop: Shop) -> None:
    shop.keep(MARK_TYPES)
    assert shop.ledger.newest() is None
    shop.publish(1, [ROW.format(i) for i in (1, 2, 3, 4)], BY_ID)
    assert shop.ledger.newest() == LATE

    with pytest.raises(TerminalError, match=f"{TOO_MANY_DELETES}, 4 of 4"):
        shop.publish(2, [], marking(shop), max_deletes=0.99)
    assert shop.rows(MARKED) == UNTOUCHED

    assert shop.publish(3, [], marking(shop), max_deletes=1.0) == {"deleted": 4}
    backfill = {**BY_ID, "deletes": "mark"}
    assert shop.publish(4, [ROW.format(2)], backfill, snapshot_at=EARLY) == {"unchanged": 1, "restored": 1}
    assert (shop.ledger.newest(), shop.ledger.head().snapshot_at) == (LATE, LATE)
    assert shop.rows(MARKED) == [(1, True), (2, False), (3, True), (4, True)]


def test_rows_that_are_gone_are_removed_by_their_whole_key(shop: Shop) -> None:
    both: dict[str, Any] = {
        "strategy": "merge",
        "keys": ("number", "name"),
        "cursor": "at",
        "deletes": "remove",
    }
    fields = (Field("number", "STRING"), *FIELDS[1:])
    # As rows of BigQuery are staged: under the source's own names and types.
    shop.warehouse.query(f"ALTER TABLE `{shop.target.table_id}` ADD COLUMN IF NOT EXISTS number STRING")
    both["columns"] = shop.columns(fields, number=("id", "INT64"))
    rows = [f"({n}, TIMESTAMP '2025-01-01', '{name}', NULL)" for n, name in ((1, "a"), (1, "b"), (2, "a"))]
    shop.publish(1, rows, {**both, "deletes": "ignore"})
    shop.warehouse.query(f"INSERT INTO `{shop.target.table_id}` (name) VALUES ('no key')")
    keys = shop.keys((FIELDS[0], FIELDS[2]), "(1, 'a')", "(2, 'a')", "(NULL, 'b')", "(3, 'a')")
    changed = [rows[0].replace("2025-01-01", "2025-01-02"), "(3, NULL, 'a', NULL)"]

    counts = {"inserted": 1, "updated": 1, "deleted": 1}
    assert shop.publish(2, changed, {**both, "keys_staging": keys}, max_deletes=0.25) == counts
    assert shop.rows("number, name") == [("1", "a"), ("2", "a"), ("3", "a"), (None, "no key")]
    assert shop.publish(3, changed, {**both, "keys_staging": keys}, max_deletes=0.0) == {"unchanged": 2}
