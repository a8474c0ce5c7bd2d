"""What is written into a BigQuery statement: names and queries that would end their own quotes, and values."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from etl_factory.errors import ConfigError
from etl_factory.sources.bigquery import literal, predicate, quoted, relation
from etl_factory.windows import CursorValue, Window


@pytest.mark.parametrize(
    ("table", "written"),
    [
        ("acme-analytics.shop.orders", "`acme-analytics.shop.orders`"),
        ("example.com:acme.shop.orders", "`example.com:acme.shop.orders`"),
        ("`acme-analytics.shop.orders`", "`acme-analytics.shop.orders`"),
        ("`acme-analytics`.shop.`daily 2024`", "`acme-analytics.shop.daily 2024`"),
        ("acme.shop.zamówienia", "`acme.shop.zamówienia`"),
        ("a.b.c` WHERE FALSE; DROP TABLE `a.b.c", "`a.b.c WHERE FALSE; DROP TABLE a.b.c`"),
        ("a.b.c\n-- x", "`a.b.c\\n-- x`"),
        ("a.b.c\\", "`a.b.c\\\\`"),
    ],
)
def test_a_table_is_one_quoted_name(table: str, written: str) -> None:
    assert relation(table, None) == written


@pytest.mark.parametrize(
    ("query", "written"),
    [
        ("SELECT 1", "(SELECT 1)"),
        ("  SELECT 1 ;\n", "(  SELECT 1)"),
        ("SELECT 1; -- all of it", "(SELECT 1)"),
        ("SELECT 1 -- all of it", "(SELECT 1)"),
        ("SELECT 1 # all of it; )", "(SELECT 1)"),
        ("SELECT 1 /* ) ; */ ;; ", "(SELECT 1)"),
        ("SELECT (1) /* ; ) */ + 2", "(SELECT (1) /* ; ) */ + 2)"),
        ("SELECT 1 -- ;)\n+ 2", "(SELECT 1 -- ;)\n+ 2)"),
        ("SELECT ';)--' AS x", "(SELECT ';)--' AS x)"),
        (r"SELECT 'it\'s ;)' AS x;", r"(SELECT 'it\'s ;)' AS x)"),
        (r'SELECT r"\";)" AS x;', r'(SELECT r"\";)" AS x)'),
        ("SELECT '''a ' ;) \n''' AS x;", "(SELECT '''a ' ;) \n''' AS x)"),
        ("SELECT `a;)` FROM t;", "(SELECT `a;)` FROM t)"),
    ],
)
def test_a_query_is_one_bracketed_statement(query: str, written: str) -> None:
    assert relation(None, query) == written


@pytest.mark.parametrize(
    ("query", "beyond"),
    [
        ("SELECT 1; DROP TABLE t", "DROP TABLE t"),
        ("SELECT 1 /* ; */ ; SELECT 2", "SELECT 2"),
        ("SELECT 1) AS q; DROP TABLE t --", ") AS q; DROP TABLE t --"),
        ("SELECT 1); DROP TABLE t; SELECT * FROM (SELECT 2", "); DROP TABLE t; SELECT * FROM (SELECT 2"),
        ("SELECT 1) UNION ALL (SELECT 2", ") UNION ALL (SELECT 2"),
        ("SELECT '\\\\'); DROP TABLE t; SELECT ('", "); DROP TABLE t; SELECT ('"),
    ],
)
def test_a_query_that_ends_early_is_refused(query: str, beyond: str) -> None:
    with pytest.raises(ConfigError) as raised:
        relation(None, query)

    assert str(raised.value) == f"query: query must be one SELECT: it ends before {beyond!r}"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("updated_at", "`updated_at`"),
        ("Ważne: kiedy?", "`Ważne: kiedy?`"),
        ("a` OR TRUE OR `b", "`a\\` OR TRUE OR \\`b`"),
        ("a\\` --", "`a\\\\\\` --`"),
        ("a\r\nb", "`a\\r\\nb`"),
    ],
)
def test_a_name_cannot_end_its_own_quotes(name: str, written: str) -> None:
    assert quoted(name) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (-(2**63), "-9223372036854775808"),
        (date(1, 1, 1), "DATE '0001-01-01'"),
        (datetime(2024, 3, 31, 2, 30, 0, 1), "DATETIME '2024-03-31 02:30:00.000001'"),
        (datetime(2024, 6, 1, tzinfo=UTC), "TIMESTAMP '2024-06-01 00:00:00+00:00'"),
        (
            datetime(2024, 6, 1, tzinfo=timezone(timedelta(hours=1, seconds=24))),
            "TIMESTAMP '2024-05-31 22:59:36+00:00'",
        ),
    ],
)
def test_a_value_is_a_typed_literal(value: CursorValue, written: str) -> None:
    assert literal(value) == written


@pytest.mark.parametrize(
    ("window", "written"),
    [
        (None, ""),
        (Window("integer", None, 9), " WHERE (`a\\`b` < 9) OR `a\\`b` IS NULL"),
        (Window("integer", -5, 9), " WHERE (`a\\`b` >= -5 AND `a\\`b` < 9) OR `a\\`b` IS NULL"),
    ],
)
def test_a_window_is_half_open_with_the_null_bucket(window: Window | None, written: str) -> None:
    assert predicate("a`b", window) == written
