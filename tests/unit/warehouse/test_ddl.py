"""Statements outside the transaction: making and changing tables, each safe to run twice."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

import pytest

import etl_factory
from etl_factory.errors import NothingToLoad, SchemaError
from etl_factory.schema.contract import Contract, decide
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


# What would lose rows, values or digits. A constraint may end, and staging and quarantine rows have statements of
# their own inside the transaction.
DESTRUCTIVE = re.compile(
    r"\b(DROP\s+(?!NOT NULL)|TRUNCATE\b|CREATE OR REPLACE\b|RENAME\s+(TO|COLUMN)\b|SET NOT NULL\b"
    r"|SET DATA TYPE (?!NUMERIC$|BIGNUMERIC$))", re.IGNORECASE | re.MULTILINE
)  # fmt: skip
TEXTS = re.compile(r"'(?:[^'\\]|\\.)*'")


@pytest.mark.parametrize("bad", ["DROP TABLE t", "drop column `a`", "TRUNCATE TABLE t", "ALTER TABLE t RENAME TO u",
                                 "SET DATA TYPE INT64", "CREATE OR REPLACE TABLE t", "SET NOT NULL"])  # fmt: skip
def test_what_is_destructive_is_seen(bad: str) -> None:
    assert DESTRUCTIVE.search(bad)


@pytest.mark.parametrize("snapshot", sorted(SNAPSHOT.parent.glob("*.sql")), ids=lambda path: path.stem)
def test_no_statement_drops_or_narrows_anything(snapshot: Path) -> None:
    statements = snapshot.read_text().split(";\n")
    assert [text for text in statements if DESTRUCTIVE.search(TEXTS.sub("''", text))] == []


@pytest.mark.parametrize("published", [None, "INT64", "NUMERIC", "BIGNUMERIC", "FLOAT64", "STRING", "DATE"])
@pytest.mark.parametrize("mode", ["evolve", "freeze", "discard_row", "discard_value"])
def test_no_decision_of_the_contract_drops_or_narrows_anything(published: str | None, mode: str) -> None:
    made: list[str] = []
    for new in ("INT64", "NUMERIC", "BIGNUMERIC", "FLOAT64", "STRING", "DATE"):
        held = published and (Field("a", published, "REQUIRED"), Field("gone", "INT64", "REQUIRED"))
        incoming = {"A": Field("a", new), "New": Field("new", new)}
        with suppress(SchemaError, NothingToLoad):
            decision = decide(incoming, held or None, Contract("p.d.t", mode, mode, mode), is_text=False)
            made += [ddl("p.d.t", change) for change in decision.ddl]
    assert [text for text in made if DESTRUCTIVE.search(TEXTS.sub("''", text))] == []
    assert {text.split(" ")[0] for text in made} <= {"CREATE", "ALTER", "IF"}


def test_the_package_writes_no_other_ddl() -> None:
    """Staging tables are dropped by the client's own call, by their ids; everything else is in `ddl`."""
    package = Path(etl_factory.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(
            r"\b(ALTER TABLE|CREATE TABLE|DROP (TABLE|COLUMN|VIEW|SCHEMA)|TRUNCATE TABLE)\b", path.read_text()
        )
    }
    assert found <= {"warehouse/ddl.py", "warehouse/ledger.py"}
