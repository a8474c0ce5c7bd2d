"""A load takes just the objects that are listed, and whatever is in doubt does not stay."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl_factory.errors import (
    AccessDeniedError,
    AccountingError,
    EtlFactoryError,
    StaleError,
    TerminalError,
    TransientError,
)
from etl_factory.operators.loading import StagingLoad
from fakes import FakeLanding, FakeWarehouse

TABLE = "p.d._staging"
NO_EFFECT = TerminalError("BigQuery job succeeded, but its effect is not there")


class Jobs(FakeWarehouse):
    """Runs a job as the test says: `meanwhile` happens during it, and it leaves `held` rows."""

    held: int | None = 5
    meanwhile: Callable[[], Any] = staticmethod(lambda: None)

    def row_count(self, table_id: str) -> int | None:  # type: ignore[override]  # absent, too
        return self.held

    def run_once(self, job_id: str, submit: Callable[[str], Any], is_done: Callable[[], bool]) -> None:
        submit(f"{job_id}_0")
        self.meanwhile()
        if self.failure:
            raise self.failure
        if not is_done():
            raise NO_EFFECT


@pytest.fixture
def landing() -> FakeLanding:
    return FakeLanding()


@pytest.fixture
def jobs() -> Jobs:
    return Jobs(None, tables={TABLE: ()})


@pytest.fixture
def load(landing: FakeLanding, jobs: Jobs) -> StagingLoad:
    """Return a load of two objects with 2 and 3 rows."""
    parts = tuple(landing.put_table(f"part-{n}", pa.table({"id": range(n + 2)})) for n in range(2))
    return StagingLoad(landing, jobs, "acme__shop.orders", TABLE, parts)  # type: ignore[arg-type]  # fakes


def change(landing: FakeLanding) -> None:
    landing.put_table("part-1", pa.table({"id": [0, 1, 7]}))


def run(load: StagingLoad) -> list[str]:
    """Run a load and return the job ids that were submitted."""
    submitted: list[str] = []
    load.run("job", submitted.append)  # type: ignore[arg-type]  # nobody asks for the job
    return submitted


def test_a_load_whose_rows_add_up_stays(load: StagingLoad, jobs: Jobs) -> None:
    assert load.rows == 5
    assert run(load) == ["job_0"]
    assert TABLE in jobs.tables


def test_a_changed_object_is_not_even_loaded(load: StagingLoad, landing: FakeLanding, jobs: Jobs) -> None:
    change(landing)
    jobs.meanwhile = lambda: pytest.fail("a job was submitted")

    with pytest.raises(StaleError, match=r"part-1\.parquet was changed"):
        run(load)


def test_an_object_that_changed_during_the_job(load: StagingLoad, landing: FakeLanding, jobs: Jobs) -> None:
    jobs.meanwhile = lambda: change(landing)

    with pytest.raises(StaleError, match=r"part-1\.parquet was changed"):
        run(load)
    assert jobs.tables == {}


def test_an_object_that_changed_explains_whatever_went_wrong(
    load: StagingLoad, landing: FakeLanding, jobs: Jobs
) -> None:
    jobs.meanwhile = lambda: change(landing)
    jobs.failure = TerminalError("BigQuery: the file is damaged")

    with pytest.raises(StaleError, match=r"part-1\.parquet was changed"):
        run(load)
    assert jobs.tables == {}


def test_rows_that_do_not_add_up_name_the_object_that_is_to_blame(
    load: StagingLoad, landing: FakeLanding, jobs: Jobs
) -> None:
    """An object that was edited behind the bucket's back: all that is said of it is as it was."""
    jobs.held = 4
    short = FakeLanding()
    part = short.put_table("part-0", pa.table({"id": [1]}))
    landing.open = lambda of: short.open(part) if of.uri == part.uri else FakeLanding.open(landing, of)  # type: ignore[method-assign]  # what a reader finds

    with pytest.raises(AccountingError) as raised:
        run(load)

    message = str(raised.value)
    assert message.startswith(
        f"acme__shop.orders: staging table {TABLE} holds 4 rows, but the manifest lists 5. {part.uri} holds 1 rows with"
        f" checksum {part.md5}, but its manifest lists 2 rows with checksum {load.parts[0].md5}. Nothing was published;"
    )
    assert "part-1" not in message
    assert message.endswith("clear the run from `extract`")
    assert jobs.tables == {}


def test_an_object_that_cannot_be_read_any_more_is_named(
    load: StagingLoad, landing: FakeLanding, jobs: Jobs
) -> None:
    jobs.held = 3
    damaged = FakeLanding({load.parts[0].uri: b"no Parquet"})
    landing.open = lambda of: (damaged if of is load.parts[0] else FakeLanding(landing.objects)).open(of)  # type: ignore[method-assign]  # as above

    with pytest.raises(AccountingError, match=r"part-0\.parquet cannot be read"):
        run(load)


def test_rows_that_bigquery_lost_are_told(load: StagingLoad, jobs: Jobs) -> None:
    jobs.held = 6

    with pytest.raises(
        AccountingError, match=r"holds 6 rows, but the manifest lists 5\. The objects hold what it"
    ):
        run(load)
    assert jobs.tables == {}


@pytest.mark.parametrize("failure", [AccessDeniedError("grant it"), NO_EFFECT])
def test_a_job_that_failed_says_why(load: StagingLoad, jobs: Jobs, failure: EtlFactoryError) -> None:
    jobs.failure = failure

    with pytest.raises(type(failure), match=str(failure)):
        run(load)


@pytest.mark.parametrize("is_damaged", [True, False])
def test_a_file_that_bigquery_refuses_is_read_for_what_is_wrong(
    load: StagingLoad, landing: FakeLanding, jobs: Jobs, is_damaged: bool
) -> None:
    stream = io.BytesIO()
    pq.write_table(pa.table({"id": range(1000)}), stream)
    content = stream.getvalue()
    part = landing.put_file("a.parquet", bytes(900) + content[900:] if is_damaged else content)
    load.parts = (replace(part, rows=1000),)
    jobs.failure = TerminalError("BigQuery refused the job")

    with pytest.raises(TerminalError) as caught:
        run(load)
    says = r"s3://drops/a\.parquet: the file is damaged" if is_damaged else "BigQuery refused the job"
    assert re.match(says, str(caught.value))
    assert jobs.tables == {}


def test_what_a_retry_helps_leaves_the_table_to_it(load: StagingLoad, jobs: Jobs) -> None:
    jobs.failure = TransientError("no answer")

    with pytest.raises(TransientError, match="no answer"):
        run(load)
    assert TABLE in jobs.tables


def test_a_table_that_cannot_be_dropped_hides_nothing(
    load: StagingLoad, landing: FakeLanding, jobs: Jobs
) -> None:
    def denied(table_id: str) -> None:
        raise AccessDeniedError("bigquery.tables.delete")

    jobs.meanwhile = lambda: change(landing)
    jobs.drop = denied  # type: ignore[method-assign]  # this fake's own answer

    with pytest.raises(StaleError, match=r"part-1\.parquet was changed"):
        run(load)
