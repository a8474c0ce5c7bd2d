"""Statements outside the transaction: making and changing tables, each safe to run twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from etl_factory.schema.types import Field
from etl_factory.warehouse.ddl import (
    HISTORY_TYPES,
    MARK_TYPES,
    METADATA_TYPES,
    create_quarantine,
    ddl,
    metadata_columns,
)

SNAPSHOT = Path(__file__).parent / "snapshots" / "tables.sql"
TABLE = "acme-analytics.raw.shop_db__orders"
FIELDS = [
    Field("id", "INT64").to_json(),
    Field("created_at", "TIMESTAMP").to_json(),
    Field("booked_at", "DATETIME").to_json(),
    Field("day", "DATE").to_json(),
    Field("lines", "RECORD", "REPEATED", (Field("sku", "STRING"), Field("price", "NUMERIC"))).to_json(),
]
SHAPES = [
    {},
    {"partition_by": "created_at", "cluster_by": ["id", "day"]},
    {"partition_by": "booked_at", "cluster_by": []},
    {"partition_by": "day"},
]
KEPT = {kind: METADATA_TYPES | types for kind, types in {**HISTORY_TYPES, "mark": MARK_TYPES}.items()}
CHANGES: list[dict[str, object]] = [
    {"op": "add", "field": Field("note", "STRING").to_json()},
    {"op": "add", "field": Field("tags", "STRING", "REPEATED").to_json()},
    {"op": "widen", "name": "id", "type": "NUMERIC"},
    {"op": "relax", "name": "id"},
]


def test_snapshot() -> None:
    made = [ddl(TABLE, {"op": "create", "fields": FIELDS, **shape}) for shape in SHAPES]
    made += [
        ddl(TABLE, {"op": "create", "fields": FIELDS[:1], "partition_by": None}, own) for own in KEPT.values()
    ]
    changed = [ddl(TABLE, change) for change in CHANGES]
    ours = [
        *metadata_columns(TABLE),
        *metadata_columns(TABLE, KEPT["scd2"]),
        create_quarantine("acme-analytics.raw_etl._quarantine__shop_db__orders"),
    ]
    text = ";\n\n".join((*made, *changed, *ours)) + ";\n"
    if os.environ.get("ETL_FACTORY_UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(text)

    assert text == SNAPSHOT.read_text()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: str(change["op"]))
def test_hostile_names_stay_inside_their_quotes(change: dict[str, object]) -> None:
    hostile = "x` STRING; DROP TABLE `y\n' OR '1'='1"
    named = {"name": hostile} if "name" in change else {"field": Field(hostile, "STRING").to_json()}

    sql = ddl(f"p.d.{hostile}", {**change, **named})

    assert "x\\` STRING; DROP TABLE \\`y\\n\\' OR \\'1\\'=\\'1" in sql
    assert "x` STRING" not in sql
    assert "\n'" not in sql


def test_an_unknown_change_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown schema change 'drop'"):
        ddl(TABLE, {"op": "drop", "name": "id"})
