"""Chooses which records of which files a run with a row limit looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from etl_factory.landing.manifest import Part
from etl_factory.schema.rows import Batch, first_records

Take = tuple[Part, int | None]


def takes(
    parts: tuple[Part, ...], limit: int | None, read: Callable[[Part], Iterator[Batch]]
) -> tuple[Take, ...]:
    """Return the parts that hold the first `limit` records, and how many each gives; None: all of all parts."""
    if limit is None:
        return tuple((part, None) for part in parts)
    found: list[Take] = []
    for part in parts:
        held = sum(len(batch) for batch in first_records(read(part), limit))
        found.append((part, held))
        limit -= held
        if not limit:
            break
    return tuple(found)
