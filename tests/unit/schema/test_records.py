"""Nested JSON as RECORDs and lists: the shape by all values, every leaf exact, what has no shape stays JSON."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from datetime import date
from decimal import Context, Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_factory.errors import SchemaError
from etl_factory.schema.contract import Contract, Decision
from etl_factory.schema.records import DEEPEST
from etl_factory.schema.rows import Reject
from etl_factory.schema.sanitize import clean, plan_cleaning
from etl_factory.schema.types import Field, extended
from etl_factory.schema.wanted import Wanted
from etl_factory.sources.formats.json import JsonLines
from etl_factory.sources.formats.lattice import merge_schemas
from etl_factory.sources.specs import JsonLinesFormat

Rows = list[dict[str, Any]]


def loaded(
    *files: str, nested: Any = "record", published: tuple[Field, ...] | None = None, **modes: Any
) -> tuple[Decision, Rows, list[Reject]]:
    """Sanitize files of JSON Lines into a table."""
    reader = JsonLines(JsonLinesFormat(type="jsonl", nested=nested))
    schema = merge_schemas([reader.infer(io.BytesIO(text.encode())) for text in files])
    wanted, contract = Wanted(records=nested == "record"), Contract("raw.t", **modes)
    cleaning, decision = plan_cleaning(schema, wanted, published, contract, is_file=True, is_text=True)
    rows: Rows = []
    rejects: list[Reject] = []
    for text in files:
        for batch in reader.read(io.BytesIO(text.encode())):
            done = clean(batch, cleaning, "u")
            done.rows.validate(full=True)
            rows += done.rows.drop_columns(["_etl_source_uri"]).to_pylist()
            rejects += [*batch.rejects, *done.rejects, *done.discarded]
    return decision, rows, rejects


def ddl(decision: Decision) -> dict[str, str]:
    return {column.field.name: column.field.ddl for column in decision.columns}


def only(rows: Rows, name: str) -> list[Any]:
    return [row[name] for row in rows]


SHAPES = [
    (['{"x": 1, "y": "2025-01-31"}', '{"x": 2.5}'], "STRUCT<`x` NUMERIC, `y` DATE>"),
    (['{"x": {"y": {"z": true}}}'], "STRUCT<`x` STRUCT<`y` STRUCT<`z` BOOL>>>"),
    (["[1, 2]", "[]", "null"], "ARRAY<INT64>"),
    (["[1, 2.5]", "[1e-50]"], "ARRAY<FLOAT64>"),
    (['[1, "a"]'], "ARRAY<STRING>"),
    (['[{"x": 1}, {"y": ["a"]}]'], "ARRAY<STRUCT<`x` INT64, `y` ARRAY<STRING>>>"),
    (['{"Order No.": 1, "x": null, "Größe": [2]}'], "STRUCT<`order_no` INT64, `grosse` ARRAY<INT64>>"),
    (['{"x": 0.1234567890123}'], "STRUCT<`x` BIGNUMERIC>"),
    (["{}", '{"x": 1}'], "STRUCT<`x` INT64>"),
    # What has no shape.
    (['{"x": 1}', "5"], "JSON"),
    (['{"x": 1}', "[1]"], "JSON"),
    (['{"x": {"y": 1}}', '{"x": 5}'], "STRUCT<`x` JSON>"),
    (['{"x": {}, "y": 1}'], "STRUCT<`x` JSON, `y` INT64>"),
    (["[[1]]"], "JSON"),
    (["[1, null]"], "JSON"),
    (["[]"], "JSON"),
    (["{}"], "JSON"),
    (['{"x": null}'], "JSON"),
    (['[{"x": 1}, 2]'], "JSON"),
    (["[{}]"], "JSON"),
]


def parts(type_: str) -> list[str]:
    """Return what a type consists of, in no order: that of the keys is that of the records."""
    return sorted(re.findall(r"`\w+` \w+|\w+|[<>]", type_))


@pytest.mark.parametrize(("values", "type_"), SHAPES)
def test_the_shape_of_all_values(values: list[str], type_: str) -> None:
    lines = [f'{{"a": {value}}}' for value in values]
    for order in (lines, lines[::-1]):
        for files in (["\n".join(order)], order):
            decision, rows, rejects = loaded(*files)
            assert (len(rows), rejects) == (len(values), [])
            assert parts(ddl(decision)["a"]) == parts(type_)


def test_values_keep_their_place_and_every_digit() -> None:
    _, rows, _ = loaded(
        '{"a": {"n": 12345678901234567890, "d": "2024-02-29", "t": "007", "l": [0.1, 2], "o": [{"k": "é\\n"}, {}]}}\n'
        '{"a": null}\n{}\n{"a": {"n": 0, "o": null}}\n'
    )
    assert only(rows, "a") == [
        {
            "n": Decimal("12345678901234567890"),
            "d": date(2024, 2, 29),
            "t": "007",
            "l": [Decimal("0.1"), Decimal(2)],
            "o": [{"k": "é\n"}, {"k": None}],
        },
        None,
        None,
        {"n": 0, "d": None, "t": None, "l": [], "o": []},
    ]


def test_what_parquet_does_not_carry_is_text_inside() -> None:
    decision, rows, _ = loaded('{"a": {"x": {"y": 1.50}, "b": 0.12345678901}}\n{"a": {"x": 5}}\n')
    assert ddl(decision) == {"a": "STRUCT<`x` JSON, `b` BIGNUMERIC>"}
    assert only(rows, "a") == [{"x": '{"y":1.50}', "b": "0.12345678901"}, {"x": "5", "b": None}]


def test_records_nest_as_deep_as_bigquery_lets_them() -> None:
    text = '{"a":' * (DEEPEST + 2) + "1" + "}" * (DEEPEST + 2)
    decision, rows, rejects = loaded(text)
    assert ddl(decision)["a"].count("STRUCT") == DEEPEST == 15
    assert rejects == []
    value = rows[0]["a"]
    for _ in range(DEEPEST):
        value = value["a"]
    assert value == '{"a":1}'


def test_two_keys_of_one_name_are_refused_with_both() -> None:
    with pytest.raises(SchemaError, match="keys 'X' and 'x' of the objects in 'a' would both be called 'x'"):
        loaded('{"a": {"X": 1}}\n{"a": {"x": 2}}\n')


def test_nested_values_stay_json_unless_config_says_record() -> None:
    decision, rows, _ = loaded('{"a": {"x": 1.50}, "b": [1]}\n', nested="json")
    assert ddl(decision) == {"a": "JSON", "b": "JSON"}
    assert (only(rows, "a"), only(rows, "b")) == (['{"x":1.50}'], ["[1]"])


HELD = (
    Field("a", "RECORD", fields=(Field("x", "INT64"), Field("O", "RECORD", fields=(Field("k", "STRING"),)))),
    Field("l", "RECORD", "REPEATED", (Field("n", "INT64"),)),
)
NEW = '{"a": {"o": {"k": "v", "w": true}, "y": [1]}, "l": [{"n": 1, "m": 2.5}]}\n{"a": {"x": 3}}\n'


def test_new_parts_are_added_at_the_end_of_their_record() -> None:
    decision, rows, rejects = loaded(NEW, published=HELD)
    assert rejects == []
    assert ddl(decision) == {
        "a": "STRUCT<`x` INT64, `O` STRUCT<`k` STRING, `w` BOOL>, `y` ARRAY<INT64>>",
        "l": "ARRAY<STRUCT<`n` INT64, `m` NUMERIC>>",
    }
    assert [op["op"] for op in decision.ddl] == ["extend", "extend"]
    assert only(rows, "a") == [
        {"x": None, "O": {"k": "v", "w": True}, "y": [1]},
        {"x": 3, "O": None, "y": []},
    ]
    assert "a.O.w (BOOL) is new: added to raw.t" in decision.notes
    longer = [
        extended(field.to_api(), Field.from_json(op["field"]))
        for field, op in zip(HELD, decision.ddl, strict=True)
    ]
    assert [Field.from_api(resource).ddl for resource in longer] == list(ddl(decision).values())


def test_a_part_that_is_missing_is_null_and_changes_nothing() -> None:
    decision, rows, rejects = loaded('{"l": [{}], "a": {"o": {"k": "v"}}}\n', published=HELD)
    assert (decision.ddl, rejects) == ((), [])
    assert rows[0]["a"] == {"x": None, "O": {"k": "v"}}
    assert loaded('{"a": null, "l": null}\n{}\n', published=HELD)[2] == []


def test_new_parts_are_refused_by_a_contract_that_freezes() -> None:
    with pytest.raises(
        SchemaError, match=r"a\.O\.w \(BOOL\), in column 'a', is new, and .* freeze for raw\.t"
    ):
        loaded(NEW, published=HELD, columns="freeze")


def test_rows_with_new_parts_are_quarantined_by_a_contract_that_says_so() -> None:
    decision, rows, rejects = loaded(NEW, published=HELD, columns="discard_row")
    assert decision.ddl == ()
    assert only(rows, "a") == [{"x": 3, "O": None}]
    assert [(reject.record, reject.column) for reject in rejects] == [(1, "a")]


def test_values_of_new_parts_are_discarded_by_a_contract_that_says_so() -> None:
    decision, rows, rejects = loaded(NEW, published=HELD, columns="discard_value")
    assert (decision.ddl, rejects) == ((), [])
    assert only(rows, "a") == [{"x": None, "O": {"k": "v"}}, {"x": 3, "O": None}]
    assert only(rows, "l") == [[{"n": 1}], None] or only(rows, "l") == [[{"n": 1}], []]
    assert "a.O.w (BOOL) is new: its values are discarded, as schema_contract.columns says" in decision.notes


MISFITS = [
    '{"a": 5}',
    '{"a": [1]}',
    '{"a": {"x": 1.5}}',
    '{"a": {"x": 9223372036854775808}}',
    '{"a": {"o": 1}}',
    '{"l": [null]}',
    '{"l": {"n": 1}}',
    '{"l": [{"n": 1}, {"n": "x"}]}',
]


@pytest.mark.parametrize("line", MISFITS)
def test_a_value_of_another_shape_than_published_is_a_bad_row(line: str) -> None:
    fine = '{"a": {"x": 1}, "l": [{"n": 2}]}'
    _, rows, rejects = loaded(f"{fine}\n{line}\n{fine}\n", published=HELD)
    assert len(rows) == 2
    assert [(reject.record, reject.column) for reject in rejects] == [(2, next(iter(json.loads(line))))]
    _, rows, noted = loaded(f"{fine}\n{line}\n", published=HELD, types="discard_value")
    assert len(rows) == 2
    assert rows[1][noted[0].column] in (None, [])


def test_a_column_of_scalars_is_no_longer_the_nested_one_that_is_published() -> None:
    with pytest.raises(
        SchemaError, match=r"'a' is INT64 in the source and STRUCT<.*a nested column cannot change"
    ):
        loaded('{"a": 5}\n', published=HELD)


def test_a_column_that_is_published_as_json_or_text_stays_so() -> None:
    held = (Field("a", "JSON"), Field("b", "STRING"), Field("c", "INT64"))
    line = '{"a": {"x": 1}, "b": [1, 2], "c": 1}\n{"c": {"y": 1}}\n'
    _, rows, rejects = loaded(line, published=held)
    assert rows == [{"a": '{"x":1}', "b": "[1,2]", "c": 1, "_etl_record": 1}]
    assert [reject.column for reject in rejects] == ["c"]


numbers = st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
leaves = st.none() | st.booleans() | numbers | st.text(st.characters(exclude_categories=("Cs",)), max_size=4)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


def written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{written(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


def same(found: Any, field: Field, given: Any) -> bool:
    """Whether a staged value of a field is the given one, to the last digit; absent parts are NULL or empty."""
    if field.mode == "REPEATED":
        item = replace(field, mode="NULLABLE")
        pairs = zip(found or [], given or [], strict=True)
        return len(found or []) == len(given or []) and all(same(one, item, other) for one, other in pairs)
    if found is None or given is None:
        return found is given
    if field.type == "RECORD":
        known = {part.name for part in field.fields}
        nothing = all(part is None for key, part in given.items() if key not in known)
        return nothing and all(same(found[part.name], part, given.get(part.name)) for part in field.fields)
    if field.type == "JSON":
        return bool(json.loads(found, parse_float=Decimal) == given)
    if isinstance(given, bool) or isinstance(found, bool):
        return found is given or found == str(given).lower()
    if isinstance(found, float):
        digits = len(Decimal(given).as_tuple().digits)
        return given in (Decimal(repr(found)), Context(prec=digits).create_decimal(found))
    if isinstance(given, int | Decimal):
        return Decimal(str(found)) == given
    return bool(found == given if isinstance(given, str) else json.loads(found, parse_float=Decimal) == given)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), values, max_size=3), min_size=1, max_size=4))
@pytest.mark.parametrize("nested", ["json", "record"])
def test_every_value_is_exact_or_its_row_is_quarantined(nested: str, records: Rows) -> None:
    decision, rows, rejects = loaded("\n".join(map(written, records)), nested=nested)
    bad = {reject.record for reject in rejects}
    assert len(rows) + len(bad) == len(records)
    staged = {column.original: column.field for column in decision.columns if not column.must_be_null}
    for row in rows:
        given = records[row["_etl_record"] - 1]
        for name, value in given.items():
            if name not in staged:
                assert value is None
            else:
                assert same(row[name], staged[name], value), (row[name], staged[name].ddl, value)
