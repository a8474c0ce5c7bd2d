"""Rows of PostgreSQL as Arrow: how they are asked for, and what becomes of the batches that the driver gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from etl_factory.sources._postgres_types import FIXED, TEMPORAL, PostgresColumn, expression

if TYPE_CHECKING:
    import pyarrow as pa

# The server takes 1 KB of memory to send a value, and the driver its time. Of more values than these, memory of a row
# is more than glibc's malloc keeps from one row to the next (128 KB): https://man7.org/linux/man-pages/man3/mallopt.3.html
MOST_VALUES = 112


class Rows:
    """Ask for columns, and give what comes in the columns' order.

    Of a table with very many columns, those of fixed width come as one value per row, which is taken apart by column:
    for both sides that is less work than as many values. `temporal_as_text`: see `expression`.
    """

    def __init__(self, columns: Sequence[PostgresColumn], *, temporal_as_text: bool) -> None:
        self.columns, self.temporal_as_text = columns, temporal_as_text
        fixed = [c for c in columns if c.oid in FIXED and not (temporal_as_text and c.oid in TEMPORAL)]
        self.packed = fixed if len(columns) > MOST_VALUES else []
        apart = {column.name for column in self.packed}
        self.others = [column for column in columns if column.name not in apart]

    def listed(self) -> str:
        """Return the list of a SELECT."""
        named = (
            f"{expression(c, quoted(c.name), temporal_as_text=self.temporal_as_text)} AS {quoted(c.name)}"
            for c in self.others
        )
        return ", ".join([*([self._record()] if self.packed else []), *named])

    def _record(self) -> str:
        return f"record_send(ROW({', '.join(quoted(column.name) for column in self.packed)}))"

    def batch(self, read: pa.RecordBatch) -> pa.RecordBatch:
        """Return a batch of the columns; the driver's extension wrappings and metadata are gone."""
        import pyarrow as pa

        from etl_factory.sources._postgres_records import Records

        arrays = list(read.columns)
        records = Records(self.packed).arrays(arrays.pop(0)) if self.packed else []
        found = dict(zip((c.name for c in self.packed), records, strict=True))
        found |= {c.name: _bare(array) for c, array in zip(self.others, arrays, strict=True)}
        names = [column.name for column in self.columns]
        return pa.RecordBatch.from_arrays([found[name] for name in names], names=names)


def quoted(name: str) -> str:
    """Write a name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def _bare(column: pa.Array) -> pa.Array:
    from etl_factory.schema.types import is_uuid
    from etl_factory.schema.uuids import spelt_uuids

    return spelt_uuids(column) if is_uuid(column.type) else getattr(column, "storage", column)
