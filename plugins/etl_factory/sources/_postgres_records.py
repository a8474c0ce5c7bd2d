"""Takes apart, a column at a time, what PostgreSQL sends of a row as one record: its values of fixed width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from etl_factory.sources._postgres_types import FIXED, OtherColumnError, PostgresColumn, declared_type

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

# A record is a count, then of each value a head, which is its type and its length, and the value, all big-endian:
# https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/utils/adt/rowtypes.c, record_send().
_COUNT, _HEAD = 4, np.dtype(">i8")
_LENGTH_BITS, _NULL = 32, 0xFFFFFFFF
# Dates count the days, moments the microseconds, from 2000-01-01.
_EPOCH = {1082: 10_957, 1114: 946_684_800_000_000, 1184: 946_684_800_000_000}


class Records:
    """The records of `columns`, whose types are all among FIXED, in the order in which they were sent."""

    def __init__(self, columns: Sequence[PostgresColumn]) -> None:
        self.columns = columns
        self.sent = [np.dtype(FIXED[column.oid]) for column in columns]
        self.whole = _COUNT + sum(_HEAD.itemsize + of.itemsize for of in self.sent)

    def arrays(self, records: pa.Array) -> list[pa.Array]:
        """Return one array per column, of binary records; raises OtherColumnError unless they are of these columns."""
        import pyarrow as pa

        if not len(records):
            return [pa.array([], declared_type(column)) for column in self.columns]
        ends = np.frombuffer(records.buffers()[1], np.int32, len(records) + 1, records.offset * 4)
        data = np.frombuffer(records.buffers()[2], np.uint8)
        if (np.diff(ends) == self.whole).all():
            return self._regular(data[ends[0] : ends[-1]])
        return self._irregular(data, ends)

    def _regular(self, data: npt.NDArray[np.uint8]) -> list[pa.Array]:
        """Take records that are as long as those without a NULL."""
        begins = np.cumsum([_COUNT, *(_HEAD.itemsize + of.itemsize for of in self.sent)])[:-1]
        arrays = []
        for column, sent, begin in zip(self.columns, self.sent, begins.tolist(), strict=True):
            heads, values = (
                _every(data, type_, at, self.whole)
                for type_, at in ((_HEAD, begin), (sent, begin + _HEAD.itemsize))
            )
            if (heads != _head(column, sent.itemsize)).any():
                raise OtherColumnError(column.name)
            arrays.append(_array(column, values, None))
        return arrays

    def _irregular(self, data: npt.NDArray[np.uint8], ends: npt.NDArray[np.int32]) -> list[pa.Array]:
        """Walk all records at once, value by value: a NULL takes no room."""
        at = ends[:-1].astype(np.int64) + _COUNT
        arrays = []
        for column, sent in zip(self.columns, self.sent, strict=True):
            if (at + _HEAD.itemsize > ends[1:]).any():
                raise OtherColumnError(column.name)
            heads = _anywhere(data, _HEAD)[at]
            valid = heads == _head(column, sent.itemsize)
            at += _HEAD.itemsize
            after = at + np.where(valid, sent.itemsize, 0)
            if (after > ends[1:]).any() or (heads[~valid] != _head(column, _NULL)).any():
                raise OtherColumnError(column.name)
            values = np.zeros(len(at), sent)
            if valid.any():
                values[valid] = _anywhere(data, sent)[at[valid]]
            arrays.append(_array(column, values, valid))
            at = after
        if (at != ends[1:]).any():
            raise OtherColumnError(self.columns[-1].name)
        return arrays


def _head(column: PostgresColumn, length: int) -> int:
    """Return the head of a value; oids are below 2**32, and those with the highest bit set are negative here."""
    head = column.own << _LENGTH_BITS | length
    return head - 2**64 if head >= 2**63 else head


def _every(data: npt.NDArray[np.uint8], type_: np.dtype[Any], begin: int, step: int) -> npt.NDArray[Any]:
    """View the value that begins so many bytes after the beginning of each record, of `step` bytes."""
    return np.ndarray((len(data) // step,), type_, data, begin, (step,))


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
