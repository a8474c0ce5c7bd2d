"""Rows dropped, doubled and altered between the steps are caught before anything is visible, by the object's name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from accounting_loads import EDITS, ROWS, Edit, EditedWhileLoading, Run, blob_of, edited, rewrite, sources
from airflow.sdk.exceptions import AirflowFailException

from etl_factory.config.resource import Resource
from etl_factory.operators.cleanup import Cleanup
from etl_factory.warehouse.ledger import Head

pytestmark = pytest.mark.stack
CLEAR = "clear the run from `extract`"


@pytest.fixture(scope="module")
def made(stack: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Resource]]:
    with sources(stack, tmp_path_factory.mktemp("accounts")) as found:
        yield found


@pytest.fixture(scope="module", params=["table", "file"])
def run(request: pytest.FixtureRequest, made: Mapping[str, Resource]) -> Run:
    """Return a run of the table, then of the file, that every test clears from extract."""
    return Run(made[request.param])


@pytest.fixture
def nothing_published(run: Run) -> Iterator[None]:
    """Hold that a test leaves the ledger's head and the published rows as they were."""
    before = run.head()
    yield
    assert (run.head(), run.published()) == (before, [])


edits = pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)


@edits
@pytest.mark.parametrize(("step", "following"), [("extract", "sanitize"), ("sanitize", "load")])
def test_an_object_that_was_edited_between_two_steps(
    run: Run, nothing_published: None, step: str, following: str, edit: Edit
) -> None:
    (part,) = run.until(step).parts
    rewrite(part.uri, edit)
    blob = blob_of(part.uri)
    blob.reload()

    with pytest.raises(AirflowFailException) as failed:
        run.do(following)

    message = str(failed.value)
    assert message.startswith(
        f"StaleError: landing object {part.uri} was changed: its manifest lists generation"
    )
    assert all(str(value) in message for value in (part.generation, part.size, part.md5))
    assert all(str(value) in message for value in (blob.generation, blob.size, blob.md5_hash))
    assert message.endswith(f"Nothing was published; {CLEAR}")


@edits
def test_an_object_that_was_edited_while_bigquery_read_it(
    run: Run, nothing_published: None, edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    (part,) = run.until("sanitize").parts
    monkeypatch.setattr(EditedWhileLoading, "meanwhile", staticmethod(partial(rewrite, part.uri, edit)))
    named = pytest.raises(AirflowFailException, match=f"landing object {re.escape(part.uri)} was changed")

    with named:
        run.do("load", EditedWhileLoading)
    with named:
        run.do("load")

    staging = run.resource.target.staging_id(
        run.manifest("sanitize").plan.load_id, run.manifest("sanitize").attempt
    )
    assert run.warehouse.row_count(staging) in (None, 0), "no later try may take what was loaded"


@pytest.mark.parametrize("edit", [EDITS["dropped"], EDITS["doubled"]], ids=["dropped", "doubled"])
def test_an_object_that_was_edited_behind_the_buckets_back(
    run: Run, nothing_published: None, edit: Edit
) -> None:
    """On the disk of the local server: all that is said of the object is as it was, and only the count tells.

    Cloud Storage itself never lets the content of one generation change.
    """
    (part,) = run.until("sanitize").parts
    disk = Path(os.environ["AIRFLOW_HOME"]).parent / "data/gcs/.cloudstorage" / part.uri.removeprefix("gs://")
    content = disk.read_bytes()
    disk.write_bytes(edited(content, edit))
    try:
        with pytest.raises(AirflowFailException, match=re.escape(part.uri)):
            run.do("load")
    finally:
        disk.write_bytes(content)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM {} WHERE id = 6",
        "INSERT INTO {0} SELECT * FROM {0} WHERE id = 6",
        "UPDATE {} SET name = 'other' WHERE id = 6",
    ],
    ids=EDITS,
)
def test_a_staging_table_that_was_edited(run: Run, nothing_published: None, statement: str) -> None:
    staging = run.until("load").staging_table
    run.warehouse.query(statement.format(f"`{staging}`"))

    with pytest.raises(AirflowFailException) as failed:
        run.do("publish")

    assert f"staging table {staging}" in str(failed.value)
    assert str(failed.value).endswith(f"Nothing was published; {CLEAR}")


def test_what_is_staged_within_bigquery_is_held_too(made: Mapping[str, Resource]) -> None:
    run = Run(made["bigquery"])
    staging = run.until("extract").staging_table
    run.warehouse.query(f"UPDATE `{staging}` SET name = 'other' WHERE id = 6")
    run.do("sanitize")
    run.do("load")

    with pytest.raises(
        AirflowFailException, match=f"staging table {staging} was changed after it had been filled"
    ):
        run.do("publish")
    assert (run.head(), run.published()) == (Head(), [])


def test_what_is_cleared_is_published_and_cleaned_up(run: Run) -> None:
    """The last of these tests: a fault leaves nothing that would hinder a run that is cleared from extract."""
    done = run.until("publish")

    assert (run.published(), run.head().version) == (ROWS, 1)
    held = run.warehouse.rows(f"SELECT checksum FROM `{run.resource.target.ledger_id}` WHERE kind = 'load'")
    assert [row["checksum"] for row in held] == [done.checksum] != [""]
    assert run.warehouse.table(done.staging_table) is None
    assert run.objects() == {name for name in run.objects() if name.endswith(("/manifest.json", ".json"))}

    again = run.do("publish")
    assert (again["outcome"], again["inserted"], run.head().version) == ("published", len(ROWS), 1)
    for step in ("sanitize", "load"):
        with pytest.raises(AirflowFailException, match=CLEAR):
            run.do(step)

    cleanup = Cleanup(run.resource, run.landing, run.warehouse)
    cleanup.sweep(run.head(), datetime.now(UTC) + timedelta(days=6, hours=23))
    assert run.objects()
    cleanup.sweep(run.head(), datetime.now(UTC) + timedelta(days=7, minutes=1))
    folder = run.resource.target.landing_prefix("")
    assert list(run.landing.list(folder)) == []
