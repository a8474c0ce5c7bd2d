"""The ledger as it is made and read back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from etl_factory.errors import NotFoundError, TerminalError
from etl_factory.landing.manifest import Plan, PlannedObject, dumps
from etl_factory.warehouse.ledger import COLUMNS, Head, Ledger, LoadRow
from etl_factory.warehouse.target import Destination, Target
from etl_factory.windows import Window

TARGET = Target(
    "acme", "shop_db", "orders", "orders", Destination("acme-analytics", "EU", "raw", "gs://acme-landing")
)
TABLE = "`acme-analytics.raw_etl._loads__shop_db__orders`"


class FakeWarehouse:
    """Answers a SELECT by what it looks for, and keeps what it is asked."""

    def __init__(self, answers: Mapping[str, list[dict[str, Any]]] | None = None) -> None:
        self.target, self.answers = TARGET, answers
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.columns = list(COLUMNS)

    def table(self, table_id: str) -> object | None:
        if self.answers is None or f"`{table_id}`" != TABLE:
            return None
        return SimpleNamespace(schema=[SimpleNamespace(name=name) for name in self.columns])

    def query(self, sql: str, parameters: Any = None) -> None:
        self.asked.append((sql, {}))

    def rows(self, sql: str, *, absent_ok: bool = False, **parameters: Any) -> list[dict[str, Any]]:
        self.asked.append((sql, parameters))
        if self.answers is None:
            if absent_ok:
                return []
            raise NotFoundError("Not found: Table")
        kind = re.findall(r"kind = '(\w+)'", sql)[0]
        return self.answers.get(kind, [])


def ledger(answers: Mapping[str, list[dict[str, Any]]] | None = None) -> tuple[Ledger, FakeWarehouse]:
    warehouse = FakeWarehouse(answers)
    return Ledger(warehouse), warehouse  # type: ignore[arg-type]  # what the ledger uses of one


def test_the_table_is_made_together_with_its_head() -> None:
    held, warehouse = ledger()

    held.ensure()

    ((sql, _),) = warehouse.asked
    head = "SELECT * REPLACE ('head' AS kind, 0 AS version, 0 AS epoch)"
    assert sql.startswith(f"CREATE TABLE IF NOT EXISTS {TABLE} AS {head} FROM (SELECT ")
    assert re.findall(r"CAST\(NULL AS (\w+)\) AS `(\w+)`", sql) == [
        (type_, name) for name, type_ in COLUMNS.items()
    ]


def test_a_table_that_exists_is_not_made_again() -> None:
    held, warehouse = ledger({})

    held.ensure()

    assert warehouse.asked == []


def test_a_table_of_an_earlier_version_gets_the_columns_that_it_lacks() -> None:
    held, warehouse = ledger({})
    warehouse.columns = [name for name in COLUMNS if name not in ("checksum", "watermark_of")]

    held.ensure()

    assert [sql for sql, _ in warehouse.asked] == [
        f"ALTER TABLE {TABLE} ADD COLUMN IF NOT EXISTS `{name}` STRING"
        for name in ("watermark_of", "checksum")
    ]


def test_what_was_never_published_stands_at_the_beginning() -> None:
    held, _ = ledger(None)

    assert held.head() == Head(version=0, epoch=0, watermark=None, snapshot_at=None)
    assert held.load("ld_1", "load-1-0") is None
    assert held.plan("ld_1") is None
    assert held.loaded_objects() == set()


def test_the_head_is_read_from_its_own_row() -> None:
    row = {"version": 3, "epoch": 1, "watermark": "42", "snapshot_at": datetime(2025, 1, 1, tzinfo=UTC)}
    held, warehouse = ledger({"head": [row]})

    assert held.head() == Head(3, 1, "42", datetime(2025, 1, 1, tzinfo=UTC))
    columns = "version, epoch, watermark, snapshot_at, watermark_of, published_at, declared_schema"
    assert warehouse.asked == [(f"SELECT {columns} FROM {TABLE} WHERE kind = 'head'", {})]


def test_a_ledger_of_an_earlier_version_is_read_once_it_has_all_columns() -> None:
    held, warehouse = ledger({"head": [{"version": 3}]})
    warehouse.columns = [name for name in COLUMNS if name != "declared_schema"]
    refused = iter([TerminalError("Unrecognized name: declared_schema")])
    rows = warehouse.rows

    def refusing(sql: str, **parameters: Any) -> list[dict[str, Any]]:
        for error in refused:
            raise error
        return rows(sql, **parameters)

    warehouse.rows = refusing  # type: ignore[method-assign]  # BigQuery's refusal, once

    assert held.head() == Head(version=3)
    assert next(sql for sql, _ in warehouse.asked) == (
        f"ALTER TABLE {TABLE} ADD COLUMN IF NOT EXISTS `declared_schema` STRING"
    )


def test_a_load_is_found_by_its_attempt_and_absent_counts_are_zero() -> None:
    row = dict.fromkeys(COLUMNS) | {
        "kind": "load", "load_id": "ld_1", "attempt": "load-1-0", "mode": "live", "rows_read": 5, "rows_staged": 5,
        "inserted": 3, "updated": 2,
    }  # fmt: skip
    held, warehouse = ledger({"load": [row]})

    found = held.load("ld_1", "load-1-0")

    assert found == LoadRow(
        "ld_1",
        "load-1-0",
        "live",
        {
            "inserted": 3,
            "updated": 2,
            "unchanged": 0,
            "superseded": 0,
            "deleted": 0,
            "restored": 0,
            "quarantined": 0,
        },
        rows_read=5,
        rows_staged=5,
    )
    assert warehouse.asked[0][1] == {"load_id": "ld_1", "attempt": "load-1-0"}


def test_a_plan_is_rebuilt_with_its_objects() -> None:
    objects = (
        PlannedObject("s3://b/a'`\n.csv", "etag", 9, "2025-01-01T00:00:00.000001+00:00"),
        PlannedObject("s3://b/b.csv", "2", 0, "2025-01-02T00:00:00+00:00"),
    )
    plan = Plan("ld_1", "backfill", 2, "2025-01-01", Window("date", None, date(2025, 2, 1)), objects)
    files = [
        {
            "uri": item.uri,
            "object_version": item.version,
            "object_size": item.size,
            "object_modified": datetime.fromisoformat(item.modified),
        }
        for item in objects
    ]
    load = {"plan": dumps(plan.with_objects(())), "attempt": "load-2-0"}
    held, warehouse = ledger({"load": [load], "file": files})

    assert held.plan("ld_1") == plan
    assert warehouse.asked[1][1] == {"load_id": "ld_1", "attempt": "load-2-0"}


def test_the_latest_publish_of_a_load_decides_its_plan() -> None:
    held, warehouse = ledger({})

    held.plan("ld_1")

    assert warehouse.asked[0][0].endswith("ORDER BY published_at DESC LIMIT 1")


def test_loaded_objects_are_those_of_the_current_epoch() -> None:
    rows = [{"uri": "s3://b/a", "object_version": "1"}, {"uri": "s3://b/a", "object_version": "2"}]
    held, warehouse = ledger({"file": rows})

    assert held.loaded_objects() == {("s3://b/a", "1"), ("s3://b/a", "2")}
    assert warehouse.asked[0][0] == (
        f"SELECT DISTINCT uri, object_version FROM {TABLE} WHERE kind = 'file' AND epoch ="
        f" (SELECT epoch FROM {TABLE} WHERE kind = 'head')"
    )


@pytest.mark.parametrize("value", ["ld_1' OR TRUE --", "ld_`1`"])
def test_values_are_parameters(value: str) -> None:
    held, warehouse = ledger({})

    held.load(value, value)
    held.plan(value)

    assert all(value not in sql for sql, _ in warehouse.asked)
