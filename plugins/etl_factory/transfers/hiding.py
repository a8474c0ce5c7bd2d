"""Takes out of a quarantined row what config leaves out by now, and tells a row that config masks otherwise by now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_factory.schema.masking import Masking, mark_of
from etl_factory.schema.raw import pack, unpack
from etl_factory.sources.specs import Columns

if TYPE_CHECKING:
    import pyarrow as pa


def let_through(packed: bytes, columns: Columns) -> tuple[bytes, pa.Schema] | None:
    """Return the row as it may be written, and its declared schema; None where its masks are not those of config.

    Such a row holds a column's plain values, or hides them in another way than the published rows do.
    """
    import pyarrow as pa

    row, declared = unpack(packed)
    kept = [
        name
        for name in row.schema.names
        if name not in columns.exclude and (not columns.include or name in columns.include)
    ]
    if any(mark_of(declared.field(name)) != _wanted(name, columns) for name in kept):
        return None
    if kept == row.schema.names:
        return packed, declared
    declared = pa.schema([declared.field(name) for name in kept])
    left = pack(row.select(kept), declared)
    return None if left is None else (left, declared)


def _wanted(name: str, columns: Columns) -> str:
    mask = columns.mask.get(name)
    if mask is None:
        return ""
    return Masking(mask.how, mask.by if mask.how == "date_trunc" else "").mark
