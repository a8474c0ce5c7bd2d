"""Merges into a partitioned table on the local BigQuery: every row once, wherever it lies and moves to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from shop import FIELDS, Shop

from etl_factory.errors import TerminalError
from etl_factory.schema.types import Field
from etl_factory.warehouse.ddl import METADATA_TYPES
from etl_factory.warehouse.judgement import STRAYED, TWICE
from etl_factory.warehouse.pruning import MOST_SPANS, idle, partitioning, pruned, touched
from etl_factory.warehouse.publication import Publication
from etl_factory.warehouse.sql import script

pytestmark = pytest.mark.stack

MERGE: dict[str, Any] = {"strategy": "merge", "keys": ("id",)}
BY_KEY: dict[str, Any] = {"strategy": "merge", "keys": ("id", "at")}


class Merges:
    """Merges into a shop's table, each within the partitions that it was found to touch."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.conditions = shop, list[str]()

    def merge(
        self,
        number: int,
        rows: list[str],
        changes: dict[str, Any] = MERGE,
        meanwhile: Callable[[], object] = lambda: None,
        **values: Any,
    ) -> dict[str, int]:
        """Publish rows; `meanwhile` comes between the question and the transaction. Return the counts."""
        self.shop.run(lambda to: self._script(to, rows, meanwhile), number, rows, changes, **values)
        return self.shop.counts(f"ld_{number}")

    def _script(self, to: Publication, rows: list[str], meanwhile: Callable[[], object]) -> str:
        table = self.shop.warehouse.table(to.table)
        assert table
        by = partitioning(table)
        assert by
        begins = [row["part"] for row in self.shop.warehouse.rows(touched(to, by))]
        meanwhile()
        made = pruned(to, by, begins) if rows else idle(to)
        self.conditions.append(made.partitions)
        return script(made)

    def by_hand(self, statement: str) -> None:
        """Change the published table as somebody else would."""
        self.shop.warehouse.query(statement.replace("orders", f"`{self.shop.target.table_id}`"))


@pytest.fixture
def merges(shop: Shop) -> Merges:
    return Merges(shop)


def row(key: str, day: str, name: str) -> str:
    """Return a staged row; an empty day is NULL."""
    at = f"TIMESTAMP '{day}'" if day else "NULL"
    return f"({key}, {at}, '{name}', NULL)"


def test_a_row_whose_partition_column_changes_moves(merges: Merges) -> None:
    first = [row("1", "2025-01-01", "a"), row("2", "2025-01-01", "b"), row("3", "2025-03-01", "c")]
    assert merges.merge(1, first) == {"inserted": 3}

    later = [row("1", "2025-02-01", "moved"), row("2", "2025-01-01 23:59:59", "late")]
    assert merges.merge(2, later) == {"updated": 2}
    assert merges.merge(3, [*later, row("4", "2024-12-31", "new")]) == {"unchanged": 2, "inserted": 1}

    assert merges.shop.rows("id, name") == [(1, "moved"), (2, "late"), (3, "c"), (4, "new")]
    assert merges.conditions[1] == (
        "t.`at` >= TIMESTAMP '2025-01-01 00:00:00+00:00' AND t.`at` < TIMESTAMP '2025-01-02 00:00:00+00:00'"
        " OR t.`at` >= TIMESTAMP '2025-02-01 00:00:00+00:00' AND t.`at` < TIMESTAMP '2025-02-02 00:00:00+00:00'"
    )


def test_rows_move_to_no_day_and_back(merges: Merges) -> None:
    merges.merge(1, [row("1", "2025-01-01", "a"), row("2", "", "b"), row("3", "", "c")])

    changed = [row("1", "", "to none"), row("2", "2025-01-01", "to a day"), row("3", "", "as it was")]
    assert merges.merge(2, changed) == {"updated": 3}
    assert merges.merge(3, changed) == {"unchanged": 3}
    assert merges.shop.rows("id, at IS NULL, name") == [
        (1, True, "to none"), (2, False, "to a day"), (3, True, "as it was"),
    ]  # fmt: skip


def test_keys_that_are_absent_or_null_touch_nothing_else(merges: Merges) -> None:
    merges.merge(1, [row("1", "2025-01-01", "a")])

    counts = merges.merge(2, [row("NULL", "2025-01-01", "n"), row("2", "2025-05-01", "b")], most_bad=1)
    assert counts == {"inserted": 1, "quarantined": 1}
    assert merges.merge(3, []) == {}
    assert merges.conditions[-1] == "FALSE"
    assert merges.shop.names() == ["a", "b"]


def test_a_key_with_the_partition_column_in_it_stays_where_it_is(merges: Merges) -> None:
    both = [row("1", "2025-01-01", "a"), row("1", "2025-02-01", "b")]
    assert merges.merge(1, both, BY_KEY) == {"inserted": 2}

    assert merges.merge(2, [row("1", "2025-02-01", "c")], BY_KEY) == {"updated": 1}
    assert "2025-01" not in merges.conditions[1]
    assert merges.merge(3, [row("1", "", "n")], BY_KEY, most_bad=1) == {"quarantined": 1}
    assert merges.conditions[2] == "t.`at` IS NULL"
    assert merges.shop.names() == ["a", "c"]


def test_many_partitions_are_bounded_by_the_first_and_the_last(merges: Merges) -> None:
    def at(number: int) -> str:
        return str(date.fromordinal(date(2000, 1, 1).toordinal() + 2 * number))

    rows = [row(str(number), at(number), "first") for number in range(MOST_SPANS + 1)]
    assert merges.merge(1, rows) == {"inserted": len(rows)}

    again = [item.replace("first", "again") for item in rows]
    assert merges.merge(2, again) == {"updated": len(rows)}
    assert merges.conditions[1].count("t.`at`") == 2
    assert merges.shop.rows("DISTINCT name") == [("again",)]


@pytest.mark.parametrize(
    ("start", "moved"),
    [("2025-01-01", "TIMESTAMP '2025-03-01'"), ("2025-01-01", "NULL"), ("", "TIMESTAMP '2025-03-01'")],
)
def test_a_row_that_somebody_moves_meanwhile_aborts_and_the_retry_is_right(
    merges: Merges, start: str, moved: str
) -> None:
    merges.merge(1, [row("1", start, "a"), row("2", start, "b")])
    before = merges.shop.ledger.head()

    def move() -> None:
        merges.by_hand(f"UPDATE orders SET at = {moved} WHERE id = 1")

    with pytest.raises(TerminalError, match=STRAYED):
        merges.merge(2, [row("1", start, "new")], meanwhile=move)
    assert (merges.shop.names(), merges.shop.ledger.head()) == (["a", "b"], before)

    assert merges.merge(3, [row("1", start, "new")]) == {"updated": 1}
    assert merges.shop.names() == ["b", "new"]


def test_a_row_that_somebody_inserts_meanwhile_is_no_second_one(merges: Merges) -> None:
    merges.merge(1, [row("2", "2025-01-01", "b")])

    with pytest.raises(TerminalError, match=STRAYED):
        merges.merge(
            2,
            [row("1", "2025-01-01", "new")],
            meanwhile=lambda: merges.by_hand(
                "INSERT INTO orders (id, at, name) VALUES (1, TIMESTAMP '2024-01-01', 'x')"
            ),
        )
    assert merges.merge(3, [row("1", "2025-01-01", "new")]) == {"updated": 1}
    assert merges.shop.names() == ["b", "new"]


def test_a_key_that_is_published_twice_is_found_in_any_partition(merges: Merges) -> None:
    merges.shop.publish(1, [row("1", "2025-01-01", "a"), row("1", "2025-06-01", "b")], {})

    with pytest.raises(TerminalError, match=TWICE[:60]):
        merges.merge(2, [row("1", "2025-03-01", "c")])


def test_a_mark_goes_off_where_the_row_has_moved_to(merges: Merges) -> None:
    marking = {**MERGE, "deletes": "mark"}
    merges.shop.keep({"_etl_deleted_at": "TIMESTAMP"})
    merges.merge(1, [row("1", "2025-01-01", "a"), row("2", "", "b"), row("3", "2025-01-01", "c")])
    merges.by_hand("UPDATE orders SET _etl_deleted_at = CURRENT_TIMESTAMP() WHERE TRUE")

    counts = merges.merge(2, [row("1", "2025-02-01", "moved"), row("2", "", "b")], marking)
    assert counts == {"updated": 1, "unchanged": 1, "restored": 2}
    assert merges.shop.rows("id", "_etl_deleted_at IS NULL") == [(1,), (2,)]

    keys = merges.shop.keys((Field("id", "INT64"),), "(1)", "(2)", "(3)")
    found = {**marking, "keys_staging": keys}
    assert merges.merge(3, [row("1", "2025-02-01", "moved")], found, max_deletes=1.0) == {
        "unchanged": 1,
        "restored": 1,
    }


UNITS = [
    ("TIMESTAMP", "TIMESTAMP_TRUNC(at, HOUR)", "2025-01-31 23:30:00", "2025-02-01 00:10:00"),
    ("TIMESTAMP", "TIMESTAMP_TRUNC(at, YEAR)", "2024-12-31", "2025-01-01"),
    ("DATETIME", "DATETIME_TRUNC(at, DAY)", "0001-01-01", "9999-12-31 23:59:59.999999"),
    ("DATE", "at", "0001-01-01", "9999-12-31"),
    ("DATE", "DATE_TRUNC(at, MONTH)", "2024-02-29", "2024-03-01"),
]


@pytest.mark.parametrize(("type_", "by", "start", "end"), UNITS)
def test_partitions_of_every_kind(merges: Merges, type_: str, by: str, start: str, end: str) -> None:
    fields = tuple(Field("at", type_) if field.name == "at" else field for field in FIELDS)
    columns = ", ".join(
        f"{name} {of}" for name, of in (*((f.name, f.type) for f in fields), *METADATA_TYPES.items())
    )
    merges.by_hand("DROP TABLE orders")
    merges.by_hand(f"CREATE TABLE orders ({columns}) PARTITION BY {by}")
    changes = {**MERGE, "columns": merges.shop.columns(fields, at=("at", "TIMESTAMP"))}

    assert merges.merge(1, [row("1", start, "a"), row("2", end, "b"), row("3", "", "c")], changes) == {
        "inserted": 3
    }
    moved = [row("1", end, "a"), row("2", "", "b"), row("3", start, "c")]
    assert merges.merge(2, moved, changes) == {"updated": 3}
    assert merges.merge(3, moved, changes) == {"unchanged": 3}
    assert merges.shop.rows("name, CAST(at AS STRING) IS NULL") == [("a", False), ("b", True), ("c", False)]
