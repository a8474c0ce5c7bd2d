"""What becomes of published rows that are gone at the source, and of marked rows that are there again.

The staging table `keys_staging` holds the key of every row at the source, read in the snapshot of the data.
NULL equals nothing, so a key with a NULL in it, here or there, is never taken for gone.
A message with numbers in it: https://cloud.google.com/bigquery/docs/reference/standard-sql/debugging_functions#error
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from etl_factory.warehouse.ddl import DELETED_AT
from etl_factory.warehouse.judgement import UNBALANCED, check, same_keys, staged_expression, within
from etl_factory.warehouse.publication import Publication
from etl_factory.warehouse.quoting import identifier, text

TOO_MANY_DELETES = "etl-factory: too many deletes"


def deletes(to: Publication) -> Iterable[str]:
    """Remove or mark what is gone, and take the mark off what is there again: fills `_gone` and `_restored`."""
    yield f"CREATE TEMP TABLE _here AS {_here(to)}"
    if to.finds_deletes:
        unmarked = f"\nWHERE t.{DELETED_AT} IS NULL" if to.marks else ""
        yield f"CREATE TEMP TABLE _gone AS {_counted(to, '_here')}{unmarked}"
        yield _brake("_gone")
        yield _delete(to)
        yield check("@@row_count = (SELECT gone FROM _gone)", f"{UNBALANCED}, deleted rows")
    if to.marks:
        yield (
            f"UPDATE {identifier(to.table)} AS t SET {DELETED_AT} = NULL\n"
            f"FROM _here AS h WHERE {same_keys(to, 'h', 't')} AND t.{DELETED_AT} IS NOT NULL"
            f"{'' if to.finds_deletes else within(to)}"
        )
        yield "CREATE TEMP TABLE _restored AS SELECT @@row_count AS n"


def brake_before_ddl(to: Publication, held: Collection[str]) -> str:
    """Return the brake as an assertion of its own; `held` names the columns that the published table has."""
    unmarked = f" WHERE t.{DELETED_AT} IS NULL" if to.marks and DELETED_AT in held else ""
    return _brake(f"({_counted(to, f'({_here(to)})')}{unmarked})")


def _here(to: Publication) -> str:
    """Select each key that is there: of the whole source, or else of the rows staged."""
    if not to.finds_deletes:
        return f"SELECT DISTINCT {', '.join(f's.{identifier(key)}' for key in to.keys)} FROM _staged AS s"
    columns = [column for column in to.columns if column.field.name in to.keys]
    listed = ", ".join(f"{staged_expression(c)} AS {identifier(c.field.name)}" for c in columns)
    return f"SELECT DISTINCT {listed} FROM {identifier(to.keys_staging)} AS s"


def _counted(to: Publication, here: str) -> str:
    gone = " AND ".join(
        (f"h.{identifier(to.keys[0])} IS NULL", *(f"t.{identifier(key)} IS NOT NULL" for key in to.keys))
    )
    return (
        f"SELECT COUNT(*) AS published, COUNTIF({gone}) AS gone FROM {identifier(to.table)} AS t\n"
        f"LEFT JOIN {here} AS h ON {same_keys(to, 'h', 't')}"
    )


def _brake(counted: str) -> str:
    """Hold the most that may go at once; rounded, since 0.29 * 100 is a little less than 29."""
    numbers = f"FORMAT({text(f'{TOO_MANY_DELETES}, %d of %d')}, gone, published)"
    allowed = f"IF(gone <= ROUND(@max_deletes * published, 6), TRUE, ERROR({numbers}))"
    return check(f"(SELECT {allowed} FROM {counted})", TOO_MANY_DELETES)


def _delete(to: Publication) -> str:
    whole = " AND ".join(f"t.{identifier(key)} IS NOT NULL" for key in to.keys)
    gone = f"{whole}\n  AND NOT EXISTS (SELECT 1 FROM _here AS h WHERE {same_keys(to, 'h', 't')})"
    if to.marks:
        return (
            f"UPDATE {identifier(to.table)} AS t SET {DELETED_AT} = @loaded_at\n"
            f"WHERE t.{DELETED_AT} IS NULL AND {gone}"
        )
    return f"DELETE FROM {identifier(to.table)} AS t\nWHERE {gone}"
