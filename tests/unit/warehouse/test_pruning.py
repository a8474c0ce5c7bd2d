"""What a merge scans: constants on the partition column, or the key and partition columns alone."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from publications import BASE, BY_DAY, DAYS, KEYED, PUBLICATIONS, by_day, staged

from etl_factory.schema.types import Field
from etl_factory.warehouse.pruning import MOST_SPANS, Partitioning, idle, partitioning, pruned, touched
from etl_factory.warehouse.publication import Publication, StagedColumn
from etl_factory.warehouse.sql import script

PARTITIONED = {name: to for name, to in PUBLICATIONS.items() if to.partitions}

SCAN = re.compile(rf"(?:FROM|JOIN|UPDATE) `{re.escape(BASE.table)}`")


def statements(publication: Publication) -> list[str]:
    return script(publication).split(";\n\n")


def scans(publication: Publication) -> list[str]:
    """Return the statements that scan the published table."""
    return [part for part in statements(publication) if SCAN.search(part)]


def is_bounded(part: str, publication: Publication) -> bool:
    """Tell whether each scan of the published table in a statement is filtered by constants."""
    table, condition = re.escape(f"`{publication.table}` AS t"), re.escape(publication.partitions)
    filtered = re.findall(rf"\(SELECT [^*()]* FROM {table}\n  WHERE {condition}\)", part)
    filtered += re.findall(rf"^UPDATE {table} .*\n  AND \({condition}\)$", part, re.DOTALL)
    return len(filtered) == len(SCAN.findall(part))


def columns(part: str) -> set[str]:
    """Return the columns of the published table that a statement reads."""
    return set(re.findall(r"\bt\.`?(\w+)", part))


@pytest.mark.parametrize("name", PARTITIONED)
def test_every_scan_is_bounded_by_constants_or_reads_key_and_partition_columns_alone(name: str) -> None:
    publication = PARTITIONED[name]
    cheap = {*publication.keys, BY_DAY.column}
    unbounded = [part for part in scans(publication) if not is_bounded(part, publication)]

    if publication.finds_deletes:  # which compares every published key
        cheap.add("_etl_deleted_at")
    assert scans(publication)
    assert [part for part in unbounded if "*" in part.replace("COUNT(*)", "") or columns(part) - cheap] == []


@pytest.mark.parametrize("name", PARTITIONED)
def test_rows_are_compared_and_updated_within_the_partitions(name: str) -> None:
    publication = PARTITIONED[name]
    costly = [part for part in scans(publication) if "TO_JSON_STRING" in part or "SET\n" in part]

    assert len(costly) == 2
    assert all(is_bounded(part, publication) for part in costly)


def test_without_pruning_the_same_scans_are_found_unbounded() -> None:
    """Else the tests above would prove nothing."""
    costly = [part for part in scans(KEYED) if "TO_JSON_STRING" in part or "SET\n" in part]

    assert len(costly) == 2
    assert not any(is_bounded(part, by_day(KEYED)) for part in costly)


def test_the_condition_is_of_constants_on_the_column_itself() -> None:
    assert by_day(KEYED).partitions == (
        "t.`updated_at` >= TIMESTAMP '2025-01-01 00:00:00+00:00'"
        " AND t.`updated_at` < TIMESTAMP '2025-01-02 00:00:00+00:00'"
        " OR t.`updated_at` >= TIMESTAMP '2025-05-31 00:00:00+00:00'"
        " AND t.`updated_at` < TIMESTAMP '2025-06-02 00:00:00+00:00'"
        " OR t.`updated_at` IS NULL"
    )


@pytest.mark.parametrize(
    ("type_", "unit", "begin", "end"),
    [
        ("DATE", "DAY", date(2024, 2, 28), "DATE '2024-02-29'"),
        ("DATE", "MONTH", date(2024, 12, 1), "DATE '2025-01-01'"),
        ("DATE", "MONTH", date(2024, 2, 1), "DATE '2024-03-01'"),
        ("DATE", "YEAR", date(2024, 1, 1), "DATE '2025-01-01'"),
        ("DATETIME", "HOUR", datetime(2024, 12, 31, 23), "DATETIME '2025-01-01 00:00:00'"),
        ("DATETIME", "DAY", datetime(1, 1, 1), "DATETIME '0001-01-02 00:00:00'"),
        ("TIMESTAMP", "MONTH", datetime(2024, 1, 1, tzinfo=UTC), "TIMESTAMP '2024-02-01 00:00:00+00:00'"),
        ("DATE", "DAY", date(9999, 12, 31), ""),
        ("DATE", "YEAR", date(9999, 1, 1), ""),
        ("DATETIME", "HOUR", datetime(9999, 12, 31, 23), ""),
        ("TIMESTAMP", "MONTH", datetime(9999, 12, 1, tzinfo=UTC), ""),
    ],
)
def test_a_partition_ends_where_the_next_begins(type_: str, unit: str, begin: date, end: str) -> None:
    spelt = begin.isoformat(sep=" ") if isinstance(begin, datetime) else begin.isoformat()
    upper = f" AND t.`updated_at` < {end}" if end else ""

    condition = pruned(KEYED, Partitioning("updated_at", type_, unit), [begin]).partitions
    assert condition == f"t.`updated_at` >= {type_} '{spelt}'{upper}"


def test_partitions_that_follow_each_other_are_one_span() -> None:
    months = [date(2025, month, 1) for month in (3, 1, 2, 12)]

    assert pruned(KEYED, Partitioning("at", "DATE", "MONTH"), months).partitions == (
        "t.`at` >= DATE '2025-01-01' AND t.`at` < DATE '2025-04-01'"
        " OR t.`at` >= DATE '2025-12-01' AND t.`at` < DATE '2026-01-01'"
    )


@pytest.mark.parametrize(("spans", "told"), [(MOST_SPANS, MOST_SPANS), (MOST_SPANS + 1, 1)])
def test_too_many_spans_become_one_that_holds_them_all(spans: int, told: int) -> None:
    days = [date(2020, 1, 1) + timedelta(days=2 * number) for number in range(spans)]
    condition = pruned(KEYED, Partitioning("at", "DATE", "DAY"), [None, *days]).partitions

    assert condition.startswith("t.`at` >= DATE '2020-01-01' AND ")
    assert condition.endswith(f"< DATE '{days[-1] + timedelta(days=1)}' OR t.`at` IS NULL")
    assert condition.count("DATE") == 2 * told


@pytest.mark.parametrize(
    ("keys", "begins", "asserts"),
    [
        (("id",), DAYS, True),
        (("id",), (None,), True),
        (("id", "updated_at"), DAYS, False),
    ],
)
def test_only_what_may_be_wrong_is_asserted(
    keys: tuple[str, ...], begins: Collection[Any], asserts: bool
) -> None:
    publication = pruned(replace(KEYED, keys=keys), BY_DAY, begins)
    found = [number for number, part in enumerate(statements(publication)) if "partitions moved" in part]

    assert bool(found) is asserts
    if asserts:  # before any row is judged, and a row without a day is elsewhere too
        judged = next(n for n, part in enumerate(statements(publication)) if "TABLE _judged" in part)
        assert found == [judged - 1]
        assert f"({publication.partitions}) IS NOT TRUE) = 0" in statements(publication)[found[0]]


def test_nothing_is_scanned_where_nothing_is_staged() -> None:
    publication = idle(KEYED)

    assert "partitions moved" not in script(publication)
    assert all(is_bounded(part, publication) for part in scans(publication))


def test_what_is_touched_is_found_by_key_and_partition_columns() -> None:
    assert touched(KEYED, BY_DAY) == (
        f"SELECT DISTINCT TIMESTAMP_TRUNC(s.`updated_at`, DAY) AS part FROM `{BASE.staging}` AS s\n"
        "UNION DISTINCT\n"
        f"SELECT TIMESTAMP_TRUNC(t.`updated_at`, DAY) AS part FROM `{BASE.table}` AS t\n"
        f"JOIN (SELECT DISTINCT s.`id` AS `id` FROM `{BASE.staging}` AS s) AS s ON s.`id` = t.`id`"
    )


def test_a_key_that_holds_the_partition_column_asks_the_staged_rows_alone() -> None:
    assert touched(replace(KEYED, keys=("updated_at", "id")), BY_DAY) == (
        f"SELECT DISTINCT TIMESTAMP_TRUNC(s.`updated_at`, DAY) AS part FROM `{BASE.staging}` AS s"
    )


def test_staged_values_are_taken_as_they_will_be_published() -> None:
    own = (
        StagedColumn(Field("id", "STRING"), "Id", "INT64"),
        StagedColumn(Field("at", "DATE"), "At", "STRING"),
    )
    sql = touched(replace(KEYED, columns=own), Partitioning("at", "DATE", "MONTH"))

    assert "DATE_TRUNC(CAST(s.`At` AS DATE), MONTH) AS part" in sql
    assert "SELECT DISTINCT CAST(s.`Id` AS STRING) AS `id` FROM" in sql


def test_a_partition_column_that_left_the_source_is_null_from_now_on() -> None:
    sql = touched(replace(KEYED, columns=staged(Field("id", "INT64"))), BY_DAY)

    assert "SELECT DISTINCT TIMESTAMP_TRUNC(CAST(NULL AS TIMESTAMP), DAY) AS part" in sql


def table(**by: Any) -> Any:
    fields = [
        SimpleNamespace(name=name, field_type=type_) for name, type_ in (("id", "INT64"), ("At", "DATE"))
    ]
    return SimpleNamespace(schema=fields, time_partitioning=SimpleNamespace(**by) if by else None)


def test_a_table_says_how_it_is_partitioned() -> None:
    assert partitioning(table(field="at", type_="MONTH")) == Partitioning("At", "DATE", "MONTH")


@pytest.mark.parametrize(
    "by",
    [{}, {"field": None, "type_": "DAY"}, {"field": "_etl_loaded_at", "type_": "DAY"}],
    ids=["not", "by the time of loading", "by a column of ours"],
)
def test_other_tables_are_scanned_whole(by: dict[str, Any]) -> None:
    assert partitioning(table(**by)) is None


def test_a_hostile_name_stays_inside_its_quotes() -> None:
    name = "a`, (SELECT 1)) --\n'\\"
    hostile, plain = (
        touched(replace(KEYED, columns=staged(Field(n, "DATE")), keys=(n,)), Partitioning(n, "DATE", "DAY"))
        + pruned(KEYED, Partitioning(n, "DATE", "DAY"), [date(2025, 1, 1)]).partitions
        for n in (name, "a")
    )

    assert re.sub(r"`(\\.|[^`\\])*`", " ", hostile) == re.sub(r"`(\\.|[^`\\])*`", " ", plain)


def test_an_append_compares_with_a_window_of_constants() -> None:
    """So it is bounded where the table is partitioned by the cursor."""
    publication = PUBLICATIONS["transactional_without_key"]
    (scanned,) = scans(publication)

    assert f"FROM `{publication.table}` AS t\nWHERE {publication.window}) GROUP BY" in scanned
    assert "@" not in publication.window
