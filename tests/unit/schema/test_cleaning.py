"""Sanitize: which columns, under which names and types, and where every row of a batch goes."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_factory.errors import SchemaError
from etl_factory.schema.contract import Contract
from etl_factory.schema.rows import RAW_LIMIT, Batch, bounded
from etl_factory.schema.sanitize import Cleaned, Cleaning, clean, plan_bare, plan_cleaning
from etl_factory.schema.types import Field, raw_json
from etl_factory.schema.wanted import Wanted, choose

CONTRACT = Contract("acme.raw.orders")


def plan(
    schema: pa.Schema, wanted: Wanted | None = None, published: tuple[Field, ...] | None = None,
    contract: Contract = CONTRACT, *, is_file: bool = False, is_text: bool = False,
) -> Cleaning:  # fmt: skip
    return plan_cleaning(schema, wanted or Wanted(), published, contract, is_file=is_file, is_text=is_text)[0]


def batch_of(**columns: Any) -> Batch:
    rows = pa.RecordBatch.from_pydict(columns)
    return Batch(rows, pa.array(range(11, 11 + rows.num_rows), pa.int64()))


def cleaned(batch: Batch, *args: Any, **kwargs: Any) -> Cleaned:
    done = clean(batch, plan(batch.rows.schema, *args, **kwargs))
    assert batch.rows.num_rows == done.rows.num_rows + len(done.rejects)
    return done


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (Wanted(), ("a", "b", "c")),
        (Wanted(include=["c", "a"]), ("a", "c")),
        (Wanted(exclude=["b"]), ("a", "c")),
        (Wanted(exclude=["gone"]), ("a", "b", "c")),
    ],
)
def test_columns_are_chosen_in_the_datas_order(wanted: Wanted, chosen: tuple[str, ...]) -> None:
    assert choose(["a", "b", "c"], wanted) == chosen


def test_an_included_column_that_is_not_there() -> None:
    with pytest.raises(SchemaError, match=r"columns\.include names 'nmae'.*did you mean 'name'\?"):
        choose(["name", "id"], Wanted(include=["nmae"]))
    with pytest.raises(SchemaError, match="the columns are a, b"):
        choose(["b", "a"], Wanted(include=["zzz"]))


@pytest.mark.parametrize(
    ("excluded", "there"), [("password", "Password"), ("Pass Word", "pass-word"), ("PASS_WORD", "pass-word")]
)
def test_an_excluded_column_does_not_leak_for_its_spelling(excluded: str, there: str) -> None:
    with pytest.raises(SchemaError, match=rf"columns\.exclude names '{excluded}'.*did you mean '{there}'\?"):
        choose(["id", there], Wanted(exclude=[excluded]))


def test_names_types_and_order() -> None:
    schema = pa.schema([("Order No", pa.string()), ("Secret", pa.string()), ("Net €", pa.decimal128(10, 2))])
    wanted = Wanted(exclude=["Secret"], rename={"Net €": "net"}, types={"Order No": "INT64"})
    cleaning = plan(schema, wanted)
    assert cleaning.staged == (Field("order_no", "INT64"), Field("net", "NUMERIC"))
    assert cleaning.arrow == pa.schema([("order_no", pa.int64()), ("net", pa.decimal128(38, 9))])


def test_a_type_for_a_column_that_is_not_there() -> None:
    with pytest.raises(SchemaError, match=r"columns\.types names 'ide'.*did you mean 'id'\?"):
        plan(pa.schema([("id", pa.int64())]), Wanted(types={"ide": "STRING"}))


def test_a_file_brings_its_own_columns_along() -> None:
    batch = batch_of(a=[1, 2])
    cleaning = plan(batch.rows.schema, is_file=True)
    done = clean(batch, cleaning, "s3://b/x.csv")
    assert [field.name for field in cleaning.staged] == ["a", "_etl_source_uri", "_etl_record"]
    assert done.rows.to_pylist() == [
        {"a": 1, "_etl_source_uri": "s3://b/x.csv", "_etl_record": 11},
        {"a": 2, "_etl_source_uri": "s3://b/x.csv", "_etl_record": 12},
    ]


@pytest.mark.parametrize("mode", ["evolve", "freeze"])
@pytest.mark.parametrize("is_text", [True, False])
def test_a_column_of_nulls_takes_the_published_type(mode: str, is_text: bool) -> None:
    batch = batch_of(a=pa.nulls(2))
    contract = Contract("acme.raw.orders", types=mode)
    done = cleaned(batch, published=(Field("a", "TIMESTAMP"),), contract=contract, is_text=is_text)
    assert done.rows.schema.field("a").type == pa.timestamp("us", "UTC")
    assert done.rows.column("a").null_count == 2


def test_a_batch_that_lacks_a_column_holds_nulls() -> None:
    cleaning = plan(pa.schema([("a", pa.int64()), ("b", pa.string())]))
    assert clean(batch_of(a=[1]), cleaning).rows.to_pylist() == [{"a": 1, "b": None}]


def test_a_clean_batch_is_handed_on_without_a_copy() -> None:
    batch = batch_of(
        a=[1, 2], b=["x", None], c=[0.5, math.nan], d=pa.array([Decimal("1.5"), None], pa.decimal128(38, 9))
    )
    done = cleaned(batch)
    assert done.rejects == done.discarded == ()
    for before, after in zip(batch.rows.columns, done.rows.columns, strict=True):
        assert [b and b.address for b in before.buffers()] == [b and b.address for b in after.buffers()]


def test_a_bad_row_is_set_aside_whole_once_with_its_first_bad_value() -> None:
    batch = batch_of(
        id=["1", "2", "3"], amount=["1.5", "x", "y"], day=["2025-01-31", "2025-02-31", "2025-03-01"]
    )
    wanted = Wanted(types={"id": "INT64", "amount": "NUMERIC", "day": "DATE"})
    done = cleaned(batch, wanted, is_text=True)
    assert done.rows.column("id").to_pylist() == [1]
    assert [(r.record, r.line, r.column, r.value) for r in done.rejects] == [
        (12, None, "amount", "x"),
        (13, None, "amount", "y"),
    ]
    assert done.rejects[0].reason == "not a NUMERIC that BigQuery can hold exactly"
    assert json.loads(done.rejects[0].row) == {"id": "2", "amount": "x", "day": "2025-02-31"}


def test_discard_value_keeps_the_row_and_the_value() -> None:
    contract = Contract("acme.raw.orders", types="discard_value")
    done = cleaned(batch_of(a=["1", "x"]), published=(Field("a", "INT64"),), contract=contract)
    assert done.rows.to_pylist() == [{"a": 1}, {"a": None}]
    assert done.rejects == ()
    assert [(r.record, r.column, r.value) for r in done.discarded] == [(12, "a", "x")]


def test_discard_row_sets_aside_rows_that_fill_a_new_column() -> None:
    contract = Contract("acme.raw.orders", columns="discard_row")
    done = cleaned(batch_of(a=[1, 2], new=[None, "x"]), published=(Field("a", "INT64"),), contract=contract)
    assert done.rows.to_pylist() == [{"a": 1}]
    assert [(r.record, r.column, r.value, r.reason) for r in done.rejects] == [
        (12, "new", "x", "the contract allows no new columns")
    ]


UNSHOWABLE = [
    (pa.array([2932897], pa.date32()), {}, "2932897 (date32[day] since 1970)"),
    (pa.array([2**62], pa.timestamp("s")), {}, f"{2**62} (timestamp[s] since 1970)"),
    (pa.array([2**63 - 1], pa.timestamp("us", "UTC")), {}, f"{2**63 - 1} (timestamp[us, tz=UTC] since 1970)"),
    (pa.array([b"a\xffc"]).view(pa.string()), {}, "a\\xffc"),
    (pa.array([math.nan]), {"a": "NUMERIC"}, "nan"),
    (pa.array([b"\xff"]), {"a": "STRING"}, "b'\\xff'"),
]


@pytest.mark.parametrize(("array", "types", "shown"), UNSHOWABLE)
def test_values_that_python_cannot_hold_are_quarantined_all_the_same(
    array: pa.Array, types: dict[str, str], shown: str
) -> None:
    done = cleaned(batch_of(a=array, b=[1]), Wanted(types=types))
    assert [reject.value for reject in done.rejects] == [shown]
    assert json.loads(done.rejects[0].row)["b"] == 1


def test_nanoseconds_are_quarantined_and_shown() -> None:
    done = cleaned(batch_of(a=pa.array([1001], pa.timestamp("ns")), b=[1]))
    assert len(done.rejects) == 1
    assert "1001" in done.rejects[0].value or "000001001" in done.rejects[0].value


def test_nested_dates_beyond_the_calendar_are_quarantined() -> None:
    done = cleaned(batch_of(a=pa.array([[2932897]], pa.list_(pa.int32())).cast(pa.list_(pa.date32())), b=[1]))
    assert [reject.column for reject in done.rejects] == ["a"]


def test_a_long_value_is_cut_and_says_how_long_it_was() -> None:
    long = "x" * (RAW_LIMIT + 1)
    assert bounded(long) == "x" * RAW_LIMIT + f"… ({RAW_LIMIT + 1} characters)"
    assert bounded(long[1:]) == long[1:]
    done = cleaned(batch_of(a=[long]), Wanted(types={"a": "INT64"}))
    assert done.rejects[0].value == bounded(long)


def test_a_batch_without_rows() -> None:
    done = cleaned(
        Batch(pa.RecordBatch.from_pydict({"a": pa.array([], pa.string())}), pa.array([], pa.int64()))
    )
    assert done.rows.num_rows == 0
    assert done.rows.schema.names == ["a"]


@given(st.lists(st.tuples(st.none() | st.text(), st.none() | st.text("0123456789.-eE"), st.booleans())))
def test_every_row_read_is_staged_or_quarantined(rows: list[tuple[Any, ...]]) -> None:
    columns = {
        name: pa.array(values, type_)
        for name, values, type_ in zip(
            "abc",
            zip(*rows, strict=True) if rows else ((), (), ()),
            (pa.string(), pa.string(), pa.bool_()),
            strict=True,
        )
    }
    batch = batch_of(**columns)
    done = cleaned(batch, Wanted(types={"a": "DATE", "b": "NUMERIC"}), is_file=True, is_text=True)
    staged = set(done.rows.column("_etl_record").to_pylist())
    assert staged.isdisjoint(reject.record for reject in done.rejects)
    assert staged | {reject.record for reject in done.rejects} == set(batch.records.to_pylist())


CATEGORY = pa.DictionaryArray.from_arrays(pa.array([0, None], pa.int8()), pa.array([None], pa.string()))
NULLS = pa.DictionaryArray.from_arrays(pa.array([None, None], pa.int8()), pa.array([], pa.null()))


@pytest.mark.parametrize("values", [pa.nulls(2), NULLS, pa.RunEndEncodedArray.from_arrays([2], pa.nulls(1))])
def test_a_new_column_without_a_value_is_not_staged(values: pa.Array) -> None:
    batch = batch_of(a=[1, 2], b=values)
    cleaning = plan(batch.rows.schema)
    assert cleaning.staged == (Field("a", "INT64"),)
    assert clean(batch, cleaning).rows.to_pylist() == [{"a": 1}, {"a": 2}]
    assert plan(batch.rows.schema, Wanted(types={"b": "DATE"})).staged[1] == Field("b", "DATE")


def test_a_category_that_is_null_fills_no_column() -> None:
    contract = Contract("acme.raw.orders", columns="discard_row")
    done = cleaned(batch_of(a=[1, 2], new=CATEGORY), published=(Field("a", "INT64"),), contract=contract)
    assert done.rows.to_pylist() == [{"a": 1}, {"a": 2}]


def test_a_row_that_fills_a_column_without_a_type_is_set_aside() -> None:
    cleaning = plan(pa.schema([("a", pa.int64()), ("b", pa.null())]))
    done = clean(batch_of(a=[1, 2], b=[None, "x"]), cleaning)
    assert done.rows.to_pylist() == [{"a": 1}]
    assert [(r.column, r.value, r.reason) for r in done.rejects] == [
        ("b", "x", "no value of this column shows its type")
    ]


def test_names_of_columns_without_a_type_collide_all_the_same() -> None:
    with pytest.raises(SchemaError, match="'a b' and 'A B' would both be called 'a_b'"):
        plan(pa.schema([("a b", pa.int64()), ("A B", pa.null())]))


def test_only_columns_without_a_type_are_no_columns() -> None:
    assert not plan(pa.schema([("a", pa.null())]), is_file=True).has_columns
    assert plan(pa.schema([("a", pa.null())]), Wanted(types={"a": "STRING"})).has_columns


def test_bare_files_stage_the_published_columns() -> None:
    published = (Field("Id", "INT64", "REQUIRED"), Field("n", "RECORD", fields=(Field("x", "INT64"),)))
    cleaning, decision = plan_bare(published, CONTRACT)
    assert [field.name for field in cleaning.staged] == ["Id", "_etl_source_uri", "_etl_record"]
    assert decision.ddl == ({"op": "relax", "name": "Id"},)
    assert not plan_bare(None, CONTRACT)[0].has_columns


def test_only_columns_whose_values_may_not_fit_are_doubtful() -> None:
    exact = {"a": pa.int64(), "b": pa.float64(), "c": pa.bool_(), "d": pa.binary(), "e": pa.decimal128(38, 9)}
    doubtful = {"f": pa.string(), "g": pa.date32(), "h": pa.timestamp("us"), "i": pa.time64("us")}
    schema = pa.schema([*exact.items(), *doubtful.items()])
    cleaning = plan(schema)
    assert cleaning.keeps(schema)
    assert cleaning.doubtful.arrow.names == list(doubtful)


ODD_MOMENTS = ["2024-06-01 10:00:00.1+00", "infinity", None]
MOMENT = pa.schema([("id", pa.int64()), ("at", pa.timestamp("us", "UTC"))])


def moments(wanted: Wanted) -> Cleaned:
    """Clean rows of a database that prints its moments, one of which is none."""
    batch = batch_of(id=[1, 2, 3], at=ODD_MOMENTS)
    return clean(batch, plan(MOMENT, wanted))


def test_a_value_that_cannot_be_held_takes_its_row_to_quarantine() -> None:
    done = moments(Wanted())
    assert done.rows.column("id").to_pylist() == [1, 3]
    assert [(reject.column, reject.value) for reject in done.rejects] == [("at", "infinity")]


@pytest.mark.parametrize(
    "wanted", [Wanted(unfit="null"), Wanted(unfit="quarantine", unfit_in={"at": "null"})]
)
def test_a_value_that_cannot_be_held_is_null_and_noted(wanted: Wanted) -> None:
    done = moments(wanted)
    assert done.rows.column("id").to_pylist() == [1, 2, 3]
    assert done.rows.column("at").is_null().to_pylist() == [False, True, True]
    assert done.rejects == ()
    assert [(reject.record, reject.value) for reject in done.discarded] == [(12, "infinity")]


@pytest.mark.parametrize("wanted", [Wanted(unfit="text"), Wanted(unfit_in={"at": "text"})])
def test_a_column_of_values_that_cannot_be_held_is_text(wanted: Wanted) -> None:
    done = moments(wanted)
    assert done.rows.column("at").to_pylist() == ODD_MOMENTS
    assert (done.rejects, done.discarded) == ((), ())


def test_types_of_config_win_over_text() -> None:
    cleaning = plan(MOMENT, Wanted(unfit="text", types={"at": "DATE"}))
    assert [column.field.type for column in cleaning.columns] == ["INT64", "DATE"]


def test_text_is_asked_for_of_types_that_may_be_unfit_alone() -> None:
    types = [
        pa.int64(), pa.float64(), pa.decimal128(12, 2), pa.decimal256(39, 0), pa.string(), pa.binary(), pa.bool_(),
        pa.date32(), pa.timestamp("us"), pa.time64("ns"), pa.decimal256(76, 38), raw_json(), pa.list_(pa.int8()),
        pa.dictionary(pa.int8(), pa.date32()),
    ]  # fmt: skip
    schema = pa.schema([(f"c{i}", type_) for i, type_ in enumerate(types)])
    found = [column.field.type for column in plan(schema, Wanted(unfit="text")).columns]
    assert found == ["INT64", "FLOAT64", "NUMERIC", "STRING", "STRING", "BYTES", "BOOL", *["STRING"] * 7]


def test_a_policy_for_a_column_that_is_not_there() -> None:
    with pytest.raises(SchemaError, match=r"columns\.on_unrepresentable names 'att'.*did you mean 'at'\?"):
        plan(MOMENT, Wanted(unfit_in={"att": "null"}))


def test_a_column_that_must_be_null_stays_so_under_any_policy() -> None:
    contract = Contract("acme.raw.orders", columns="discard_row")
    batch = batch_of(a=[1, 2], new=[None, "x"])
    done = cleaned(batch, Wanted(unfit="null"), published=(Field("a", "INT64"),), contract=contract)
    assert [reject.column for reject in done.rejects] == ["new"]
