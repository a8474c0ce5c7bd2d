"""Every staged Parquet column and every DDL statement obeys BigQuery's own rules, which the emulators do not know."""

from __future__ import annotations

import io
import itertools
import re
from typing import Any

import bigquery_rules as rules
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bigquery_rules import Rule

from etl_factory.landing.parts import PartWriter
from etl_factory.operators.quarantine import QUARANTINE
from etl_factory.schema import casting
from etl_factory.schema.contract import CLUSTERS, PARTITIONS, Contract, decide, shaped, widens
from etl_factory.schema.naming import column_name
from etl_factory.schema.records import DEEPEST
from etl_factory.schema.sanitize import RECORD, SOURCE_URI, Cleaning, plan_cleaning
from etl_factory.schema.types import KEY_TYPES, Field, decimal_type, staged_arrow
from etl_factory.schema.wanted import Wanted
from etl_factory.warehouse.ddl import HISTORY_TYPES, MARK_TYPES, METADATA_TYPES, ddl
from etl_factory.warehouse.sql import QUARANTINE_COLUMNS
from fakes import FakeLanding

TABLE = "acme-analytics.raw.shop__orders"
ODD_NAMES = [
    "Größe (m²)",
    "_TABLE_id",
    "_Partition",
    "2024",
    "???",
    "x" * 400,
    "__ROOT__",
    "_CHANGE_TYPE",
    "id",
]
ARROW = [
    pa.bool_(), pa.int8(), pa.int64(), pa.uint64(), pa.float32(), pa.float64(), pa.decimal128(38, 9),
    pa.decimal128(38, 10), pa.decimal256(76, 0), pa.string(), pa.large_string(), pa.binary(), pa.date32(), pa.date64(),
    pa.time32("s"), pa.time64("ns"), pa.timestamp("ns"), pa.timestamp("s", "Asia/Tokyo"), pa.json_(), pa.uuid(),
    pa.list_(pa.int64()), pa.struct([("a", pa.int64())]), pa.map_(pa.string(), pa.int64()),
    pa.dictionary(pa.int32(), pa.string()),
]  # fmt: skip


def test_every_rule_has_its_page() -> None:
    found = {name: rule.page for name, rule in vars(rules).items() if isinstance(rule, Rule)}
    assert len(found) > 10
    assert [
        name for name, page in found.items() if not page.startswith("https://cloud.google.com/bigquery/")
    ] == []


def planned(is_file: bool) -> tuple[Cleaning, tuple[dict[str, Any], ...]]:
    """Plan the load of a table with every type and every odd name."""
    names = ODD_NAMES + [f"column {i}" for i in range(len(ARROW))]
    declared = pa.schema([(name, ARROW[i % len(ARROW)]) for i, name in enumerate(names)])
    cleaning, decision = plan_cleaning(
        declared, Wanted(), None, Contract(TABLE), is_file=is_file, is_text=False
    )
    return cleaning, decision.ddl


def leaves(schema: pa.Schema) -> list[tuple[str, Any]]:
    """Write a part of a schema as a task does, and return its columns, and how they are compressed."""
    landing = FakeLanding()
    arrays = [pa.nulls(1, field.type) for field in schema]
    with PartWriter(landing, "gs://b/p", schema) as writer:
        writer.write(pa.RecordBatch.from_arrays(arrays, schema=schema))
    file = pq.ParquetFile(io.BytesIO(landing.objects[writer.parts[0].uri]))
    group = file.metadata.row_group(0)
    assert {group.column(i).compression for i in range(group.num_columns)} <= rules.COMPRESSIONS.value
    return [(file.schema.column(i).name, file.schema.column(i)) for i in range(len(schema))]


def assert_loadable(name: str, leaf: Any, staged_type: str) -> None:
    """Hold one Parquet column against what BigQuery loads into a column of that type."""
    wanted = rules.PARQUET[staged_type]
    assert leaf.physical_type == wanted.physical, name
    assert re.fullmatch(wanted.logical, str(leaf.logical_type)), f"{name}: {leaf.logical_type}"
    assert leaf.max_repetition_level == 0
    assert leaf.max_definition_level == 1
    assert leaf.path == name


@pytest.mark.parametrize("type_", sorted(rules.TYPES.value))
def test_the_staged_column_of_every_type(type_: str) -> None:
    field = Field("a", type_)
    ((name, leaf),) = leaves(pa.schema([("a", staged_arrow(field))]))
    assert_loadable(name, leaf, field.staged_type)
    assert field.to_api(staged=True)["mode"] == "NULLABLE"


@pytest.mark.parametrize("is_file", [False, True])
def test_every_staged_part(is_file: bool) -> None:
    cleaning, _ = planned(is_file)
    fields = {field.name: field for field in cleaning.staged}
    found = leaves(cleaning.arrow)
    assert [name for name, _ in found] == list(fields)
    for name, leaf in found:
        assert_loadable(name, leaf, fields[name].staged_type)
        if fields[name] not in (SOURCE_URI, RECORD):
            assert_legal(name)
    assert len(found) < rules.COLUMNS_PER_TABLE.value


def test_the_staged_parts_of_nested_columns() -> None:
    parts = tuple(Field(f"x{i}", type_) for i, type_ in enumerate(sorted(rules.TYPES.value)))
    field = Field("a", "RECORD", "REPEATED", (*parts, Field("l", "INT64", "REPEATED")))
    written = PartWriter(landing := FakeLanding(), "gs://b/p", pa.schema([("a", staged_arrow(field))]))
    with written as writer:
        writer.write(pa.RecordBatch.from_pylist([{"a": []}], schema=pa.schema([("a", staged_arrow(field))])))
    schema = pq.ParquetFile(io.BytesIO(landing.objects[written.parts[0].uri])).schema
    found = {schema.column(i).path: schema.column(i) for i in range(len(schema))}
    a_list = ".".join(("a", *rules.LISTS.value))
    assert list(found) == [f"{a_list}.{part.name}" for part in parts] + [f"{a_list}.l.list.element"]
    for part in parts:
        leaf, wanted = found[f"{a_list}.{part.name}"], rules.PARQUET[part.staged_type]
        assert leaf.physical_type == wanted.physical
        assert re.fullmatch(wanted.logical, str(leaf.logical_type))
    assert rules.RECORD_LEVELS.value == DEEPEST


def test_quarantined_rows() -> None:
    for name, leaf in leaves(QUARANTINE):
        assert_loadable(name, leaf, QUARANTINE_COLUMNS[name])
        assert_legal(name)


def test_json_is_never_staged_as_such() -> None:
    assert Field("a", "JSON").staged_type != "JSON"
    assert rules.JSON_FROM_PARQUET.value is False
    assert "JSON" not in rules.PARQUET


def assert_legal(name: str) -> None:
    """Hold a column's name against BigQuery's rules."""
    assert rules.NAME.value.fullmatch(name)
    assert not name.upper().startswith(rules.RESERVED.value)


COLUMN = re.compile(r"^  `([^`]+)` (\w+|STRUCT<.*>|ARRAY<.*>),?$", re.M)


def created(operation: dict[str, Any], own: dict[str, str]) -> dict[str, str]:
    """Return the columns that a CREATE TABLE names, with their types."""
    statement = ddl(TABLE, operation, METADATA_TYPES | own)
    assert "NOT NULL" not in statement
    body = statement.partition("(\n")[2].partition("\n)")[0]
    found = dict(COLUMN.findall(body))
    assert len(found) == len(body.splitlines())
    return found


@pytest.mark.parametrize("own", [*HISTORY_TYPES.values(), MARK_TYPES], ids=str)
def test_every_table_that_is_made(own: dict[str, str]) -> None:
    _, operations = planned(is_file=False)
    columns = created(operations[0], own)
    assert len(columns) == len(ODD_NAMES) + len(ARROW) + len(METADATA_TYPES | own)
    assert set(columns.values()) <= rules.TYPES.value
    assert len({name.lower() for name in columns}) == len(columns)
    for name in columns:
        assert_legal(name)


@pytest.mark.parametrize("type_", sorted(PARTITIONS))
def test_partitions(type_: str) -> None:
    decision = decide({"At": Field("at", type_)}, None, Contract(TABLE), is_text=False)
    (operation,) = shaped(decision, "At", (), TABLE)
    (written,) = re.findall(r"^PARTITION BY (.+)$", ddl(TABLE, operation), re.M)
    assert rules.PARTITION.value[written.replace("`at`", "{}")] == type_


def test_nothing_else_is_partitioned_or_clustered_by() -> None:
    assert set(PARTITIONS) == set(rules.PARTITION.value.values())
    assert set(CLUSTERS) == rules.CLUSTER.value


def test_columns_are_widened_as_bigquery_does_and_no_digit_is_lost() -> None:
    pairs = set(itertools.permutations(rules.TYPES.value, 2))
    ours = {pair for pair in pairs if widens(*pair)}
    assert ours < rules.ALTERED.value
    assert rules.ALTERED.value - ours == {pair for pair in rules.ALTERED.value if pair[1] == "FLOAT64"}
    for before, after in ours:
        assert ddl(TABLE, {"op": "widen", "name": "a", "type": after}).endswith(f"SET DATA TYPE {after}"), (
            before
        )


@pytest.mark.parametrize(
    "field", [Field("a", "INT64", "REQUIRED"), Field("a", "STRING", "REPEATED")], ids=str
)
def test_added_columns_may_be_null(field: Field) -> None:
    statement = ddl(TABLE, {"op": "add", "field": field.to_json()})
    assert rules.ADDED.value.fullmatch(statement)


def test_required_only_ever_ends() -> None:
    published = (Field("a", "INT64", "REQUIRED"), Field("b", "INT64", "REQUIRED"))
    decision = decide({"a": Field("a", "INT64")}, published, Contract(TABLE), is_text=False)
    assert [operation["op"] for operation in decision.ddl] == ["relax", "relax"]
    for operation in decision.ddl:
        statement = ddl(TABLE, operation)
        assert "DROP NOT NULL" in statement
        assert "SET NOT NULL" not in statement


@pytest.mark.parametrize(
    ("precision", "scale"), list(itertools.product((1, 9, 29, 30, 38, 39, 76), (0, 9, 10, 38)))
)
def test_decimals_fit_their_type(precision: int, scale: int) -> None:
    limits: dict[str, tuple[int, int]] = rules.DECIMALS.value
    holds = [name for name, (whole, part) in limits.items() if precision - scale <= whole and scale <= part]
    assert decimal_type(precision, scale) == (holds[0] if holds else "STRING")


def test_the_calendar() -> None:
    first, last = casting.DAYS
    assert (first, last) == (rules.FIRST_DAY.value, rules.LAST_DAY.value)


def test_keys_can_be_compared() -> None:
    assert rules.GROUPABLE.value >= KEY_TYPES


def test_odd_names_are_there() -> None:
    assert not any(rules.NAME.value.fullmatch(name) for name in ODD_NAMES[3:6])
    assert len({column_name(name) for name in ODD_NAMES}) == len(ODD_NAMES)
