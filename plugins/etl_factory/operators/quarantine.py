"""Bad rows on their way to the quarantine table: counted, written as parts, and shown in messages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

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
        pa.field("column", pa.string()),
        pa.field("value", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("row", pa.string()),
        pa.field("quarantined_at", pa.timestamp("us", "UTC")),
    ]
)
SHOWN = 5


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
        self.rows += len(bad)
        self._first += [_shown(where, reject) for reject in bad[: SHOWN - len(self._first)]]
        if held := (*bad, *discarded):
            writer.write(self._batch(where, held))

    @property
    def first(self) -> str:
        """The first few bad rows in words."""
        return "; ".join(self._first)

    def _batch(self, where: str, rejects: tuple[Reject, ...]) -> pa.RecordBatch:
        moment = datetime.now(UTC)
        rows = [
            {
                "resource": self.resource,
                "load_id": self.load_id,
                "file": where,
                "record": reject.record,
                "line": reject.line,
                "column": reject.column,
                "value": reject.value,
                "reason": reject.reason,
                "row": reject.row,
                "quarantined_at": moment,
            }
            for reject in rejects
        ]
        return pa.RecordBatch.from_pylist(rows, QUARANTINE)


def _shown(where: str, reject: Reject) -> str:
    column = f", column {reject.column!r}" if reject.column else ""
    line = "" if reject.line is None else f" (line {reject.line})"
    return f"{where}, record {reject.record}{line}{column}: {reject.value[:80]!r} {reject.reason}"
