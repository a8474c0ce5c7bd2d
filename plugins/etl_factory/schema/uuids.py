"""Spells UUIDs as text, a whole column at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_HEX = np.frombuffer(bytes(range(256)).hex().encode(), np.uint16)
_LENGTH = 36
# Where the hex digits of the 8-4-4-4-12 form stand; a hyphen is between them.
_DIGITS = np.array([i for i in range(_LENGTH) if i not in (8, 13, 18, 23)])


def spelt_uuids(array: pa.Array) -> pa.Array:
    """Return UUIDs, given as 16 bytes each, in lower case and with hyphens, as RFC 9562 (section 4) spells them."""
    storage = array.storage if isinstance(array, pa.ExtensionArray) else array
    rows = len(storage)
    data = np.frombuffer(storage.buffers()[1] or b"", np.uint8, rows * 16, storage.offset * 16)
    text = np.full((rows, _LENGTH), ord("-"), np.uint8)
    text[:, _DIGITS] = _HEX[data].view(np.uint8).reshape(rows, 32)
    ends = np.arange(0, rows * _LENGTH + 1, _LENGTH, dtype=np.int32)
    spelt = pa.Array.from_buffers(pa.string(), rows, [None, pa.py_buffer(ends), pa.py_buffer(text)])
    return (
        pc.if_else(storage.is_valid(), spelt, pa.scalar(None, pa.string())) if storage.null_count else spelt
    )
