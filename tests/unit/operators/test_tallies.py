"""What became of each file travels in the publish's request, or in parts of its own where that is too small."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from etl_factory.landing.manifest import FileTally
from etl_factory.operators import tallies
from etl_factory.operators.tallies import TALLIES, fits_request, write_tallies
from etl_factory.warehouse.client import MOST_BYTES
from etl_factory.warehouse.parameters import parameter
from etl_factory.warehouse.sql import TALLY_COLUMNS
from fakes import MORNING, FakeLanding


def files(count: int, uri: str = "s3://drops/{}.csv") -> tuple[FileTally, ...]:
    return tuple(FileTally(uri.format(n), f"etag-{n}", MORNING, 10**12, 10**9, n) for n in range(count))


def request_of(of: tuple[FileTally, ...]) -> int:
    """Return how long the parameters are that name the files."""
    columns: dict[str, tuple[Any, ...]] = {
        "uris": tuple(file.uri for file in of), "versions": tuple(file.version for file in of),
        "sizes": tuple(file.size for file in of), "file_rows": tuple(file.rows for file in of),
        "file_quarantined": tuple(file.quarantined for file in of),
        "modified": tuple(datetime.fromisoformat(file.modified) for file in of),
    }  # fmt: skip
    return sum(len(json.dumps(parameter(name, values).to_api_repr())) for name, values in columns.items())


@pytest.mark.parametrize(
    "uri", ["s3://drops/{}.csv", "s3://drops/" + "p" * 990 + "{}", "s3://" + "ż" * 500 + "{}"]
)
def test_whatever_fits_is_far_from_the_limit(uri: str) -> None:
    spelt = len(json.dumps(uri.format(99_999))) + len(json.dumps("etag-99999")) + tallies.AROUND
    most = files(tallies.MOST_BYTES // spelt, uri)

    assert fits_request(most)
    assert not fits_request((*most, *most[: len(most) // 5]))
    assert request_of(most) < MOST_BYTES * 0.8


def test_a_few_files_have_no_part_of_their_own() -> None:
    landing = FakeLanding()

    assert write_tallies(files(1000), landing, "gs://l/p") == ()  # type: ignore[arg-type]  # a fake
    assert landing.objects == {}


def test_many_files_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "MOST_BYTES", 100)
    landing = FakeLanding()
    parts = write_tallies(files(2), landing, "gs://l/p")  # type: ignore[arg-type]  # a fake

    assert [(part.uri, part.rows) for part in parts] == [("gs://l/p/files-00000.parquet", 2)]
    assert landing.rows(parts)[1] == {
        "uri": "s3://drops/1.csv", "version": "etag-1", "size": 10**12,
        "modified": datetime(2025, 6, 1, 6, tzinfo=UTC), "file_rows": 10**9, "quarantined": 1,
    }  # fmt: skip


def test_the_part_has_the_columns_of_its_staging_table() -> None:
    types = {"STRING": pa.string(), "INT64": pa.int64(), "TIMESTAMP": pa.timestamp("us", "UTC")}

    assert pa.schema([pa.field(name, types[type_]) for name, type_ in TALLY_COLUMNS.items()]) == TALLIES
