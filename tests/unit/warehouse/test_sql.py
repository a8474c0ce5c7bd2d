"""The publish script: every kind of it compared with its snapshot, and held to BigQuery's rules.

ETL_FACTORY_UPDATE_SNAPSHOTS=1 writes the snapshots anew; look at what changed before you commit it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from publications import BASE, FIELDS, KEYED, PUBLICATIONS, staged

from etl_factory.operators import parameters
from etl_factory.schema.types import Field
from etl_factory.warehouse.ddl import MARK_TYPES
from etl_factory.warehouse.history import INSERTED
from etl_factory.warehouse.ledger import COLUMNS
from etl_factory.warehouse.publication import Publication, StagedColumn
from etl_factory.warehouse.sql import FILE_COLUMNS, LOAD_COLUMNS, checks, script

SNAPSHOTS = Path(__file__).parent / "snapshots"
# https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical#reserved_keywords
RESERVED = set(
    re.findall(
        r"\w+",
        """ALL AND ANY ARRAY AS ASC ASSERT_ROWS_MODIFIED AT BETWEEN BY CASE CAST COLLATE CONTAINS CREATE CROSS CUBE
        CURRENT DEFAULT DEFINE DESC DISTINCT ELSE END ENUM ESCAPE EXCEPT EXCLUDE EXISTS EXTRACT FALSE FETCH FOLLOWING
        FOR FROM FULL GROUP GROUPING GROUPS HASH HAVING IF IGNORE IN INNER INTERSECT INTERVAL INTO IS JOIN LATERAL
        LEFT LIKE LIMIT LOOKUP MERGE NATURAL NEW NO NOT NULL NULLS OF ON OR ORDER OUTER OVER PARTITION PRECEDING
        PROTO QUALIFY RANGE RECURSIVE RESPECT RIGHT ROLLUP ROWS SELECT SET SOME STRUCT TABLESAMPLE THEN TO TREAT
        TRUE UNBOUNDED UNION UNNEST USING WHEN WHERE WINDOW WITH WITHIN""",
    )
)
EVERY = pytest.mark.parametrize("name", PUBLICATIONS)


def statements(publication: Publication) -> list[str]:
    """Split a script; nothing in it holds a semicolon and a blank line but its own."""
    return [part.removesuffix(";") for part in script(publication).split(";\n\n")]


def bare(sql: str) -> str:
    """Return the SQL without quoted names and texts."""
    return re.sub(r"`(\\.|[^`\\])*`|'(\\.|[^'\\])*'", " ", sql)


@EVERY
def test_snapshot(name: str) -> None:
    file = SNAPSHOTS / f"{name}.sql"
    text = script(PUBLICATIONS[name]) + "\n"
    if os.environ.get("ETL_FACTORY_UPDATE_SNAPSHOTS"):
        file.write_text(text)

    assert text == file.read_text()


def test_no_snapshot_is_left_over() -> None:
    assert {file.stem for file in SNAPSHOTS.glob("*.sql")} == {*PUBLICATIONS, "tables"}


@EVERY
def test_one_transaction_holds_everything(name: str) -> None:
    parts = statements(PUBLICATIONS[name])

    assert (parts[0], parts[-1]) == ("BEGIN TRANSACTION", "COMMIT TRANSACTION")
    assert not any("TRANSACTION" in part for part in parts[1:-1])


@EVERY
def test_a_transaction_holds_only_what_bigquery_allows_in_it(name: str) -> None:
    allowed = re.compile(r"(UPDATE|INSERT INTO|DELETE FROM|ASSERT|CREATE TEMP TABLE) ")

    assert [part for part in statements(PUBLICATIONS[name])[1:-1] if not allowed.match(part)] == []


@EVERY
def test_a_temporary_table_is_made_once_and_before_it_is_read(name: str) -> None:
    made: list[str] = []
    for part in statements(PUBLICATIONS[name]):
        new = re.match(r"CREATE TEMP TABLE (\w+)", part)
        read = set(re.findall(r"(?:FROM|JOIN) (_\w+)", bare(part)))
        assert read <= set(made)
        made += [new[1]] if new else []

    assert len(made) == len(set(made))


@EVERY
def test_the_head_moves_first_and_only_from_the_expected_version(name: str) -> None:
    publication = PUBLICATIONS[name]
    head, guard = statements(publication)[1:3]

    assert head.startswith(f"UPDATE `{publication.ledger}` SET version = version + 1")
    assert head.endswith("WHERE kind = 'head' AND version = @expected")
    assert guard == "ASSERT @@row_count = 1 AS 'etl-factory: head moved'"


@EVERY
def test_every_count_is_asserted_right_after_its_statement(name: str) -> None:
    """`@@row_count` is the last statement's, so nothing may stand between."""
    parts = statements(PUBLICATIONS[name])
    reads = [i for i, part in enumerate(parts) if "@@row_count" in part]

    assert reads
    assert all(re.match(r"UPDATE|INSERT|DELETE", parts[i - 1]) for i in reads)


@EVERY
def test_rows_are_accounted_for(name: str) -> None:
    publication = PUBLICATIONS[name]
    asserted = [part for part in statements(publication) if part.startswith("ASSERT")]
    inserts = f"INSERT INTO `{publication.table}`"
    parts = statements(publication)
    after = parts[next(i for i, part in enumerate(parts) if part.startswith(inserts)) + 1]

    assert (
        "ASSERT (SELECT COUNT(*) FROM _judged) = @rows_staged AS 'etl-factory: unbalanced, staged rows'"
        in asserted
    )
    written = "IN ('inserted', 'updated')" if publication.strategy == "versions" else "= 'inserted'"
    assert after == (
        f"ASSERT @@row_count = (SELECT COUNT(*) FROM _judged WHERE _etl_action {written})"
        " AS 'etl-factory: unbalanced, inserted rows'"
    )
    assert any("etl-factory: too many bad rows" in part for part in asserted)
    if publication.replays_rows:  # what stays bad is in quarantine already
        assert any("etl-factory: quarantine changed" in part for part in asserted)
        return
    assert any(
        "@rows_quarantined AS 'etl-factory: unbalanced, quarantined rows'" in part for part in asserted
    )


@EVERY
def test_no_reserved_word_stands_as_a_name(name: str) -> None:
    sql = bare(script(PUBLICATIONS[name]))
    listed = [
        word for names in re.findall(r"INSERT INTO\s+\(([^)]*)\)", sql) for word in re.findall(r"\w+", names)
    ]
    named = re.findall(r"\bAS (?!SELECT|INT64|STRING|TIMESTAMP|BIGNUMERIC)(\w+)", sql)
    used = re.findall(r"\b\w\.(\w+)", sql)

    assert RESERVED & {word.upper() for word in (*listed, *named, *used)} == set()


@EVERY
def test_every_parameter_has_a_value(name: str) -> None:
    """`operators.parameters` gives the values: each name must stand there."""
    asked = set(re.findall(r"(?<!@)@([a-z_]+)", script(PUBLICATIONS[name])))
    given = set(re.findall(r'"(\w+)"', Path(parameters.__file__).read_text()))

    assert asked - given == set()


def test_the_ledger_rows_name_columns_of_the_ledger() -> None:
    assert set(LOAD_COLUMNS) <= set(COLUMNS)
    assert set(FILE_COLUMNS) <= set(COLUMNS)


def test_values_never_stand_in_the_script() -> None:
    """Rows' and runs' values are parameters; constants bound only which part of the table is scanned."""
    literals = {
        text
        for name in PUBLICATIONS
        for text in re.findall(r"'((?:\\.|[^'\\])*)'", script(PUBLICATIONS[name]))
    }
    known = {"head", "load", "file", "replayed", "row", "inserted", "updated", "unchanged", "superseded",
             "quarantined", "exact", "NULL", "", "the primary key is NULL", "id", "id, updated_at",
             "2025-06-01 12:00:00+00:00", "2025-05-31 00:00:00+00:00", "2025-06-02 00:00:00+00:00",
             "2025-01-01 00:00:00+00:00", "2025-01-02 00:00:00+00:00"}  # fmt: skip

    assert {text for text in literals - known if not text.startswith("etl-factory: ")} == set()


HOSTILE = "a`, (SELECT 1)) --\n'\\żółć 🍕\0\r"


@pytest.mark.parametrize("strategy", ["merge", "append", "append_files", "replace", "snapshot", "versions"])
def test_hostile_names_stay_inside_their_quotes(strategy: str) -> None:
    plain = _renamed("a", strategy)
    hostile = _renamed(HOSTILE, strategy)

    assert bare(hostile) == bare(plain)
    assert bare(_renamed(HOSTILE, strategy, all_checks)) == bare(_renamed("a", strategy, all_checks))
    assert "\0" not in hostile
    assert hostile.count("\n") == plain.count("\n")


def all_checks(publication: Publication) -> str:
    """Return what is checked before DDL of a table that has all columns already."""
    return checks(
        publication, (*publication.names, *MARK_TYPES, *INSERTED["snapshot"], *INSERTED["versions"])
    )


def _renamed(name: str, strategy: str, render: Callable[[Publication], str] = script) -> str:
    return render(
        replace(
            BASE,
            table=f"p.d.{name}",
            ledger=f"p.e.{name}",
            quarantine=f"p.q.{name}",
            staging=f"p.s.{name}",
            quarantine_staging=f"p.x.{name}",
            strategy=strategy,  # type: ignore[arg-type]  # one of the strategies
            columns=(StagedColumn(Field(name, "STRING"), f"raw {name}", "STRING"),),
            keys=(name,) if strategy != "append" else (),
            cursor=name,
            is_file=strategy == "append_files",
            absent=(f"old {name}",),
            deletes="mark",
            keys_staging=f"p.k.{name}",
        )
    )


@pytest.mark.parametrize(
    ("field", "staged_type", "expression"),
    [
        (Field("a", "STRING"), "STRING", "s.`a`"),
        (Field("a", "BIGNUMERIC"), "STRING", "CAST(s.`a` AS BIGNUMERIC)"),
        (Field("a", "INTERVAL"), "STRING", "CAST(s.`a` AS INTERVAL)"),
        (Field("a", "JSON"), "STRING", "PARSE_JSON(s.`a`, wide_number_mode=>'exact')"),
        (Field("a", "JSON"), "JSON", "s.`a`"),
        (Field("a", "GEOGRAPHY"), "STRING", "ST_GEOGFROM(s.`a`)"),
        (Field("a", "STRING"), "JSON", "TO_JSON_STRING(s.`a`)"),
        (Field("a", "STRING"), "RECORD", "TO_JSON_STRING(s.`a`)"),
        (Field("a", "RECORD", "REPEATED"), "RECORD", "s.`a`"),
    ],
)
def test_a_staged_value_becomes_the_published_type(field: Field, staged_type: str, expression: str) -> None:
    sql = script(replace(BASE, columns=(StagedColumn(field, "a", staged_type),)))

    assert f"CREATE TEMP TABLE _staged AS SELECT\n  {expression} AS `a`,\n" in sql


@pytest.mark.parametrize(
    ("field", "compared"),
    [
        (Field("a", "FLOAT64"), "STRUCT(s.`a` AS `a`)"),
        (Field("a", "JSON"), "STRUCT(IF(s.`a` IS NULL, NULL, TO_JSON_STRING(s.`a`)) AS `a`)"),
        (Field("a", "JSON", "REPEATED"), "STRUCT(s.`a` AS `a`)"),
        (Field("a", "GEOGRAPHY"), "STRUCT(ST_ASTEXT(s.`a`) AS `a`)"),
    ],
)
def test_rows_are_compared_by_text_that_tells_null_from_json_null(field: Field, compared: str) -> None:
    assert f"SHA256(TO_JSON_STRING({compared}))" in script(replace(BASE, columns=staged(field)))


def test_a_column_that_the_data_lacks_takes_no_part() -> None:
    sql = script(replace(KEYED, columns=staged(*FIELDS[:2])))

    assert "price" not in sql
    assert "SET\n  `id` = s.`id`,\n  `updated_at` = s.`updated_at`,\n  _etl_load_id = @load_id" in sql


def test_an_updated_row_keeps_nothing_of_a_column_that_left() -> None:
    sql = script(PUBLICATIONS["transactional_with_key_and_a_column_that_left"])

    assert "  `details` = NULL,\n  `Old tags` = NULL,\n  _etl_load_id = @load_id" in sql
    assert sql.count("`Old tags`") == 1


def test_what_is_checked_before_ddl_changes_nothing_and_asks_no_other_parameters() -> None:
    for publication in PUBLICATIONS.values():
        sql = all_checks(publication)

        assert all(part.startswith("ASSERT (SELECT ") for part in sql.removesuffix(";").split(";\n\n"))
        assert set(re.findall(r"@(\w+)", sql)) <= set(re.findall(r"@(\w+)", script(publication)))
        assert set(re.findall(r"AS '(.*?)'", sql)) <= set(re.findall(r"AS '(.*?)'", script(publication)))


def test_keys_are_checked_before_ddl_by_their_staged_names() -> None:
    sql = all_checks(PUBLICATIONS["staged_in_bigquery_under_other_names_and_types"])

    assert "(SELECT COUNTIF(s.`Order No` IS NULL) FROM `" in sql


def test_a_null_key_never_matches_and_is_quarantined_first() -> None:
    sql = script(PUBLICATIONS["transactional_with_two_keys_and_bad_rows"])

    assert "CASE\n  WHEN s.`id` IS NULL OR s.`updated_at` IS NULL THEN 'quarantined'\n" in sql
    assert "ON s._etl_rank = 1 AND s.`id` = t.`id` AND s.`updated_at` = t.`updated_at`\n" in sql


def test_the_later_snapshot_wins_and_within_one_the_greater_cursor() -> None:
    sql = script(KEYED)

    assert (
        "WHEN NOT (o.snapshot_at IS NULL OR @snapshot_at > o.snapshot_at OR (@snapshot_at = o.snapshot_at AND"
        " COALESCE(s.`updated_at` >= t.`updated_at`, TRUE))) THEN 'superseded'"
    ) in sql


def test_nothing_is_deleted_by_window() -> None:
    deletes = {
        name: [
            part for part in statements(publication) if part.startswith(f"DELETE FROM `{publication.table}`")
        ]
        for name, publication in PUBLICATIONS.items()
    }

    assert {name for name, found in deletes.items() if found} == {
        name
        for name, publication in PUBLICATIONS.items()
        if not publication.replays_rows
        and (
            publication.strategy in ("replace", "append_files", "snapshot") or publication.deletes == "remove"
        )
    }
    assert not any(
        re.search("updated_at` [<>]|@watermark", part) for found in deletes.values() for part in found
    )


def test_the_keys_are_cast_as_the_rows_are() -> None:
    """Else no published key would equal them."""
    columns = (
        StagedColumn(Field("number", "STRING"), "Order No", "INT64"),
        *staged(Field("part", "BIGNUMERIC")),
    )
    sql = script(
        replace(
            BASE,
            strategy="merge",
            columns=columns,
            keys=("number", "part"),
            deletes="remove",
            keys_staging="p.k",
        )
    )
    cast = "CAST(s.`Order No` AS STRING) AS `number`,{}CAST(s.`part` AS BIGNUMERIC) AS `part`"

    assert f"_staged AS SELECT\n  {cast.format(chr(10) + '  ')}" in sql
    assert f"_here AS SELECT DISTINCT {cast.format(' ')} FROM `p.k` AS s" in sql


def test_the_brake_comes_before_anything_goes_and_tells_both_numbers() -> None:
    brake = (
        "ASSERT (SELECT IF(gone <= ROUND(@max_deletes * published, 6), TRUE,"
        " ERROR(FORMAT('etl-factory: too many deletes, %d of %d', gone, published)))"
    )
    for name in ("transactional_with_deletes_marked", "transactional_with_deletes_removed"):
        parts = statements(PUBLICATIONS[name])
        held = next(i for i, part in enumerate(parts) if part.startswith(brake))
        gone = next(i for i, part in enumerate(parts) if "NOT EXISTS (SELECT 1 FROM _here" in part)

        assert held < gone
        assert brake in all_checks(PUBLICATIONS[name])


def test_a_brake_before_ddl_asks_only_for_columns_that_are_there() -> None:
    marked, versions = PUBLICATIONS["transactional_with_deletes_marked"], PUBLICATIONS["catalog_of_versions"]

    assert "_etl_deleted_at" not in checks(marked, marked.names)
    assert "too many deletes" not in checks(marked, ("updated_at",))
    assert "shrunk" not in checks(versions, versions.names)
    assert "shrunk" in all_checks(versions)


def test_without_the_sources_keys_nothing_is_known_to_be_gone() -> None:
    sql = script(PUBLICATIONS["backfill_with_deletes_marked"])

    assert "_gone" not in sql
    assert "SET _etl_deleted_at = @loaded_at" not in sql
    assert "SET _etl_deleted_at = NULL\nFROM _here AS h WHERE h.`id` = t.`id`" in sql


def test_an_update_from_a_table_meets_each_row_once() -> None:
    """BigQuery refuses an UPDATE that matches one row with two: so keys are distinct, and rows ranked."""
    for publication in PUBLICATIONS.values():
        sources = re.findall(r"UPDATE [^;]*\nFROM (\w+) AS \w WHERE ([^;]*)", script(publication))

        assert all(
            (name == "_here" and "_here AS SELECT DISTINCT" in script(publication))
            or (name == "_judged" and "s._etl_action = 'updated'" in condition)
            for name, condition in sources
        )
