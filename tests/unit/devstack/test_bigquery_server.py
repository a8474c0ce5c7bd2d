"""What the quickened BigQuery emulator remembers is never out of date."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, Conflict, GoogleAPICallError, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

pytestmark = pytest.mark.stack


class Dataset:
    """A dataset of its own, and questions to it."""

    def __init__(self, client: bigquery.Client) -> None:
        self.client, self.name = client, f"acme-analytics.devstack_{uuid.uuid4().hex[:8]}"
        client.create_dataset(self.name)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        rows = self.client.query_and_wait(sql.replace("@", f"{self.name}."))
        return [tuple(row.values()) for row in rows]

    def columns(self, table: str) -> list[tuple[str, str, str]]:
        schema = self.client.get_table(f"{self.name}.{table}").schema
        return [(field.name, field.field_type, field.mode) for field in schema]


@pytest.fixture(scope="module")
def dataset(stack: dict[str, str]) -> Iterator[Dataset]:
    with bigquery.Client("acme-analytics", AnonymousCredentials()) as client:
        made = Dataset(client)
        yield made
        client.delete_dataset(made.name, delete_contents=True)


def test_each_statement_sees_the_table_as_the_last_one_left_it(dataset: Dataset) -> None:
    with pytest.raises(NotFound, match="changing"):
        dataset.rows("SELECT * FROM `@changing`")
    dataset.rows("CREATE TABLE `@changing` (id INT64 NOT NULL, at STRUCT<a INT64>)")
    assert dataset.columns("changing") == [("id", "INTEGER", "REQUIRED"), ("at", "RECORD", "NULLABLE")]
    dataset.rows("INSERT INTO `@changing` VALUES (1, STRUCT(2))")
    dataset.rows("ALTER TABLE `@changing` ADD COLUMN note STRING")
    assert dataset.rows("SELECT id, at.a, note FROM `@changing`") == [(1, 2, None)]
    assert dataset.columns("changing")[2:] == [("note", "STRING", "NULLABLE")]
    dataset.rows("DROP TABLE `@changing`")
    with pytest.raises(NotFound, match="changing"):
        dataset.rows("SELECT * FROM `@changing`")
    dataset.rows("CREATE TABLE `@changing` AS SELECT 'again' AS id")
    assert dataset.rows("SELECT id FROM `@changing`") == [("again",)]


def test_a_table_and_a_view_say_what_they_are(dataset: Dataset) -> None:
    dataset.rows("CREATE TABLE `@base` AS SELECT 1 AS id UNION ALL SELECT 2")
    dataset.rows("CREATE VIEW `@seen` AS SELECT id + 1 AS more FROM `@base`")
    kinds = {item.table_id: item.table_type for item in dataset.client.list_tables(dataset.name)}
    assert (kinds["base"], kinds["seen"]) == ("TABLE", "VIEW")
    assert dataset.client.get_table(f"{dataset.name}.base").num_rows == 2
    assert dataset.columns("seen") == [("more", "INTEGER", "NULLABLE")]
    assert sorted(dataset.rows("SELECT more FROM `@seen`")) == [(2,), (3,)]


def test_what_is_written_of_a_table_is_read_at_once(dataset: Dataset) -> None:
    table = dataset.client.create_table(
        bigquery.Table(f"{dataset.name}.described", [bigquery.SchemaField("a", "DATE")])
    )
    for words in ("first", "second"):
        table.description = words
        table = dataset.client.update_table(table, ["description"])
        assert dataset.client.get_table(table).description == words
    dataset.client.delete_table(table)
    with pytest.raises(NotFound):
        dataset.client.get_table(table)


def test_the_partition_of_loading_is_hidden_from_a_star(dataset: Dataset) -> None:
    dataset.rows("CREATE TABLE `@loaded` (id INT64) PARTITION BY _PARTITIONDATE")
    dataset.rows("INSERT INTO `@loaded` (id) VALUES (1)")
    assert dataset.rows("SELECT * FROM `@loaded`") == [(1,)]


def test_time_travel_reads_what_was(dataset: Dataset) -> None:
    dataset.rows("CREATE TABLE `@past` AS SELECT 1 AS id")
    ((then,),) = dataset.rows("SELECT CURRENT_TIMESTAMP()")
    dataset.rows("UPDATE `@past` SET id = 2 WHERE TRUE")
    asked = f"SELECT id FROM `@past` FOR SYSTEM_TIME AS OF TIMESTAMP '{then}'"
    assert (dataset.rows(asked), dataset.rows("SELECT id FROM `@past`")) == ([(1,)], [(2,)])


def test_a_job_is_known_and_its_id_taken_from_its_start(dataset: Dataset) -> None:
    job_id = f"devstack_{uuid.uuid4().hex}"
    dataset.client.query("SELECT 1", job_id=job_id, job_retry=None).result()
    with pytest.raises(Conflict):
        dataset.client.query("SELECT 1", job_id=job_id, job_retry=None)
    assert dataset.client.get_job(job_id).state == "DONE"
    assert job_id in {job.job_id for job in dataset.client.list_jobs()}


def test_of_those_who_make_one_table_at_once_the_later_find_it(dataset: Dataset) -> None:
    def make(_: int) -> str:
        try:
            dataset.client.create_table(
                bigquery.Table(f"{dataset.name}.once", [bigquery.SchemaField("a", "DATE")])
            )
        except Conflict:
            return "found"
        return "made"

    def make_by_statement(_: int) -> None:
        dataset.rows("CREATE TABLE IF NOT EXISTS `@only` AS SELECT 1 AS a")

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(make, range(4))) == ["found", "found", "found", "made"]
        list(pool.map(make_by_statement, range(4)))
    assert dataset.rows("SELECT * FROM `@only`") == [(1,)]


def test_a_temporary_table_is_gone_with_its_script(dataset: Dataset) -> None:
    script = "CREATE TEMP TABLE _mine AS SELECT 7 AS n; SELECT n FROM _mine;"
    assert dataset.rows(script) == [(7,)]
    with pytest.raises(GoogleAPICallError, match="_mine"):
        dataset.rows("SELECT n FROM _mine")


def test_of_two_transactions_that_update_one_table_one_is_told_that_it_lost(dataset: Dataset) -> None:
    dataset.rows("CREATE TABLE `@contested` AS SELECT 0 AS n, 0 AS of_whom")
    update = "UPDATE `@contested` SET n = n + 1, of_whom = {0} WHERE TRUE"
    wait = "SELECT COUNT(*) FROM UNNEST(GENERATE_ARRAY(1, 3000)) a, UNNEST(GENERATE_ARRAY(1, 3000)) b WHERE a + b < 0"

    def change(who: int) -> str:
        try:
            dataset.rows(f"BEGIN TRANSACTION; {update.format(who)}; {wait}; COMMIT TRANSACTION;")
        except BadRequest as error:
            return str(error)
        return "committed"

    with ThreadPoolExecutor(4) as pool:
        said = sorted(pool.map(change, range(4)), key=len)
    ((n, _),) = dataset.rows("SELECT n, of_whom FROM `@contested`")
    assert 1 <= n < 4
    assert said.count("committed") == n
    assert all("Transaction is aborted due to concurrent update" in words for words in said[n:])
