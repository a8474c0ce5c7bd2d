"""Objects on a real server, held against what a manifest lists of them."""

from __future__ import annotations

import io
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.cloud import storage

from etl_factory.errors import StaleError
from etl_factory.landing.manifest import Part
from etl_factory.landing.objects import Landing
from etl_factory.landing.unchanged import demand_unchanged, differences


def parquet(*ids: int) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table({"id": ids}), stream)
    return stream.getvalue()


@pytest.fixture
def parts(landing: Landing, bucket: str) -> list[Part]:
    """Write more objects than are asked for at once."""
    made = []
    for number in range(20):
        uri = f"gs://{bucket}/part-{number:05d}.parquet"
        with landing.create(uri) as stream:
            stream.write(parquet(*range(number + 1)))
        made.append(replace(landing.stat(uri), rows=number + 1))
    return made


def test_what_is_as_listed(landing: Landing, parts: list[Part]) -> None:
    demand_unchanged(landing, parts)
    demand_unchanged(landing, ())

    assert list(differences(landing, parts)) == []


@pytest.mark.parametrize("number", [0, 11, 19])
def test_the_one_that_was_written_again_is_named(
    landing: Landing, client: storage.Client, bucket: str, parts: list[Part], number: int
) -> None:
    client.bucket(bucket).blob(f"part-{number:05d}.parquet").upload_from_string(parquet(*range(number + 1)))

    with pytest.raises(StaleError, match=rf"part-{number:05d}\.parquet was changed: its manifest lists"):
        demand_unchanged(landing, parts)


def test_what_differs_is_told_of_each(landing: Landing, bucket: str, parts: list[Part]) -> None:
    with landing.create(f"gs://{bucket}/text") as stream:
        stream.write(b"no Parquet")
    listed = [
        replace(parts[3], rows=5),
        parts[4],
        replace(landing.stat(f"gs://{bucket}/text"), rows=1),
        replace(parts[5], uri=f"gs://{bucket}/none"),
    ]

    rows, unreadable, gone = differences(landing, listed)

    assert rows == (
        f"{parts[3].uri} holds 4 rows with checksum {parts[3].md5}, but its manifest lists 5 rows with checksum"
        f" {parts[3].md5}"
    )
    assert unreadable.startswith(f"gs://{bucket}/text cannot be read: ")
    assert gone == f"landing object gs://{bucket}/none is gone: clear the run from `extract`"
