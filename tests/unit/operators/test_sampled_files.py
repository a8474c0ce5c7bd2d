"""A run with a row limit parses no more records of its files, and guesses types from those alone."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl_factory.landing.manifest import Manifest
from etl_factory.operators.sanitizing import Sanitizer
from etl_factory.schema.rows import Batch, Reject, first_records
from examples import Write
from fakes import FakeLanding, manifest_of, resource_of

Clean = Callable[..., Manifest]


def parquet(ids: list[int]) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table({"id": ids}), stream)
    return stream.getvalue()


ENCODED: dict[str, Callable[[list[Any]], bytes]] = {
    "csv": lambda ids: "\n".join(["id", *map(str, ids), ""]).encode(),
    "jsonl": lambda ids: "\n".join(json.dumps({"id": i}) for i in ids).encode(),
    "json": lambda ids: json.dumps([{"id": i} for i in ids]).encode(),
    "parquet": parquet,
}


@pytest.fixture
def landing() -> FakeLanding:
    return FakeLanding()


@pytest.fixture
def sample(write: Write, landing: FakeLanding) -> Clean:
    """Return a function that cleans files of one format under a row limit."""

    def run(format_: str, limit: int, *files: bytes, spec: str = "") -> Manifest:
        resource = resource_of(
            write, f"path: s3://drops/**\nformat: {format_}\nload: catalog\n{spec}", type_="s3"
        )
        parts = tuple(landing.put_file(f"f{n}", data) for n, data in enumerate(files))
        manifest = manifest_of(resource, parts=parts)
        manifest = replace(manifest, plan=replace(manifest.plan, row_limit=limit))
        return Sanitizer(resource, landing, manifest, "sanitize-1").run(None)

    return run


@pytest.mark.parametrize(
    ("limit", "expected"), [(1, [1]), (3, [1, 2, 3]), (5, [1, 2, 3, 4, 5]), (99, [*range(1, 7)])]
)
@pytest.mark.parametrize("format_", ENCODED)
def test_the_first_records_of_all_files_are_staged(
    sample: Clean, landing: FakeLanding, format_: str, limit: int, expected: list[int]
) -> None:
    encode = ENCODED[format_]

    done = sample(format_, limit, encode([1, 2, 3]), encode([]), encode([4, 5, 6]))

    assert [row["id"] for row in landing.rows(done.parts)] == expected
    assert done.rows_read == done.rows_staged == len(expected)


@pytest.mark.parametrize("format_", ["csv", "jsonl", "json"])
def test_types_are_those_of_the_records_looked_at(sample: Clean, format_: str) -> None:
    done = sample(format_, 2, ENCODED[format_]([1, 2, "three"]), ENCODED[format_](["four"]))

    assert {field["name"]: field["type"] for field in done.fields}["id"] == "INT64"


def test_broken_records_count(sample: Clean) -> None:
    lines = b'{"id": 1}\nbroken\n{"id": 3}\n{"id": 4}\n'

    done = sample("jsonl", 3, lines, spec="max_bad_rows: 1")

    assert (done.rows_read, done.rows_staged, done.rows_quarantined) == (3, 2, 1)


def batch(*numbers: int, broken: tuple[int, ...] = ()) -> Batch:
    rows = pa.record_batch({"id": pa.array(numbers, pa.int64())})
    return Batch(rows, pa.array(numbers, pa.int64()), tuple(Reject(n, n, "", "", "", "") for n in broken))


@pytest.mark.parametrize(
    ("limit", "kept"),
    [(0, []), (1, [1]), (2, [1, 2]), (4, [1, 2, 3, 5]), (5, [1, 2, 3, 5, 6]), (9, [1, 2, 3, 5, 6])],
)
def test_records_come_in_the_order_of_their_file(limit: int, kept: list[int]) -> None:
    found = list(first_records(iter([batch(1, 3, broken=(2,)), batch(6, broken=(5,))]), limit))

    numbers = [n for b in found for n in [*b.records.to_pylist(), *(r.record for r in b.rejects)]]
    assert sorted(numbers) == kept
    assert [b.rows.num_rows for b in found] == [len(b.records) for b in found]
    assert all(b.rows.schema.names == ["id"] for b in found)
    assert found


def test_without_a_limit_every_record_passes() -> None:
    batches = [batch(1, 2), batch(3)]

    assert list(first_records(iter(batches), None)) == batches
