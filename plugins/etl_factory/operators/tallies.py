"""Writes what became of each source file into parts of their own, where a publish's request cannot name them all."""

from __future__ import annotations

import json
from datetime import datetime

import pyarrow as pa

from etl_factory.landing.manifest import FileTally, Part
from etl_factory.landing.objects import Landing
from etl_factory.landing.parts import PartWriter

# A request may have 10 MB with all its parameters, and each value of an array comes with about ten bytes around it:
# https://cloud.google.com/bigquery/quotas#query_jobs
MOST_BYTES = 4_000_000
AROUND = (
    150  # bytes that a file's four numbers and times, and what stands around its six values, have at most
)
TALLIES = pa.schema(
    [
        pa.field("uri", pa.string()),
        pa.field("version", pa.string()),
        pa.field("size", pa.int64()),
        pa.field("modified", pa.timestamp("us", "UTC")),
        pa.field("file_rows", pa.int64()),
        pa.field("quarantined", pa.int64()),
    ]
)


def fits_request(files: tuple[FileTally, ...]) -> bool:
    """Tell whether a publish's request can name every file."""
    spelt = (len(json.dumps(file.uri)) + len(json.dumps(file.version)) + AROUND for file in files)
    return sum(spelt) <= MOST_BYTES


def write_tallies(files: tuple[FileTally, ...], landing: Landing, prefix: str) -> tuple[Part, ...]:
    """Write the tallies into a part, unless a request can name every file."""
    if fits_request(files):
        return ()
    columns = [
        [file.uri for file in files],
        [file.version for file in files],
        [file.size for file in files],
        [datetime.fromisoformat(file.modified) for file in files],
        [file.rows for file in files],
        [file.quarantined for file in files],
    ]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, TALLIES, strict=True)]
    with PartWriter(landing, prefix, TALLIES, stem="files") as writer:
        writer.write(pa.RecordBatch.from_arrays(arrays, schema=TALLIES))
    return tuple(writer.parts)
