"""Keeps one row of a table as bytes, exactly as it was read, so that it can be cleaned again later."""

from __future__ import annotations

import pyarrow as pa

LONGEST = 8 * 1024 * 1024
_DECLARED = b"declared"


def pack(row: pa.RecordBatch, declared: pa.Schema) -> bytes | None:
    """Encode a batch of one row with the types that its source declared; None for one that is too long to keep."""
    kept = row.replace_schema_metadata({_DECLARED: declared.serialize().to_pybytes()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, kept.schema) as writer:
        writer.write_batch(kept)
    packed = sink.getvalue()
    return packed.to_pybytes() if packed.size <= LONGEST else None


def unpack(packed: bytes) -> tuple[pa.RecordBatch, pa.Schema]:
    """Decode what `pack` gave: the row, and the declared schema."""
    with pa.ipc.open_stream(pa.py_buffer(packed)) as reader:
        row = reader.read_next_batch()
    declared = pa.ipc.read_schema(pa.py_buffer(row.schema.metadata[_DECLARED]))
    return row.replace_schema_metadata(None), declared
