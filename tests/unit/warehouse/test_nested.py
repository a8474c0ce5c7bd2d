"""Nested columns at BigQuery: parts that Parquet staged as text are read, in order, and a RECORD can grow."""

from __future__ import annotations

import pytest
from fake_bigquery import FakeBigQuery, refusal

from etl_factory.errors import TransientError
from etl_factory.schema.types import Field
from etl_factory.warehouse.client import Warehouse
from etl_factory.warehouse.judgement import staged_expression
from etl_factory.warehouse.publication import StagedColumn
from etl_factory.warehouse.target import Destination, Target

PLAIN = Field("a", "RECORD", fields=(Field("x", "INT64"), Field("l", "STRING", "REPEATED")))
ITEMS = Field("items", "RECORD", "REPEATED", (Field("doc", "JSON"), Field("n", "INT64")))
SPELT = Field("a", "RECORD", fields=(Field("x", "INT64"), Field("big", "BIGNUMERIC"), ITEMS))
EXPRESSIONS = [
    (PLAIN, "s.`a`"),
    (Field("a", "INT64", "REPEATED"), "s.`a`"),
    (
        Field("a", "BIGNUMERIC", "REPEATED"),
        "ARRAY(SELECT CAST(_item0 AS BIGNUMERIC) FROM UNNEST(s.`a`) AS _item0 WITH OFFSET AS _place0"
        " ORDER BY _place0)",
    ),
    (
        SPELT,
        "IF(s.`a` IS NULL, NULL, STRUCT(s.`a`.`x` AS `x`, CAST(s.`a`.`big` AS BIGNUMERIC) AS `big`,"
        " ARRAY(SELECT IF(_item0 IS NULL, NULL, STRUCT(PARSE_JSON(_item0.`doc`, wide_number_mode=>'exact') AS `doc`,"
        " _item0.`n` AS `n`)) FROM UNNEST(s.`a`.`items`) AS _item0 WITH OFFSET AS _place0 ORDER BY _place0)"
        " AS `items`))",
    ),
]


@pytest.mark.parametrize(("field", "expression"), EXPRESSIONS)
def test_parts_that_were_staged_as_text_are_read(field: Field, expression: str) -> None:
    column = StagedColumn(field, "a", field.staged_type, is_parquet=True)
    assert staged_expression(column) == expression


def test_a_nested_column_that_never_left_bigquery_is_taken_as_it_is() -> None:
    assert staged_expression(StagedColumn(SPELT, "a", "RECORD")) == "s.`a`"


DESTINATION = Destination("acme-analytics", "EU", "raw", "gs://acme-landing")
TABLE = "acme-analytics.raw.shop__orders"
HELD = {
    "tableReference": {"projectId": "acme-analytics", "datasetId": "raw", "tableId": "shop__orders"},
    "etag": "abc",
    "schema": {
        "fields": [
            {"name": "id", "type": "INTEGER", "mode": "REQUIRED", "description": "theirs"},
            {"name": "a", "type": "RECORD", "mode": "NULLABLE", "fields": [
                {"name": "X", "type": "INTEGER", "mode": "REQUIRED", "description": "theirs too"}]},
        ]
    },
}  # fmt: skip
GROWN = Field(
    "a", "RECORD", fields=(Field("x", "INT64"), Field("l", "RECORD", "REPEATED", (Field("n", "DATE"),)))
)


@pytest.fixture
def fake() -> FakeBigQuery:
    return FakeBigQuery(tables={"raw/tables/shop__orders": HELD})


def warehouse(fake: FakeBigQuery) -> Warehouse:
    return Warehouse(fake.client(), Target("acme", "shop", "orders", "orders", DESTINATION))


def test_a_record_grows_through_the_api_and_keeps_what_it_has(fake: FakeBigQuery) -> None:
    warehouse(fake).extend(TABLE, GROWN)

    method, _, body = fake.seen[-1]
    assert method == "PATCH"
    ours = {"name": "l", "type": "RECORD", "mode": "REPEATED"}
    (id_, a) = body["schema"]["fields"]
    assert id_ == HELD["schema"]["fields"][0]  # type: ignore[index]  # as written above
    assert a["fields"][0] == HELD["schema"]["fields"][1]["fields"][0]  # type: ignore[index]  # as written above
    assert {**ours, "fields": [{"name": "n", "type": "DATE", "mode": "NULLABLE"}]} == a["fields"][1]


def test_a_record_that_has_grown_already_is_left_alone(fake: FakeBigQuery) -> None:
    warehouse(fake).extend(TABLE, Field("a", "RECORD", fields=(Field("x", "INT64"),)))
    assert [method for method, _, _ in fake.seen] == ["GET"]


def test_a_table_that_changes_meanwhile_is_tried_again(fake: FakeBigQuery) -> None:
    fake.faults[("PATCH", "shop__orders")] = refusal(412, "conditionNotMet", "Precondition check failed.")
    with pytest.raises(TransientError, match="will be retried"):
        warehouse(fake).extend(TABLE, GROWN)
