"""What becomes of each difference between the data and the published table, contract by contract."""

from __future__ import annotations

import itertools

import pytest

from etl_factory.errors import SchemaError
from etl_factory.schema.contract import (
    FORBIDDEN,
    UNTYPED,
    Column,
    Contract,
    Decision,
    check_keys,
    decide,
    fits,
    leave_out,
    shaped,
    widens,
)
from etl_factory.schema.types import Field

TABLE = "acme.raw.orders"
ID = Field("id", "INT64")
NESTED = Field("a", "RECORD", "NULLABLE", (Field("x", "INT64"), Field("y", "INT64")))


def contract(**modes: str) -> Contract:
    return Contract(TABLE, **modes)


def held(incoming: str, published: str, *, is_text: bool = False, **modes: str):
    return decide({"A": Field("a", incoming)}, (Field("a", published),), contract(**modes), is_text=is_text)


def test_a_new_table_is_created_with_all_columns() -> None:
    decision = decide({"Id": ID}, None, contract(), is_text=False)
    assert decision.columns == (Column("Id", ID),)
    assert decision.ddl == ({"op": "create", "fields": [ID.to_json()]},)


def test_nothing_new_changes_nothing() -> None:
    decision = decide({"Id": ID}, (ID,), contract(), is_text=False)
    assert (decision.columns, decision.ddl, decision.notes) == ((Column("Id", ID),), (), ())


def test_a_published_name_keeps_its_case() -> None:
    decision = decide({"ID": Field("id", "INT64")}, (Field("Id", "INT64"),), contract(), is_text=False)
    assert decision.columns[0].field.name == "Id"
    assert decision.ddl == ()


def new_column(mode: str):
    return decide({"Id": ID, "New": Field("new", "STRING")}, (ID,), contract(columns=mode), is_text=False)


def test_a_new_column_is_added() -> None:
    decision = new_column("evolve")
    assert decision.columns[1] == Column("New", Field("new", "STRING"))
    assert decision.ddl == ({"op": "add", "field": Field("new", "STRING").to_json()},)
    assert decision.notes == (f"column new (STRING) is new: added to {TABLE}",)


def test_a_new_column_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"'New' \(STRING\) is new.*columns is freeze.*columns\.exclude"):
        new_column("freeze")


def test_rows_of_a_new_column_are_discarded() -> None:
    decision = new_column("discard_row")
    assert decision.columns[1] == Column("New", Field("new", "STRING"), must_be_null=FORBIDDEN)
    assert decision.ddl == ()
    assert "quarantined" in decision.notes[0]


def test_values_of_a_new_column_are_discarded_and_said_to_be() -> None:
    decision = new_column("discard_value")
    assert decision.columns[1] == Column("New", Field("new", "STRING"), "discard_value", FORBIDDEN)
    assert decision.ddl == ()
    assert decision.notes == (
        "column new is new: its values are quarantined, and its rows published without them",
    )


def test_a_missing_column_is_noted_and_relaxed() -> None:
    decision = decide({"Id": ID}, (ID, Field("gone", "STRING", "REQUIRED")), contract(), is_text=False)
    assert decision.ddl == ({"op": "relax", "name": "gone"},)
    assert decision.notes == (f"column gone of {TABLE} is not in the data: rows published now hold NULL",)


def test_a_required_column_is_relaxed() -> None:
    decision = decide({"Id": ID}, (Field("id", "INT64", "REQUIRED"),), contract(), is_text=False)
    assert decision.columns[0].field.mode == "NULLABLE"
    assert decision.ddl == ({"op": "relax", "name": "id"},)


ALL = (
    "STRING", "BYTES", "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", "BOOL", "DATE", "DATETIME", "TIME", "TIMESTAMP",
    "JSON",
)  # fmt: skip
WIDENED = {("INT64", "NUMERIC"), ("INT64", "BIGNUMERIC"), ("NUMERIC", "BIGNUMERIC")}


@pytest.mark.parametrize(("published", "incoming"), list(itertools.permutations(ALL, 2)))
def test_only_exact_numbers_widen(published: str, incoming: str) -> None:
    assert widens(published, incoming) == ((published, incoming) in WIDENED)


@pytest.mark.parametrize(("incoming", "published"), list(itertools.permutations(ALL, 2)))
def test_a_type_fits_where_every_value_does(incoming: str, published: str) -> None:
    expected = (incoming, published) in WIDENED or (published == "STRING" and incoming != "BYTES")
    assert fits(incoming, published) == expected


@pytest.mark.parametrize("mode", ["evolve", "freeze", "discard_row", "discard_value"])
def test_a_narrower_type_goes_into_the_published_one(mode: str) -> None:
    decision = held("INT64", "BIGNUMERIC", types=mode)
    assert decision.columns[0].field == Field("a", "BIGNUMERIC")
    assert decision.ddl == ()


@pytest.mark.parametrize(("published", "incoming"), sorted(WIDENED))
@pytest.mark.parametrize("is_text", [True, False])
def test_evolve_widens(published: str, incoming: str, is_text: bool) -> None:
    decision = held(incoming, published, is_text=is_text, types="evolve")
    assert decision.columns[0].field == Field("a", incoming)
    assert decision.ddl == ({"op": "widen", "name": "a", "type": incoming},)
    assert decision.notes == (f"column a of {TABLE} is widened from {published} to {incoming}",)


@pytest.mark.parametrize(
    ("incoming", "published"), [("STRING", "INT64"), ("NUMERIC", "FLOAT64"), ("BYTES", "STRING")]
)
def test_evolve_refuses_what_cannot_widen(incoming: str, published: str) -> None:
    with pytest.raises(
        SchemaError, match=rf"'A' is {incoming} in the source and {published} in {TABLE}.*cannot widen"
    ):
        held(incoming, published, types="evolve")


def test_freeze_refuses_even_a_wider_number() -> None:
    with pytest.raises(SchemaError, match=r"'A' is NUMERIC in the source and INT64.*types is freeze"):
        held("NUMERIC", "INT64", types="freeze")


@pytest.mark.parametrize(
    ("mode", "misfit"), [("discard_row", "reject_row"), ("discard_value", "discard_value")]
)
def test_discard_keeps_the_published_type(mode: str, misfit: str) -> None:
    decision = held("STRING", "INT64", types=mode)
    assert decision.columns == (Column("A", Field("a", "INT64"), misfit),)
    assert decision.ddl == ()
    assert decision.notes == (
        f"column a of {TABLE} is STRING in the source: values that are not INT64 are quarantined",
    )


@pytest.mark.parametrize("mode", ["evolve", "freeze", "discard_row"])
def test_a_guess_from_text_is_no_new_type(mode: str) -> None:
    decision = held("INT64", "FLOAT64", is_text=True, types=mode)
    assert decision.columns == (Column("A", Field("a", "FLOAT64"), "reject_row"),)


def test_a_guess_never_breaks_a_frozen_type() -> None:
    assert held("NUMERIC", "INT64", is_text=True, types="freeze").ddl == ()


def test_a_type_that_config_gives_is_no_guess() -> None:
    with pytest.raises(SchemaError, match="cannot widen"):
        decide({"A": Field("a", "STRING")}, (Field("a", "INT64"),), contract(), is_text=True, settled=("A",))


DIFFERENT = [
    Field("a", "RECORD", "NULLABLE", (Field("y", "INT64"), Field("x", "INT64"))),
    Field("a", "RECORD", "NULLABLE", (Field("x", "INT64"),)),
    Field("a", "RECORD", "NULLABLE", (Field("x", "INT64"), Field("y", "STRING"))),
    Field("a", "RECORD", "REPEATED", NESTED.fields),
    Field("a", "JSON"),
]


@pytest.mark.parametrize("incoming", DIFFERENT, ids=lambda field: field.ddl)
@pytest.mark.parametrize("mode", ["evolve", "freeze", "discard_row", "discard_value"])
def test_nested_columns_that_differ_are_refused(incoming: Field, mode: str) -> None:
    for settled, is_text in (((), False), (("A",), True)):
        with pytest.raises(SchemaError, match="a nested column cannot change"):
            decide({"A": incoming}, (NESTED,), contract(types=mode), is_text=is_text, settled=settled)


@pytest.mark.parametrize("incoming", DIFFERENT, ids=lambda field: field.ddl)
@pytest.mark.parametrize("mode", ["evolve", "freeze", "discard_row", "discard_value"])
def test_a_nested_guess_from_text_keeps_the_published_shape(incoming: Field, mode: str) -> None:
    decision = decide({"A": incoming}, (NESTED,), contract(types=mode), is_text=True)
    on_misfit = "discard_value" if mode == "discard_value" else "reject_row"
    assert (decision.columns, decision.ddl) == ((Column("A", NESTED, on_misfit),), ())


@pytest.mark.parametrize("incoming", [Field("a", "INT64"), Field("a", "STRING")], ids=lambda field: field.ddl)
def test_a_guess_of_scalars_is_no_nested_column(incoming: Field) -> None:
    with pytest.raises(SchemaError, match="a nested column cannot change"):
        decide({"A": incoming}, (NESTED,), contract(), is_text=True)


@pytest.mark.parametrize("known", [NESTED, Field("a", "STRING", "REPEATED")], ids=lambda field: field.ddl)
def test_nested_columns_that_are_equal_stay(known: Field) -> None:
    assert decide({"A": known}, (known,), contract(), is_text=False).columns == (Column("A", known),)


def test_a_single_value_does_not_go_into_a_list() -> None:
    with pytest.raises(SchemaError, match=r"is STRING in the source and ARRAY<STRING> in"):
        decide({"A": Field("a", "STRING")}, (Field("a", "STRING", "REPEATED"),), contract(), is_text=False)


def test_keys() -> None:
    columns = (Column("Id", ID), Column("doc", Field("doc", "JSON")), Column("f", Field("f", "FLOAT64")))
    check_keys(("Id",), columns, TABLE)
    with pytest.raises(SchemaError, match=f"'x' of {TABLE} is not among the columns Id, doc"):
        check_keys(("x",), columns, TABLE)
    for key, type_ in (("doc", "JSON"), ("f", "FLOAT64")):
        with pytest.raises(
            SchemaError, match=f"'{key}' of {TABLE} is {type_}, which BigQuery cannot compare"
        ):
            check_keys((key,), columns, TABLE)


@pytest.mark.parametrize(
    ("why", "says"),
    [
        (FORBIDDEN, r"is new: set schema_contract\.columns to evolve"),
        (UNTYPED, r"has no value yet, so that its type is unknown: give it under columns\.types"),
    ],
)
def test_a_key_that_is_not_staged(why: str, says: str) -> None:
    columns = (Column("Id", ID, must_be_null=why),)
    with pytest.raises(SchemaError, match=f"primary_key 'Id' of {TABLE} {says}"):
        check_keys(("Id",), columns, TABLE)
    for place, cluster in (("Id", ()), (None, ("Id",))):
        with pytest.raises(SchemaError, match=f"'Id' of {TABLE} {says}"):
            shaped(Decision(columns, (), ()), place, cluster, TABLE)


def test_a_column_without_a_value_is_left_out_and_noted() -> None:
    decision = decide({"Id": ID}, (ID, Field("old", "STRING")), contract(), is_text=False)
    left = leave_out({"Note!": "note"}, decision, TABLE)

    assert left.columns == (Column("Id", ID), Column("Note!", Field("note", "STRING"), must_be_null=UNTYPED))
    assert left.ddl == decision.ddl == ()
    assert left.notes == (
        *decision.notes,
        f"column note holds no value yet: left out of {TABLE} until a value shows its type, or columns.types does",
    )


DAY = Field("day", "DATE")


def test_a_new_table_gets_its_shape_by_published_names() -> None:
    decision = decide({"Id": ID, "Day": DAY}, None, contract(), is_text=False)

    (create,) = shaped(decision, "Day", ("Id", "Day"), TABLE)
    assert (create["partition_by"], create["cluster_by"]) == ("day", ["id", "day"])
    (create,) = shaped(decision, None, (), TABLE)
    assert (create["partition_by"], create["cluster_by"]) == (None, [])


def test_a_table_that_exists_keeps_its_shape() -> None:
    decision = decide({"Id": ID, "Day": DAY}, (ID,), contract(), is_text=False)

    assert shaped(decision, "Id", ("gone",), TABLE) == decision.ddl


@pytest.mark.parametrize(
    ("place", "cluster", "says"),
    [
        ("gone", (), f"partition_by 'gone' of {TABLE} is not among the columns Id, Day, Price"),
        (None, ("gone",), f"cluster_by 'gone' of {TABLE} is not among the columns Id, Day, Price"),
        ("Id", (), f"partition_by 'Id' of {TABLE} is INT64: partition by a DATE, DATETIME or TIMESTAMP"),
        (None, ("Price",), f"cluster_by 'Price' of {TABLE} is FLOAT64: cluster by text, whole or decimal"),
    ],
)
def test_a_shape_that_cannot_be(place: str | None, cluster: tuple[str, ...], says: str) -> None:
    incoming = {"Id": ID, "Day": DAY, "Price": Field("price", "FLOAT64")}
    decision = decide(incoming, None, contract(), is_text=False)
    with pytest.raises(SchemaError, match=says):
        shaped(decision, place, cluster, TABLE)
