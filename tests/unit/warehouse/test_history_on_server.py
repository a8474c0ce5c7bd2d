"""History on the local BigQuery: snapshots side by side, versions of rows, and tables that had no history."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from shop import EARLY, LATE, Shop

from etl_factory.errors import TerminalError
from etl_factory.warehouse.ddl import HISTORY_TYPES, create_quarantine
from etl_factory.warehouse.history import MIXED
from etl_factory.warehouse.judgement import TWICE_CURRENT
from etl_factory.warehouse.sql import SHRUNK
from scheduling import PLAYS_ALL

pytestmark = pytest.mark.stack
PLAIN: dict[str, Any] = {"strategy": "replace"}
SNAPSHOT: dict[str, Any] = {"strategy": "snapshot", "checks_shrink": True}
VERSIONS: dict[str, Any] = {"strategy": "versions", "keys": ("id",)}
ROW = "({}, NULL, '{}', NULL)"
LATER = LATE + timedelta(days=1)


def test_snapshots_stand_side_by_side_each_once(shop: Shop) -> None:
    a, b, c = (ROW.format(n, name) for n, name in ((1, "a"), (2, "b"), (3, "c")))
    assert shop.publish(1, [a, b], PLAIN, snapshot_at=EARLY) == {"inserted": 2}
    shop.keep(HISTORY_TYPES["snapshots"])

    both = {**SNAPSHOT, "checks_shrink": False}
    assert shop.publish(2, [a, b, c], both, snapshot_at=LATER) == {"inserted": 3}
    dated = "id, _etl_snapshot_at"
    plain = [(1, EARLY), (2, EARLY)]
    assert shop.rows(dated) == sorted([*plain, (1, LATER), (2, LATER), (3, LATER)], key=str)

    again = {"deleted": 3, "inserted": 2}
    with pytest.raises(TerminalError, match=SHRUNK):
        shop.publish(4, [a], SNAPSHOT, snapshot_at=LATER, least_ratio=0.5)
    assert shop.replay(2, [a, b], SNAPSHOT, snapshot_at=LATER, least_ratio=0.5) == again
    assert shop.publish(3, [c], SNAPSHOT, snapshot_at=LATE, least_ratio=0.5) == {"inserted": 1}
    assert shop.rows(dated) == sorted([*plain, (1, LATER), (2, LATER), (3, LATE)], key=str)


def test_rows_of_several_loads_are_no_snapshot(shop: Shop) -> None:
    shop.publish(1, [ROW.format(1, "a")], {})
    shop.publish(2, [ROW.format(2, "b")], {})
    shop.keep(HISTORY_TYPES["snapshots"])

    with pytest.raises(TerminalError, match=MIXED):
        shop.publish(3, [ROW.format(1, "a")], SNAPSHOT, least_ratio=0.5)
    assert shop.rows("_etl_snapshot_at") == [(None,), (None,)]


def test_a_plain_table_becomes_the_current_versions(shop: Shop) -> None:
    shop.publish(1, [ROW.format(1, "a"), ROW.format(1, "b")], PLAIN, snapshot_at=EARLY)
    shop.keep(HISTORY_TYPES["scd2"])

    with pytest.raises(TerminalError, match=TWICE_CURRENT):
        shop.publish(2, [ROW.format(1, "a")], VERSIONS)
    shop.warehouse.query(f"DELETE FROM `{shop.target.table_id}` WHERE name = 'b'")
    rows = [ROW.format(1, "a"), ROW.format(2, "c"), ROW.format(2, "d"), "(NULL, NULL, 'no key', NULL)"]
    counts = {"unchanged": 1, "inserted": 1, "superseded": 1, "quarantined": 1}
    assert shop.publish(3, rows, VERSIONS, most_bad=1) == counts
    assert shop.rows("name, _etl_valid_from, _etl_is_current") == [("a", EARLY, True), ("d", LATE, True)]

    brake = {**VERSIONS, "checks_shrink": True}
    for refused in (shop.check, shop.publish):
        with pytest.raises(TerminalError, match=SHRUNK):
            refused(4, [], brake, least_ratio=0.5)
    assert shop.publish(5, [ROW.format(2, "d")], brake, least_ratio=0.5) == {"unchanged": 1, "deleted": 1}
    assert shop.publish(6, [ROW.format(2, "d")], brake, least_ratio=1.0) == {"unchanged": 1}


def test_a_snapshot_with_bad_rows_does_not_say_what_is_gone(shop: Shop) -> None:
    bad = f"{shop.target.staging_id('ld_2', 'bad')}_quarantine"
    shop.warehouse.query(create_quarantine(bad))
    shop.warehouse.query(f"INSERT INTO `{bad}` (reason) VALUES ('not a DATE')")
    shop.keep(HISTORY_TYPES["scd2"])
    shop.publish(1, [ROW.format(1, "a"), ROW.format(2, "b")], VERSIONS, snapshot_at=EARLY)

    counted = {"rows_read": 2, "rows_quarantined": 1, "most_bad": 1}
    rows = [ROW.format(1, "c")]
    counts = shop.publish(2, rows, VERSIONS | {"quarantine_staging": bad}, **counted)

    assert counts == {"updated": 1, "quarantined": 1}
    assert shop.rows("name", "_etl_is_current") == [("b",), ("c",)]


@pytest.mark.parametrize("seed", [11, 2] if PLAYS_ALL else [11])
def test_versions_tell_every_snapshot_again(shop: Shop, seed: int) -> None:
    """Whatever changed, left and came back: the table as of each snapshot is that snapshot."""
    chance = random.Random(seed)
    shop.keep(HISTORY_TYPES["scd2"])
    snapshots: dict[datetime, dict[int, str]] = {}
    before: dict[int, str] = {}
    for number in range(5):
        at = datetime(2025, 6, 1 + number, tzinfo=UTC)
        held = {id_: chance.choice("ab") for id_ in range(6) if chance.random() < 0.6}
        snapshots[at] = held
        rows = [ROW.format(id_, name) for id_, name in held.items()]
        counts = {
            "inserted": len(held.keys() - before.keys()),
            "updated": sum(before.get(id_, name) != name for id_, name in held.items()),
            "unchanged": sum(before.get(id_) == name for id_, name in held.items()),
            "deleted": len(before.keys() - held.keys()),
        }
        assert shop.publish(number, rows, VERSIONS, snapshot_at=at) == {k: v for k, v in counts.items() if v}
        before = held

    for at, held in snapshots.items():
        then = f"TIMESTAMP '{at}' >= _etl_valid_from AND (TIMESTAMP '{at}' < _etl_valid_to OR _etl_valid_to IS NULL)"
        assert dict(shop.rows("id, name", then)) == held
        assert len(shop.rows("id", then)) == len(held)
    assert dict(shop.rows("id, name", "_etl_is_current AND _etl_valid_to IS NULL")) == before
    closed = shop.rows(
        "COUNTIF(_etl_is_current != (_etl_valid_to IS NULL) OR _etl_valid_from >= _etl_valid_to)"
    )
    assert closed == [(0,)]
    assert shop.publish(9, rows, VERSIONS) == ({"unchanged": len(before)} if before else {})
