"""An extract within BigQuery, on the local one: what is staged while rows keep arriving."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from etl_factory.landing.manifest import Manifest, load_manifest
from etl_factory.operators import google
from etl_factory.transfers.bigquery_to_staging import BigQueryToStagingOperator
from etl_factory.warehouse.client import Warehouse
from examples import Write
from fakes import FakeLanding, resource_of

pytestmark = pytest.mark.stack
LATER = datetime(2100, 1, 1, tzinfo=UTC)
BY_ID = "load: transactional\ncursor: id"


class Busy(bigquery.Client):
    """A client whose source table gets a row just before every statement, once it is told which."""

    arrival = ""

    def query(self, query: str, *args: Any, **kwargs: Any) -> Any:
        self._arrive()
        return super().query(query, *args, **kwargs)

    def query_and_wait(self, query: str, *args: Any, **kwargs: Any) -> Any:
        self._arrive()
        return super().query_and_wait(query, *args, **kwargs)

    def _arrive(self) -> None:
        if self.arrival:
            super().query(self.arrival).result()


class Shop:
    """A table of 3 rows, and extracts of it."""

    def __init__(self, client: Busy, write: Write, patch: pytest.MonkeyPatch) -> None:
        self.client, self.write, self.patch = client, write, patch
        self.dataset, self.landing = f"bq_{uuid.uuid4().hex[:8]}", FakeLanding()
        client.create_dataset(self.dataset)
        self.table = f"acme-analytics.{self.dataset}.orders"
        self.execute(f"CREATE TABLE `{self.table}` (id INT64, `at` TIMESTAMP, `a note` STRING)")
        rows = "SELECT id, TIMESTAMP '2025-01-01', 'a' FROM UNNEST([1, 2, 3]) AS id"
        self.execute(f"INSERT INTO `{self.table}` {rows}")

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        return [row.values() for row in bigquery.Client.query(self.client, sql).result()]

    def arrive(self) -> None:
        """From now on a row arrives before every statement, within every window."""
        self.client.arrival = f"INSERT INTO `{self.table}` VALUES (0, TIMESTAMP '2025-01-01', 'late')"

    def extract(self, spec: str, **conf: Any) -> Manifest:
        resource = resource_of(self.write, spec, type_="bigquery")
        resource = replace(resource, destination=replace(resource.destination, dataset=self.dataset))
        self.patch.setattr(google, "landing", lambda of: self.landing)
        self.patch.setattr(google, "bigquery_client", lambda of, conn_id: self.client)
        self.patch.setattr(google, "warehouse", lambda of: Warehouse(self.client, of.target))
        run = SimpleNamespace(run_id=uuid.uuid4().hex, run_after=LATER, run_type="manual", conf=conf)
        context = {"dag_run": run, "ti": SimpleNamespace(try_number=1), "params": {}}
        left = BigQueryToStagingOperator(task_id="extract", resource=resource).execute(context)
        return load_manifest(self.landing.read_text(left["manifest"]) or "")

    def staged(self, manifest: Manifest) -> list[int]:
        return sorted(row[0] for row in self.execute(f"SELECT id FROM `{manifest.staging_table}`"))


@pytest.fixture
def shop(stack: object, write: Write, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    client = Busy("acme-analytics", AnonymousCredentials())
    made = Shop(client, write, monkeypatch)
    yield made
    for name in (made.dataset, f"{made.dataset}_etl"):
        client.delete_dataset(name, delete_contents=True, not_found_ok=True)


Spec = Callable[[Shop], str]


def table(shop: Shop) -> str:
    return f"table: {shop.table}"


def query(shop: Shop) -> str:
    return f'query: "SELECT * FROM `{shop.table}` -- all;"'


def view(shop: Shop) -> str:
    shop.execute(f"CREATE OR REPLACE VIEW `{shop.table}_seen` AS SELECT * FROM `{shop.table}`")
    return f"table: {shop.table}_seen"


@pytest.mark.parametrize("load", [BY_ID, "load: transactional\ncursor: at"])
def test_a_table_is_read_as_of_one_moment(shop: Shop, load: str) -> None:
    shop.arrive()

    done = shop.extract(f"{table(shop)}\n{load}")

    # What came before the clock was asked is read, what came with every later statement is not.
    assert done.rows_read == len(shop.staged(done))
    before = f"SELECT COUNT(*) FROM `{shop.table}` FOR SYSTEM_TIME AS OF TIMESTAMP '{done.snapshot_at}'"
    assert shop.execute(before) == [(done.rows_read,)]
    assert shop.execute(f"SELECT COUNT(*) FROM `{shop.table}`") > [(done.rows_read,)]


@pytest.mark.parametrize(("source", "load"), [(query, "load: catalog"), (view, BY_ID)])
def test_what_has_no_past_is_copied_and_counted_in_one_transaction(
    shop: Shop, source: Spec, load: str
) -> None:
    spec = f"{source(shop)}\n{load}"
    shop.arrive()

    done = shop.extract(spec)

    assert shop.staged(done)[-3:] == [1, 2, 3]
    assert done.rows_read == len(shop.staged(done)) > 4


def test_a_query_that_never_answers_the_same_is_tried_again(shop: Shop) -> None:
    half = f"query: SELECT id FROM `{shop.table}`, UNNEST(GENERATE_ARRAY(1, 1000)) AS n WHERE RAND() < 0.5"

    with pytest.raises(AirflowException, match="does not give the same rows twice") as raised:
        shop.extract(f"{half}\nload: catalog")

    assert not isinstance(raised.value, AirflowFailException)


@pytest.mark.parametrize(
    ("source", "load"), [(table, BY_ID), (table, "load: catalog"), (query, "load: catalog"), (view, BY_ID)]
)
def test_a_row_limit_copies_no_more(shop: Shop, source: Spec, load: str) -> None:
    few = shop.extract(f"{source(shop)}\n{load}", row_limit=2)
    all_ = shop.extract(f"{source(shop)}\n{load}", row_limit=9)

    assert (few.rows_read, len(shop.staged(few)), few.plan.row_limit) == (2, 2, 2)
    assert (all_.rows_read, shop.staged(all_), all_.plan.row_limit) == (3, [1, 2, 3], 9)


KEYED = "load: transactional\ncursor: at\nprimary_key: ['a note', id]\ndeletes: remove"


@pytest.mark.parametrize("source", [table, query])
def test_all_keys_are_read_in_the_rows_own_moment(shop: Shop, source: Spec) -> None:
    """Rows keep arriving: none may be among the rows and not among the keys, nor the other way round."""
    shop.execute(f"INSERT INTO `{shop.table}` VALUES (9, NULL, NULL)")
    spec = f"{source(shop)}\n{KEYED}"
    shop.arrive()

    done = shop.extract(spec)

    keys = shop.execute(f"SELECT id, `a note` FROM `{done.keys_table}`")
    staged = shop.execute(f"SELECT id, `a note` FROM `{done.staging_table}`")
    assert sorted(keys, key=str) == sorted(staged, key=str)
    assert {(1, "a"), (2, "a"), (3, "a"), (9, None)} <= set(keys)
    assert [field["name"] for field in done.key_fields] == ["id", "a note"]
    assert set(done.seals) == {done.staging_table, done.keys_table}


def test_a_window_without_rows_is_no_reason_to_skip_deletes(shop: Shop) -> None:
    shop.execute(f"UPDATE `{shop.table}` SET `at` = TIMESTAMP '2200-01-01' WHERE TRUE")

    done = shop.extract(f"{table(shop)}\n{KEYED}")

    assert (done.rows_read, shop.staged(done)) == (0, [])
    assert len(shop.execute(f"SELECT * FROM `{done.keys_table}`")) == 3


def test_no_rows_leave_no_staging_table(shop: Shop) -> None:
    shop.execute(f"DELETE FROM `{shop.table}` WHERE TRUE")

    with pytest.raises(AirflowSkipException, match="no rows in"):
        shop.extract(f"{table(shop)}\nload: transactional\ncursor: at")

    assert [found.table_id for found in shop.client.list_tables(f"{shop.dataset}_etl")] == []


def test_an_empty_query_replaces_by_nothing(shop: Shop) -> None:
    done = shop.extract(f"query: SELECT * FROM `{shop.table}` WHERE FALSE\nload: catalog")

    assert (done.rows_read, shop.staged(done)) == (0, [])


def test_a_missing_table_is_named(shop: Shop) -> None:
    missing = r"NotFoundError: google_cloud_default: .*gone.*Correct `table`|NotFoundError: acme__shop"
    with pytest.raises(AirflowFailException, match=missing):
        shop.extract(f"table: {shop.table}_gone\nload: catalog")
