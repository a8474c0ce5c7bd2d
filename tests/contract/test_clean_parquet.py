"""A clean Parquet file is copied, loaded and published without being read, and replaced by its next version."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from etl_factory.landing.manifest import Manifest, load_manifest
from etl_factory.operators import google
from shelf import Shelf, Steps, shown

pytestmark = [
    pytest.mark.stack,
    # google's own: its clients leave connections to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
TRANSACTIONAL = ("format: parquet", "load: transactional")


@pytest.fixture
def shelf(stack: dict[str, str], tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(stack, tmp_path / "tenants", f"clean_{uuid.uuid4().hex[:8]}")
    yield made
    made.remove()


def parquet(*rows: tuple[Any, ...], compression: str = "zstd") -> bytes:
    ids, values, days = zip(*rows, strict=True)
    columns = {
        "id": pa.array(ids, pa.int32()),
        "v": pa.array(values, pa.string()),
        "d": pa.array(days, pa.date32()),
    }
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, compression=compression)
    return stream.getvalue()


def sanitized(steps: Steps) -> Manifest:
    """Return what the sanitize of some steps has left."""
    text = google.landing(steps.resource).read_text(steps.left["sanitize"]["manifest"])
    assert text
    return load_manifest(text)


def is_referred(steps: Steps) -> bool:
    return ["/raw/" in part.uri for part in sanitized(steps).parts] == [True]


FIRST = parquet((1, "a", date(2024, 6, 1)), (2, None, None), (2, None, None))
SECOND = parquet((1, "b", None), (3, "ż", date(1, 1, 1)))


def test_files_of_a_transactional_load(shelf: Shelf) -> None:
    shelf.objects(*TRANSACTIONAL)
    shelf.drop("a.parquet", FIRST)
    first = shelf.steps()
    assert shown(first.do()) == {"inserted": 3}
    assert is_referred(first)
    shelf.drop("b.parquet", parquet((1, "other", None)))
    assert shelf.run() == {"inserted": 1}

    shelf.drop("a.parquet", SECOND)
    newer = shelf.steps()
    assert shown(newer.do()) == {"inserted": 2, "deleted": 3}

    assert is_referred(newer)
    a, b = (f"gs://{shelf.bucket}/drop/{name}.parquet" for name in "ab")
    assert shelf.rows("id, v, d, _etl_source_uri") == [
        (1, "b", None, a), (1, "other", None, b), (3, "ż", date(1, 1, 1), a),
    ]  # fmt: skip
    assert [load["inserted"] for load in shelf.loads()] == [3, 1, 2]


def test_a_version_that_is_not_clean_replaces_one_that_is_and_gives_way_again(shelf: Shelf) -> None:
    shelf.objects(*TRANSACTIONAL)
    for content, counts, referred in (
        (FIRST, {"inserted": 3}, True),
        (parquet((4, "c", None), compression="lz4"), {"inserted": 1, "deleted": 3}, False),
        (SECOND, {"inserted": 2, "deleted": 1}, True),
    ):
        shelf.drop("a.parquet", content)
        steps = shelf.steps()
        assert (shown(steps.do()), is_referred(steps)) == (counts, referred)

    assert shelf.rows("id") == [(1,), (3,)]


def test_several_files_at_once_are_cleaned(shelf: Shelf) -> None:
    shelf.objects(*TRANSACTIONAL)
    shelf.drop("a.parquet", FIRST)
    shelf.drop("b.parquet", SECOND)
    both = shelf.steps()

    assert shown(both.do()) == {"inserted": 5}
    assert not is_referred(both)


@pytest.mark.parametrize("history", ["none", "snapshots"])
def test_a_catalog(shelf: Shelf, history: str) -> None:
    shelf.objects("format: parquet", "load: catalog", f"history: {history}")
    shelf.drop("a.parquet", FIRST)
    first = shelf.steps()
    assert shown(first.do()) == {"inserted": 3}
    shelf.drop("a.parquet", SECOND)
    second = shelf.steps()

    assert shown(second.do()) == ({"inserted": 2, "deleted": 3} if history == "none" else {"inserted": 2})
    assert is_referred(first)
    assert is_referred(second)
    kept = [] if history == "none" else [(1, "a"), (2, None), (2, None)]
    assert shelf.rows() == sorted([(1, "b"), (3, "ż"), *kept], key=str)


def test_a_damaged_page_that_nobody_has_read_is_refused_by_bigquery_and_told(shelf: Shelf) -> None:
    shelf.objects(*TRANSACTIONAL)
    whole = parquet(*((n, None, None) for n in range(1000)))
    shelf.drop("a.parquet", whole[:4] + bytes(500) + whole[504:])
    steps = shelf.steps()
    steps.do("extract", "sanitize")
    assert is_referred(steps)

    with pytest.raises(AirflowFailException, match=r"/drop/a\.parquet: the file is damaged"):
        steps.do("load")
    assert shelf.rows() == []


def test_every_step_can_be_tried_again(shelf: Shelf) -> None:
    shelf.objects(*TRANSACTIONAL)
    shelf.drop("a.parquet", FIRST)
    steps = shelf.steps()
    for step in ("extract", "sanitize", "load"):
        steps.do(step)
        steps.do(step)
    report = steps.do("publish")

    assert steps.do("publish") == report
    assert shown(report) == {"inserted": 3}
    assert is_referred(steps)
    assert shelf.run(full_refresh=True) == {"inserted": 3, "deleted": 3}
    assert len(shelf.rows()) == 3
