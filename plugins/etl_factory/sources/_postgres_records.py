"""Takes apart, a column at a time, what PostgreSQL sends of a row as one record: its values of fixed width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from etl_factory.sources._postgres_types import PostgresColumn, declared_type

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

# A record is a count, then of each value its type and its length, and the value, all of them big-endian:
# https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/utils/adt/rowtypes.c, record_send().
_COUNT, _HEAD, _LENGTH = 4, 8, np.dtype(">i4")
_NULL = -1
# How each type is sent; times and dates count from 2000-01-01.
_SENT = {16: ">u1", 21: ">i2", 23: ">i4", 20: ">i8", 700: ">f4", 701: ">f8",
         1082: ">i4", 1114: ">i8", 1184: ">i8"}  # fmt: skip
_EPOCH = {1082: 10_957, 1114: 946_684_800_000_000, 1184: 946_684_800_000_000}
FIXED = frozenset(_SENT)


class Records:
    """The records of `columns`, whose types are all among FIXED, in the order in which they were sent."""

    def __init__(self, columns: Sequence[PostgresColumn]) -> None:
        self.columns = columns
        self.sent = [np.dtype(_SENT[column.oid]) for column in columns]
        self.whole = _COUNT + sum(_HEAD + of.itemsize for of in self.sent)

    def arrays(self, records: pa.Array) -> list[pa.Array]:
        """Return one array per column, of binary records.

        Raises AssertionError if the records are not of these columns.
        """
        ends = np.frombuffer(records.buffers()[1], np.int32, len(records) + 1, records.offset * 4)
        data = np.frombuffer(records.buffers()[2] or b"", np.uint8)
        if (np.diff(ends) == self.whole).all():
            return self._regular(data[ends[0] : ends[-1]])
        return self._irregular(data, ends)

    def _regular(self, data: npt.NDArray[np.uint8]) -> list[pa.Array]:
        """Take records without a NULL: they are as long as each other."""
        heads = np.cumsum([_COUNT, *(_HEAD + of.itemsize for of in self.sent)])[:-1]
        layout = {
            "names": [str(at) for at in range(len(self.sent))],
            "formats": self.sent,
            "offsets": [int(head) + _HEAD for head in heads],
            "itemsize": self.whole,
        }
        table = data.view(np.dtype(layout))  # type: ignore[call-overload]  # its stubs know no such mapping
        return [_array(column, table[str(at)], None) for at, column in enumerate(self.columns)]

    def _irregular(self, data: npt.NDArray[np.uint8], ends: npt.NDArray[np.int32]) -> list[pa.Array]:
        """Walk all records at once, value by value: a NULL takes no room."""
        at = ends[:-1].astype(np.int64) + _COUNT
        lengths = _anywhere(data, _LENGTH)
        arrays = []
        for column, sent in zip(self.columns, self.sent, strict=True):
            length = lengths[at + _HEAD - _LENGTH.itemsize]
            valid = length != _NULL
            at += _HEAD
            values = np.zeros(len(at), sent)
            if valid.any():
                values[valid] = _anywhere(data, sent)[at[valid]]
            arrays.append(_array(column, values, valid))
            at += np.where(valid, length, 0)
        if (at != ends[1:]).any():
            raise AssertionError(f"records of {len(self.columns)} values end elsewhere than their values")
        return arrays


def _anywhere(data: npt.NDArray[np.uint8], type_: np.dtype[Any]) -> npt.NDArray[Any]:
    """View bytes as values that begin at any of them."""
    return np.ndarray((len(data) - type_.itemsize + 1,), type_, data, strides=(1,))


def _array(column: PostgresColumn, values: npt.NDArray[Any], valid: npt.NDArray[np.bool_] | None) -> pa.Array:
    import pyarrow as pa

    native = values.astype(values.dtype.newbyteorder("="))
    if column.oid in _EPOCH:  # a float to which 0 is added is no -0.0 any more
        native += native.dtype.type(_EPOCH[column.oid])
    declared = declared_type(column)
    held = _bits(native) if pa.types.is_boolean(declared) else native
    buffers = [None if valid is None else pa.py_buffer(_bits(valid)), pa.py_buffer(held)]
    return pa.Array.from_buffers(declared, len(values), buffers)


def _bits(flags: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return np.packbits(flags, bitorder="little")
