"""One publication of each kind, for the tests of the SQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from etl_factory.schema.types import Field
from etl_factory.warehouse.pruning import Partitioning, idle, pruned
from etl_factory.warehouse.publication import Publication, StagedColumn

FIELDS = (
    Field("id", "INT64"),
    Field("updated_at", "TIMESTAMP"),
    Field("price", "BIGNUMERIC"),
    Field("weight", "FLOAT64"),
    Field("details", "JSON"),
    Field("shape", "GEOGRAPHY"),
    Field("tags", "STRING", "REPEATED"),
)


def staged(*fields: Field) -> tuple[StagedColumn, ...]:
    """Return the columns of a staging table that was loaded from Parquet."""
    return tuple(StagedColumn(field, field.name, field.staged_type) for field in fields)


BASE = Publication(
    table="acme-analytics.raw.shop_db__orders",
    ledger="acme-analytics.raw_etl._loads__shop_db__orders",
    quarantine="acme-analytics.raw_etl._quarantine__shop_db__orders",
    staging="acme-analytics.raw_etl._staging__shop_db__orders__ld_1_sanitize_1_9f3a01bc",
    quarantine_staging="",
    strategy="append",
    columns=staged(*FIELDS),
)
KEYED = replace(BASE, strategy="merge", keys=("id",), cursor="updated_at")
WINDOW = "(t.`updated_at` < TIMESTAMP '2025-06-01 12:00:00+00:00') OR t.`updated_at` IS NULL"
BY_DAY = Partitioning("updated_at", "TIMESTAMP", "DAY")
# Two days that follow each other, one by itself, and the rows without a day.
DAYS = (
    datetime(2025, 5, 31, tzinfo=UTC),
    datetime(2025, 6, 1, tzinfo=UTC),
    datetime(2025, 1, 1, tzinfo=UTC),
    None,
)


def by_day(publication: Publication) -> Publication:
    """Return the merge into a table that is partitioned by day."""
    return pruned(publication, BY_DAY, DAYS)


PUBLICATIONS = {
    "transactional_with_key": KEYED,
    "transactional_with_key_and_a_column_that_left": replace(
        KEYED, columns=staged(*FIELDS[:4]), absent=("details", "Old tags")
    ),
    "transactional_with_two_keys_and_bad_rows": replace(
        KEYED, keys=("id", "updated_at"), quarantine_staging=f"{BASE.staging}_quarantine"
    ),
    "transactional_without_key": replace(BASE, cursor="updated_at", window=WINDOW),
    "transactional_without_key_first_load": replace(BASE, cursor="updated_at"),
    "transactional_full_refresh_with_key": replace(KEYED, strategy="replace"),
    "files_without_key": replace(BASE, strategy="append_files", is_file=True),
    "one_file_as_it_is": replace(BASE, strategy="append_files", is_file=True, is_one_file=True),
    "files_without_key_and_bad_rows": replace(
        BASE, strategy="append_files", is_file=True, quarantine_staging=f"{BASE.staging}_quarantine"
    ),
    "more_files_than_a_request_names": replace(
        BASE, strategy="append_files", is_file=True, files_staging=f"{BASE.staging}_files"
    ),
    "files_with_key": replace(BASE, strategy="merge", keys=("id",), is_file=True),
    "catalog": replace(BASE, strategy="replace", checks_shrink=True),
    "transactional_with_deletes_removed": replace(
        KEYED, keys=("id", "updated_at"), deletes="remove", keys_staging=f"{BASE.staging}_keys"
    ),
    "transactional_with_deletes_marked": replace(KEYED, deletes="mark", keys_staging=f"{BASE.staging}_keys"),
    "backfill_with_deletes_marked": replace(KEYED, deletes="mark"),
    "catalog_of_dated_snapshots": replace(BASE, strategy="snapshot", checks_shrink=True),
    "catalog_of_versions": replace(BASE, strategy="versions", keys=("id",), checks_shrink=True),
    "catalog_of_files_of_versions_full_refresh": replace(
        BASE, strategy="versions", keys=("id",), is_file=True
    ),
    "catalog_of_files_first_load": replace(BASE, strategy="replace", is_file=True),
    "replay_with_key": replace(
        KEYED, replays=True, absent=("v",), quarantine_staging=f"{BASE.staging}_quarantine"
    ),
    "replay_without_key": replace(BASE, replays=True, cursor="updated_at"),
    "replay_of_a_catalog": replace(BASE, strategy="replace", replays=True, is_whole=True),
    "replay_of_dated_snapshots": replace(BASE, strategy="snapshot", replays=True, is_whole=True),
    "replay_of_files_without_key": replace(
        BASE,
        strategy="append_files",
        is_file=True,
        replays=True,
        quarantine_staging=f"{BASE.staging}_quarantine",
    ),
    "replay_of_files_with_key": replace(KEYED, cursor=None, is_file=True, replays=True),
    "replay_of_a_catalog_of_files": replace(
        BASE, strategy="append_files", is_file=True, replays=True, is_whole=True
    ),
    "partitioned_with_key": by_day(KEYED),
    "partitioned_with_its_column_in_the_key": by_day(replace(KEYED, keys=("id", "updated_at"))),
    "nothing_staged_with_key": idle(KEYED),
    "partitioned_with_deletes_marked": by_day(
        replace(KEYED, deletes="mark", keys_staging=f"{BASE.staging}_keys")
    ),
    "partitioned_backfill_with_deletes_marked": by_day(replace(KEYED, deletes="mark")),
    "partitioned_files_with_key": by_day(replace(KEYED, cursor=None, is_file=True)),
    "partitioned_replay_with_key": by_day(replace(KEYED, replays=True)),
    "staged_in_bigquery_under_other_names_and_types": replace(
        KEYED,
        columns=(
            StagedColumn(FIELDS[0], "Order No", "INT64"),
            StagedColumn(FIELDS[1], "Updated", "DATETIME"),
            StagedColumn(Field("price", "STRING"), "Price", "JSON"),
            StagedColumn(Field("weight", "STRING"), "Größe (m²)", "FLOAT64"),
        ),
    ),
}
