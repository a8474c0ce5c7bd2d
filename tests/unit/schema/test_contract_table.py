"""The whole contract of types in one table: what is published, what comes, and what each mode makes of it."""

from __future__ import annotations

import pytest

from etl_factory.errors import NothingToLoad, SchemaError
from etl_factory.schema.contract import Contract, Decision, decide
from etl_factory.schema.types import Field
from etl_factory.warehouse.ddl import ddl

MODES = ("evolve", "freeze", "discard_row", "discard_value")
# as is     values of the new type are values of the published one, and nothing changes
# widened   the column gets the new type
# refused   the run fails, and nothing is published
# row       a row whose value is not of the published type is quarantined
# value     such a value is quarantined, and its row is published with NULL
DECLARED = """
published   new          evolve    freeze    discard_row  discard_value
INT64       INT64        as_is     as_is     as_is        as_is
INT64       NUMERIC      widened   refused   row          value
INT64       BIGNUMERIC   widened   refused   row          value
INT64       FLOAT64      refused   refused   row          value
INT64       STRING       refused   refused   row          value
INT64       BOOL         refused   refused   row          value
INT64       DATE         refused   refused   row          value
NUMERIC     INT64        as_is     as_is     as_is        as_is
NUMERIC     BIGNUMERIC   widened   refused   row          value
NUMERIC     FLOAT64      refused   refused   row          value
NUMERIC     STRING       refused   refused   row          value
BIGNUMERIC  INT64        as_is     as_is     as_is        as_is
BIGNUMERIC  NUMERIC      as_is     as_is     as_is        as_is
BIGNUMERIC  FLOAT64      refused   refused   row          value
FLOAT64     INT64        refused   refused   row          value
FLOAT64     NUMERIC      refused   refused   row          value
STRING      INT64        as_is     as_is     as_is        as_is
STRING      TIMESTAMP    as_is     as_is     as_is        as_is
STRING      JSON         as_is     as_is     as_is        as_is
STRING      BYTES        refused   refused   row          value
BYTES       STRING       refused   refused   row          value
BOOL        INT64        refused   refused   row          value
DATE        DATETIME     refused   refused   row          value
DATETIME    DATE         refused   refused   row          value
DATETIME    TIMESTAMP    refused   refused   row          value
TIMESTAMP   DATETIME     refused   refused   row          value
TIME        STRING       refused   refused   row          value
JSON        STRING       refused   refused   row          value
"""
# In files of text a type is a guess from the values, so that no file makes a new one; only wider numbers widen.
GUESSED = """
published   new          evolve    freeze    discard_row  discard_value
INT64       NUMERIC      widened   row       row          value
NUMERIC     BIGNUMERIC   widened   row       row          value
INT64       STRING       row       row       row          value
FLOAT64     INT64        row       row       row          value
BOOL        STRING       row       row       row          value
DATE        STRING       row       row       row          value
TIMESTAMP   DATE         row       row       row          value
STRING      INT64        as_is     as_is     as_is        as_is
"""


def cells(table: str) -> list[tuple[str, str, str, str]]:
    head, *rows = (line.split() for line in table.split("\n") if line)
    assert head[2:] == list(MODES)
    return [
        (old, new, mode, told)
        for old, new, *outcomes in rows
        for mode, told in zip(MODES, outcomes, strict=True)
    ]


def outcome(old: str, new: str, mode: str, *, is_text: bool) -> str:
    """Decide, and name the outcome; where the table changes, or values may go, the notes say so."""
    contract = Contract("p.d.t", types=mode)
    try:
        found = decide({"A": Field("a", new)}, (Field("a", old),), contract, is_text=is_text)
    except SchemaError as refused:
        assert all(word in str(refused) for word in ("'A'", old, new, "p.d.t"))
        return "refused"
    (column,) = found.columns
    if found.ddl:
        return widened(found, old, new)
    assert column.field == Field("a", old)
    if column.on_misfit == "discard_value" and not is_same(old, new):
        return "value"
    return "as_is" if is_same(old, new) else "row"


def widened(found: Decision, old: str, new: str) -> str:
    assert found.columns[0].field == Field("a", new)
    assert found.notes == (f"column a of p.d.t is widened from {old} to {new}",)
    assert [ddl("p.d.t", change) for change in found.ddl] == [
        f"ALTER TABLE `p.d.t` ALTER COLUMN `a` SET DATA TYPE {new}"
    ]
    return "widened"


def is_same(old: str, new: str) -> bool:
    wider = ("INT64", "NUMERIC", "BIGNUMERIC")
    narrower = old in wider and new in wider and wider.index(new) <= wider.index(old)
    return old == new or narrower or (old == "STRING" and new != "BYTES")


@pytest.mark.parametrize(("old", "new", "mode", "told"), cells(DECLARED))
def test_a_declared_type(old: str, new: str, mode: str, told: str) -> None:
    assert outcome(old, new, mode, is_text=False) == told


@pytest.mark.parametrize(("old", "new", "mode", "told"), cells(GUESSED))
def test_a_guessed_type(old: str, new: str, mode: str, told: str) -> None:
    assert outcome(old, new, mode, is_text=True) == told


def test_the_table_is_large_enough_to_be_one() -> None:
    assert len(cells(DECLARED)) + len(cells(GUESSED)) >= 140


def test_values_that_may_go_are_noted() -> None:
    for mode in ("discard_row", "discard_value"):
        found = decide(
            {"A": Field("a", "STRING")}, (Field("a", "INT64"),), Contract("t", types=mode), is_text=False
        )
        assert found.notes == (
            "column a of t is STRING in the source: values that are not INT64 are quarantined",
        )


# columns: a column that the table lacks
NEW_COLUMNS = {
    "evolve": ("staged", ["add"]), "freeze": ("refused", []), "discard_row": ("row", []),
    "discard_value": ("value", []),
}  # fmt: skip


@pytest.mark.parametrize("type_", ["INT64", "STRING", "JSON", "TIMESTAMP"])
@pytest.mark.parametrize("mode", MODES)
def test_a_new_column(mode: str, type_: str) -> None:
    told, operations = NEW_COLUMNS[mode]
    incoming = {"Id": Field("id", "INT64"), "New": Field("new", type_)}
    try:
        found = decide(incoming, (Field("id", "INT64"),), Contract("t", columns=mode), is_text=False)
    except SchemaError:
        assert told == "refused"
        return
    assert [change["op"] for change in found.ddl] == operations
    assert len(found.notes) == 1
    new = [column for column in found.columns if column.original == "New"]
    aside = "value" if new[0].on_misfit == "discard_value" else "row"
    assert told == (aside if new[0].must_be_null else "staged")
    if operations:
        assert found.ddl[0]["field"]["mode"] == "NULLABLE"


@pytest.mark.parametrize("mode", MODES)
def test_a_missing_column_is_null_and_said_once(mode: str) -> None:
    contract = Contract("t", mode, mode, mode)
    published = (Field("id", "INT64"), Field("gone", "STRING"))
    found = decide({"Id": Field("id", "INT64")}, published, contract, is_text=False)
    assert found.ddl == ()
    assert found.notes == ("column gone of t is not in the data: rows published now hold NULL",)


# tables: a published table that does not exist
@pytest.mark.parametrize("mode", MODES)
def test_a_table_that_does_not_exist(mode: str) -> None:
    incoming = {"Id": Field("id", "INT64")}
    if mode == "evolve":
        assert [c["op"] for c in decide(incoming, None, Contract("t", mode), is_text=False).ddl] == ["create"]
        return
    error = SchemaError if mode == "freeze" else NothingToLoad
    with pytest.raises(error, match=rf"table t does not exist, and schema_contract\.tables is {mode}"):
        decide(incoming, None, Contract("t", mode), is_text=False)
