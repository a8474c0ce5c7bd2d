"""Every Arrow type and the BigQuery field that holds it, and the refusal of those that none holds."""

from __future__ import annotations

import pyarrow as pa
import pytest

from etl_factory.errors import SchemaError
from etl_factory.schema.types import Field, decimal_type, field_of, is_parsed_json, raw_json, staged_arrow

TYPES = [
    (pa.null(), "STRING"),
    (pa.bool_(), "BOOL"),
    (pa.int8(), "INT64"),
    (pa.int16(), "INT64"),
    (pa.int32(), "INT64"),
    (pa.int64(), "INT64"),
    (pa.uint8(), "INT64"),
    (pa.uint16(), "INT64"),
    (pa.uint32(), "INT64"),
    (pa.uint64(), "NUMERIC"),
    (pa.float16(), "FLOAT64"),
    (pa.float32(), "FLOAT64"),
    (pa.float64(), "FLOAT64"),
    (pa.decimal32(9, 2), "NUMERIC"),
    (pa.decimal64(18, 9), "NUMERIC"),
    (pa.decimal128(38, 9), "NUMERIC"),
    (pa.decimal128(5, -3), "NUMERIC"),
    (pa.decimal128(38, 10), "BIGNUMERIC"),
    (pa.decimal256(76, 38), "BIGNUMERIC"),
    (pa.decimal256(39, 0), "STRING"),
    (pa.decimal256(76, 39), "STRING"),
    (pa.string(), "STRING"),
    (pa.large_string(), "STRING"),
    (pa.string_view(), "STRING"),
    (pa.binary(), "BYTES"),
    (pa.large_binary(), "BYTES"),
    (pa.binary_view(), "BYTES"),
    (pa.binary(16), "BYTES"),
    (pa.uuid(), "STRING"),
    (pa.date32(), "DATE"),
    (pa.date64(), "DATE"),
    (pa.time32("s"), "TIME"),
    (pa.time32("ms"), "TIME"),
    (pa.time64("us"), "TIME"),
    (pa.time64("ns"), "TIME"),
    (pa.timestamp("s"), "DATETIME"),
    (pa.timestamp("ns"), "DATETIME"),
    (pa.timestamp("us", "UTC"), "TIMESTAMP"),
    (pa.timestamp("ms", "Europe/Warsaw"), "TIMESTAMP"),
    (pa.json_(), "JSON"),
    (raw_json(), "JSON"),
    (pa.list_(pa.int64()), "JSON"),
    (pa.large_list(pa.string()), "JSON"),
    (pa.list_(pa.int8(), 3), "JSON"),
    (pa.struct([("a", pa.int64())]), "JSON"),
    (pa.map_(pa.string(), pa.int64()), "JSON"),
    (pa.dictionary(pa.int32(), pa.string()), "STRING"),
    (pa.dictionary(pa.int8(), pa.decimal128(10, 2)), "NUMERIC"),
    (pa.run_end_encoded(pa.int32(), pa.date32()), "DATE"),
]


@pytest.mark.parametrize(("arrow", "name"), TYPES, ids=[str(arrow) for arrow, _ in TYPES])
def test_types(arrow: pa.DataType, name: str) -> None:
    assert field_of(pa.field("Order No", arrow), "order_no") == Field("order_no", name, "NULLABLE")


def test_json_that_is_kept_as_text_survives_a_schema() -> None:
    schema = pa.schema([("a", raw_json()), ("b", pa.json_())])
    read = pa.ipc.read_schema(schema.serialize())
    assert [is_parsed_json(field.type) for field in read] == [False, True]


@pytest.mark.parametrize("arrow", [pa.duration("s"), pa.month_day_nano_interval(), pa.bool8()], ids=str)
def test_refused_types(arrow: pa.DataType) -> None:
    with pytest.raises(SchemaError) as caught:
        field_of(pa.field("Order No", arrow), "order_no")
    assert str(caught.value) == (
        f"column 'Order No' has Arrow type {arrow}, which BigQuery cannot hold: leave it out with columns.exclude"
    )


@pytest.mark.parametrize(
    ("precision", "scale", "name"),
    [
        (1, 0, "NUMERIC"),
        (29, 0, "NUMERIC"),
        (30, 0, "BIGNUMERIC"),
        (38, 9, "NUMERIC"),
        (9, 9, "NUMERIC"),
        (10, 10, "BIGNUMERIC"),
        (38, 8, "BIGNUMERIC"),
        (38, 0, "BIGNUMERIC"),
        (39, 0, "STRING"),
        (38, 38, "BIGNUMERIC"),
        (39, 39, "STRING"),
        (76, 38, "BIGNUMERIC"),
    ],
)
def test_decimals_take_the_narrowest_type_that_holds_every_digit(
    precision: int, scale: int, name: str
) -> None:
    assert decimal_type(precision, scale) == name


@pytest.mark.parametrize(
    ("type_", "arrow", "staged"),
    [
        ("INT64", pa.int64(), "INT64"),
        ("FLOAT64", pa.float64(), "FLOAT64"),
        ("BOOL", pa.bool_(), "BOOL"),
        ("STRING", pa.string(), "STRING"),
        ("BYTES", pa.binary(), "BYTES"),
        ("DATE", pa.date32(), "DATE"),
        ("TIME", pa.time64("us"), "TIME"),
        ("DATETIME", pa.timestamp("us"), "DATETIME"),
        ("TIMESTAMP", pa.timestamp("us", "UTC"), "TIMESTAMP"),
        ("NUMERIC", pa.decimal128(38, 9), "NUMERIC"),
        ("BIGNUMERIC", pa.string(), "STRING"),
        ("JSON", pa.string(), "STRING"),
        ("GEOGRAPHY", pa.string(), "STRING"),
        ("INTERVAL", pa.string(), "STRING"),
    ],
)
def test_staging(type_: str, arrow: pa.DataType, staged: str) -> None:
    assert staged_arrow(Field("a", type_)) == arrow
    assert Field("a", type_).staged_type == staged


NESTED = Field("a", "RECORD", "REPEATED", (Field("b", "INT64"), Field("c", "STRING", "REPEATED")), "words")


def test_a_field_survives_json() -> None:
    assert Field.from_json(NESTED.to_json()) == NESTED


def test_a_field_of_the_api_takes_todays_words() -> None:
    resource = {
        "name": "a", "type": "STRUCT", "mode": "REPEATED", "description": "words",
        "fields": [{"name": "b", "type": "integer"}, {"name": "c", "type": "STRING", "mode": "REPEATED"}],
    }  # fmt: skip
    assert Field.from_api(resource) == NESTED
    assert Field.from_api({"name": "d", "type": "FLOAT", "mode": None}) == Field("d", "FLOAT64")
    assert Field.from_api({"name": "e", "type": "BOOLEAN"}) == Field("e", "BOOL")


def test_a_field_for_the_api() -> None:
    assert Field("a", "JSON", "REQUIRED").to_api() == {"name": "a", "type": "JSON", "mode": "REQUIRED"}
    assert Field("a", "JSON", "REQUIRED").to_api(staged=True) == {
        "name": "a",
        "type": "STRING",
        "mode": "NULLABLE",
    }
    assert NESTED.to_api() == {
        "name": "a", "type": "RECORD", "mode": "REPEATED",
        "fields": [
            {"name": "b", "type": "INT64", "mode": "NULLABLE"},
            {"name": "c", "type": "STRING", "mode": "REPEATED"},
        ],
    }  # fmt: skip


def test_ddl() -> None:
    assert NESTED.ddl == "ARRAY<STRUCT<`b` INT64, `c` ARRAY<STRING>>>"
    assert Field("a", "NUMERIC").ddl == "NUMERIC"


@pytest.mark.parametrize("element", ["DATE", "DATETIME", "TIMESTAMP"])
def test_a_range_keeps_the_type_of_its_ends(element: str) -> None:
    """https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema"""
    api = {"name": "a", "type": "RANGE", "mode": "NULLABLE", "rangeElementType": {"type": element}}
    field = Field.from_api(api)

    assert (field.type, field.ddl) == (f"RANGE<{element}>", f"RANGE<{element}>")
    assert field.to_api() == field.to_api(staged=True) == api
    assert Field.from_json(field.to_json()) == field


def test_nested_fields_of_bigquery_keep_their_own_types() -> None:
    inner = [{"name": "at", "type": "RANGE", "mode": "REPEATED", "rangeElementType": {"type": "DATE"}},
             {"name": "how_long", "type": "INTERVAL", "mode": "NULLABLE"},
             {"name": "where", "type": "GEOGRAPHY", "mode": "NULLABLE"}]  # fmt: skip
    api = {"name": "a", "type": "RECORD", "mode": "REPEATED", "fields": inner}

    assert Field.from_api(api).to_api() == api
    assert (
        Field.from_api(api).ddl
        == "ARRAY<STRUCT<`at` ARRAY<RANGE<DATE>>, `how_long` INTERVAL, `where` GEOGRAPHY>>"
    )
