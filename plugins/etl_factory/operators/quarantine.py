"""Bad rows on their way to the quarantine table: counted, written as parts, and shown in messages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

import pyarrow as pa

from etl_factory.landing.parts import PartWriter
from etl_factory.schema.rows import Reject

QUARANTINE = pa.schema(
    [
        pa.field("resource", pa.string()),
        pa.field("load_id", pa.string()),
        pa.field("file", pa.string()),
        pa.field("record", pa.int64()),
        pa.field("line", pa.int64()),
        pa.field("key", pa.string()),
        pa.field("column", pa.string()),
        pa.field("value", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("row", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("raw", pa.binary()),
        pa.field("quarantined_at", pa.timestamp("us", "UTC")),
    ]
)
SHOWN = 5
# A row that is not published, or a single value of a row that is published with NULL in its place.
Kind = Literal["row", "value"]


class Quarantine:
    """Rows set aside by one load; `rows` counts them, without the rows whose single values were discarded."""

    def __init__(self, resource: str, load_id: str) -> None:
        self.resource, self.load_id = resource, load_id
        self.rows = 0
        self._first: list[str] = []

    def add(
        self, where: str, rejects: Iterable[Reject], discarded: Iterable[Reject], writer: PartWriter
    ) -> None:
        """Count the rejects of one batch of the object `where`, and write them and the discarded values."""
        bad = tuple(rejects)
        self.count(where, bad)
        held = [self._entry(where, reject, "row") for reject in bad]
        held += [self._entry(where, reject, "value") for reject in discarded]
        if held:
            writer.write(pa.RecordBatch.from_pylist(held, QUARANTINE))

    def count(self, where: str, bad: tuple[Reject, ...]) -> None:
        """Count bad rows that are not written, and remember the first in words."""
        self.rows += len(bad)
        self._first += [_shown(where, reject) for reject in bad[: SHOWN - len(self._first)]]

    @property
    def first(self) -> str:
        """The first few bad rows in words."""
        return "; ".join(self._first)

    def _entry(self, where: str, reject: Reject, kind: Kind) -> dict[str, object]:
        return {
            "resource": self.resource,
            "load_id": self.load_id,
            "file": where,
            "record": reject.record,
            "line": reject.line,
            "key": reject.key,
            "column": reject.column,
            "value": reject.value,
            "reason": reject.reason,
            "row": reject.row,
            "kind": kind,
            "raw": reject.raw,
            "quarantined_at": datetime.now(UTC),
        }


def _shown(where: str, reject: Reject) -> str:
    key = f", key {reject.key[:80]}" if reject.key else ""
    column = f", column {reject.column!r}" if reject.column else ""
    line = "" if reject.line is None else f" (line {reject.line})"
    return f"{where}, record {reject.record}{line}{key}{column}: {reject.value[:80]!r} {reject.reason}"
