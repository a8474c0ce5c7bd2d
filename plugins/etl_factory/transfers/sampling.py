"""Cuts what a run reads down to a few rows, for a look that publishes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from etl_factory.landing.manifest import PlannedObject
from etl_factory.sources.base import TableSnapshot
from etl_factory.windows import CursorKind, Window

if TYPE_CHECKING:
    import pyarrow as pa


class FirstRows(TableSnapshot):
    """The first rows of a snapshot, `limit` at most; which ones come first is the source's own choice."""

    def __init__(self, snapshot: TableSnapshot, limit: int) -> None:
        self.snapshot, self.limit = snapshot, limit
        self.schema, self.now = snapshot.schema, snapshot.now
        self._unread: Iterator[pa.RecordBatch] = iter(())

    @property
    def settled(self) -> datetime:
        """Moment before which the source is settled, as the snapshot tells."""
        return self.snapshot.settled

    def cursor_kind(self) -> CursorKind:
        """Classify the cursor column as the snapshot does."""
        return self.snapshot.cursor_kind()

    def greatest(self) -> int | None:
        """Return the greatest cursor value of the whole snapshot."""
        return self.snapshot.greatest()

    def count(self, window: Window | None) -> int:
        """Count the rows that `read` will give."""
        return min(self.snapshot.count(window), self.limit)

    def read(self, window: Window | None) -> Iterator[pa.RecordBatch]:
        """Stream the first rows of the window.

        The rest stays unread until the snapshot is closed, which ends the server's statement: MySQL's client,
        asked to end a read early, reads to its end.
        """
        self._unread, left = self.snapshot.read(window), self.limit
        for batch in self._unread:
            yield batch.slice(0, left)
            left -= min(left, batch.num_rows)
            if not left:
                return


def first_rows(snapshot: TableSnapshot, limit: int | None) -> TableSnapshot:
    """Return the snapshot itself, or its first rows when there is a limit."""
    return snapshot if limit is None else FirstRows(snapshot, limit)


def first_objects(objects: tuple[PlannedObject, ...], limit: int | None) -> tuple[PlannedObject, ...]:
    """Return as many objects as can be needed for the rows: each holds one at least, or shows nothing."""
    return objects if limit is None else objects[:limit]
