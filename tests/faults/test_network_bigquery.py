"""BigQuery behind a network that fails: every job runs exactly once, and a publish is whole or not at all."""

from __future__ import annotations

import gc
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
from network_cases import FOR_EVER, TERMINAL, TRANSIENT, Wrong, fewer, json_body, pairs

from edge import Edge, edge_of
from etl_factory.errors import AccessDeniedError, TerminalError, TransientError
from etl_factory.landing.manifest import Manifest
from etl_factory.landing.parts import PartWriter
from etl_factory.operators import google
from etl_factory.operators.load import GCSToStagingOperator
from etl_factory.schema.types import Field
from etl_factory.warehouse import patience
from etl_factory.warehouse.client import Warehouse
from examples import Write
from fakes import manifest_of, resource_of

pytestmark = [
    pytest.mark.stack,
    # google's own: its client leaves the connection of a failed request to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
FIELDS = (Field("id", "INT64"),)


@dataclass
class Shop:
    """A dataset with a ledger-like head and a table, reached past the edge (`behind`) and through it."""

    edge: Edge
    behind: Warehouse
    warehouse: Warehouse
    dataset: str
    name: str

    @property
    def table(self) -> str:
        return f"{self.dataset}.orders_{self.name}"

    @property
    def head(self) -> str:
        return f"{self.dataset}.head_{self.name}"

    @property
    def fresh(self) -> str:
        """A table that is not there yet."""
        return f"{self.dataset}.fresh_{self.name}"

    def ids(self, table: str | None = None) -> list[int]:
        return [row["id"] for row in self.behind.rows(f"SELECT id FROM `{table or self.table}` ORDER BY id")]

    def version(self) -> int:
        return int(self.behind.rows(f"SELECT version FROM `{self.head}`")[0]["version"])

    def publish(self) -> None:
        """Do what a publish does: move the head by compare-and-set, and change the table, in one transaction."""
        script = f"""BEGIN TRANSACTION;
UPDATE `{self.head}` SET version = version + 1 WHERE version = 0;
ASSERT @@row_count = 1 AS 'moved';
INSERT INTO `{self.table}` (id) VALUES (2), (3);
COMMIT TRANSACTION;"""
        self.warehouse.run_once(
            f"publish_{self.name}",
            lambda job_id: self.warehouse.start_query(script, {}, job_id),
            lambda: self.version() == 1,
        )

    def published(self) -> bool:
        """Whether it was published just once; False: not at all. A half of it fails the test."""
        state = (self.version(), self.ids())
        assert state in ((0, [1]), (1, [1, 2, 3]))
        return state[0] == 1


@pytest.fixture(scope="module")
def dataset(stack: dict[str, str]) -> Iterator[str]:
    """Make a dataset."""
    with pytest.MonkeyPatch.context() as patch:
        for key, value in stack.items():
            patch.setenv(key, value)
        from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook

        client, name = BigQueryHook(use_legacy_sql=False).get_client(), f"faults_{uuid.uuid4().hex[:8]}"
        client.create_dataset(name)
        yield f"{client.project}.{name}"
        client.delete_dataset(name, delete_contents=True)
        client.close()
    gc.collect()  # what google's client left open is to be found here


@pytest.fixture
def shop(
    stack: dict[str, str], dataset: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    """Return tables behind an edge, which the product is told of as anyone would tell it."""
    monkeypatch.setattr(patience, "FIRST_WAIT", 0.02)
    monkeypatch.setattr(patience, "REPEAT_SECONDS", 30.0)
    resource = resource_of(write, "table: public.orders\nload: catalog")
    behind = google.warehouse(resource)
    with edge_of(stack["BIGQUERY_EMULATOR_HOST"]) as edge:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", edge.url)
        made = Shop(edge, behind, google.warehouse(resource), dataset, uuid.uuid4().hex[:8])
        behind.query(
            f"CREATE TABLE `{made.table}` AS SELECT 1 AS id; CREATE TABLE `{made.head}` AS SELECT 0 AS version"
        )
        yield made
        made.warehouse.client.close()
        behind.client.close()


@dataclass(frozen=True)
class Operation:
    """One use of BigQuery: the requests that it makes (`when`), what it does, and what must then be true."""

    name: str
    when: str
    do: Callable[[Shop], Any]
    is_right: Callable[[Shop, Any], bool]


def published(shop: Shop, _: Any) -> bool:
    return shop.published()


def is_there(shop: Shop, _: Any) -> bool:
    return shop.behind.table(shop.fresh) is not None and shop.ids(shop.fresh) == []


def create(shop: Shop) -> None:
    shop.warehouse.query(f"CREATE TABLE IF NOT EXISTS `{shop.fresh}` (id INT64)")


def publish_unheard(shop: Shop) -> None:
    """Publish, while nothing is heard of the job's acceptance."""
    shop.edge.fails("POST ", "reset", is_done=True)
    shop.publish()


SELECT = "SELECT id FROM `{}`"
OPERATIONS = (
    Operation("read", "/queries", lambda s: s.warehouse.rows(SELECT.format(s.table)),
              lambda s, rows: rows == [{"id": 1}]),
    Operation("insert of a publish", "POST ", Shop.publish, published),
    Operation("state of a publish", "/jobs/", publish_unheard, published),
    Operation("end of a publish", "GET ", Shop.publish, published),
    Operation("insert of a DDL job", "POST ", create, is_there),
    Operation("end of a DDL job", "/queries/", create, is_there),
    Operation("metadata", "/tables/", lambda s: s.warehouse.table(s.table), lambda s, table: table.num_rows == 1),
    Operation("new table", "/tables", lambda s: s.warehouse.create_staging(s.fresh, FIELDS), is_there),
    Operation("removed table", "DELETE ", lambda s: s.warehouse.drop(s.table),
              lambda s, _: s.behind.table(s.table) is None),
)  # fmt: skip


@pytest.mark.parametrize(("operation", "wrong"), pairs(OPERATIONS, TRANSIENT))
def test_what_passes_is_repeated_and_succeeds(
    shop: Shop, operation: Operation, wrong: Wrong, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as hasty:
        if wrong.how in ("hang", "stall"):
            hasty.setattr(patience, "ANSWER_SECONDS", 2.0)  # a busy emulator needs most of a second itself
        wrong.strike(shop.edge, operation.when, json_body)

        found = operation.do(shop)

    assert operation.is_right(shop, found)
    assert shop.edge.faults[0].times == 0


@pytest.mark.parametrize(("operation", "wrong"), pairs(OPERATIONS, TERMINAL))
def test_what_will_not_pass_is_asked_once(shop: Shop, operation: Operation, wrong: Wrong) -> None:
    wrong.strike(shop.edge, operation.when, json_body, times=FOR_EVER)
    expected = TerminalError if wrong.status == 400 else AccessDeniedError
    said = "no credentials could be had" if wrong.status == 401 else "made by the test"

    with pytest.raises(expected, match=said) as raised:
        operation.do(shop)

    assert type(raised.value) is expected
    assert shop.edge.count(operation.when) <= 2  # of a job that cannot be waited for, its state is asked too
    shop.published() if "publish" in operation.name else None


LASTING = [wrong for wrong in TRANSIENT if wrong.name in ("503", "reset before", "no answer")]


@pytest.mark.parametrize(("operation", "wrong"), fewer(pairs(OPERATIONS, LASTING)))
def test_what_lasts_is_transient(
    shop: Shop, operation: Operation, wrong: Wrong, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "REPEAT_SECONDS", 0.4)
    monkeypatch.setattr(patience, "ANSWER_SECONDS", 0.3)
    wrong.strike(shop.edge, operation.when, json_body, times=FOR_EVER)
    began = time.monotonic()

    with pytest.raises(TransientError, match="BigQuery "):
        operation.do(shop)

    assert time.monotonic() - began < 10


LOST = [wrong for wrong in TRANSIENT if wrong.is_done and wrong.how != "trickle"]


@pytest.mark.parametrize("wrong", fewer(LOST), ids=lambda wrong: wrong.name)
def test_a_publish_whose_acceptance_never_arrives_is_found_by_the_next_try(
    shop: Shop, wrong: Wrong, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first try hears nothing of its job, whatever it asks; the second goes by the job's id."""
    with monkeypatch.context() as hasty:
        hasty.setattr(patience, "REPEAT_SECONDS", 0.6)
        hasty.setattr(patience, "ANSWER_SECONDS", 0.5)
        wrong.strike(shop.edge, "/jobs", json_body, times=FOR_EVER)
        with pytest.raises(TransientError):
            shop.publish()
    shop.edge.faults.clear()
    inserts = shop.edge.count("POST ")

    shop.publish()

    assert shop.published()
    assert shop.edge.count("POST ") == inserts + 1


def test_a_job_whose_id_is_taken_and_which_is_not_shown_yet_is_waited_for(shop: Shop) -> None:
    """BigQuery may refuse an id as taken a moment before it shows the job."""
    shop.edge.fails("POST ", "reset", is_done=True)
    shop.edge.answers("/jobs/", 404, json_body(404)[1], Content_Type="application/json")

    with pytest.raises(TransientError, match=r"does not show job publish_.*_0 yet"):
        shop.publish()
    shop.publish()

    assert shop.published()


def test_the_waits_grow(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "REPEAT_SECONDS", 0.8)
    shop.edge.answers("/tables/", 503, times=FOR_EVER)

    with pytest.raises(TransientError):
        shop.warehouse.table(shop.table)

    assert 3 < len(shop.edge.seen) < 30


LOADS = (
    Operation("insert of a load", "/jobs?", lambda shop: None, published),
    Operation(
        "state of a load", "/jobs/", lambda shop: shop.edge.fails("/jobs?", "reset", is_done=True), published
    ),
)


@pytest.mark.parametrize(("operation", "wrong"), pairs(LOADS, TRANSIENT))
def test_a_load_fills_its_table_once(
    shop: Shop, write: Write, monkeypatch: pytest.MonkeyPatch, operation: Operation, wrong: Wrong
) -> None:
    monkeypatch.setattr(patience, "ANSWER_SECONDS", 2.0)
    resource = resource_of(write, "table: public.orders\nload: catalog")
    loading = GCSToStagingOperator(resource=resource, task_id="load")
    loading.landing, loading.warehouse = google.landing(resource), shop.warehouse
    manifest = landed(loading.landing, manifest_of(resource))
    operation.do(shop)
    wrong.strike(shop.edge, operation.when, json_body)

    loading._load(manifest, shop.fresh, FIELDS, manifest.parts)

    assert shop.ids(shop.fresh) == [1, 2, 3]
    assert [fault.times for fault in shop.edge.faults if fault.times] == []
    loading.landing.client.close()


def landed(landing: Any, manifest: Manifest) -> Manifest:
    """Have parts in a bucket of their own."""
    bucket = f"faults-load-{uuid.uuid4().hex[:8]}"
    landing.client.create_bucket(bucket)
    batch = pa.record_batch({"id": pa.array([1, 2, 3], pa.int64())})
    with PartWriter(landing, f"gs://{bucket}/load", batch.schema) as writer:
        writer.write(batch)
    return manifest.then(parts=tuple(writer.parts))
