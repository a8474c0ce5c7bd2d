"""Makes batches of records that were parsed one by one: their values as JSON text, and what was no object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from etl_factory.schema.rows import Batch, Reject, bounded
from etl_factory.sources.formats._json_records import Record, printable
from etl_factory.sources.formats._json_typed import as_json, rows_of
from etl_factory.sources.formats.base import BATCH_ROWS

BATCH_CHARACTERS = 32 * 1024 * 1024


def chunked(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Cut records into chunks of bounded rows and characters."""
    chunk: list[Record] = []
    held = 0
    for found in records:
        chunk.append(found)
        held += len(found.raw)
        if len(chunk) == BATCH_ROWS or held >= BATCH_CHARACTERS:
            yield chunk
            chunk, held = [], 0
    yield chunk


def batch_of(chunk: list[Record]) -> Batch:
    """Return the objects of a chunk as rows, with the keys that each of them has, and all else as rejects."""
    good = [found.value for found in chunk if found.value is not None]
    rejects = tuple(_reject(found) for found in chunk if found.value is None)
    names = dict.fromkeys(name for value in good for name in value)
    columns = {name: as_json(pa.array([value.get(name) for value in good], pa.string())) for name in names}
    numbers = pa.array([found.number for found in chunk if found.value is not None], pa.int64())
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    keys = [known.setdefault(own, own) for own in map(tuple, good)]
    return Batch(rows_of(columns, len(good)), numbers, rejects, keys=keys)


def _reject(found: Record) -> Reject:
    return Reject(found.number, found.line, "", "", found.reason, bounded(printable(found.raw)))
