"""Hides columns before anything of them is written: the keys that it takes, and the rows of a database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from etl_factory import connections
from etl_factory.config.resource import Resource
from etl_factory.errors import TerminalError
from etl_factory.identity import store_command
from etl_factory.schema.masking import Masking, mask_column, masked_field
from etl_factory.sources.base import TableSnapshot
from etl_factory.windows import CursorKind, Window

LEAST_KEY = 16  # bytes: a shorter one is found by trying
# What stands for a value that `date_trunc` cannot take: no date, so that sanitize does with it what config says.
UNCUT = "(masked)"


def maskings_of(resource: Resource) -> dict[str, Masking]:
    """Return how each column is hidden, with the keys, which stay in this process.

    Raises what `connections.resolve` does for a key that is not there, and TerminalError for one that is too
    short.
    """
    return {
        column: Masking("hmac", key=_key(f"{resource.tenant}__{mask.by}", column))
        if mask.how == "hmac"
        else Masking(mask.how, mask.by)
        for column, mask in resource.spec.columns.mask.items()
    }


def _key(conn_id: str, column: str) -> bytes:
    key = connections.resolve(conn_id).password.encode()
    if len(key) < LEAST_KEY:
        raise TerminalError(
            f"columns.mask of {column!r}: the password of connection {conn_id} is the key of its hmac, and it has"
            f" {len(key)} bytes, where {LEAST_KEY} are the least: a shorter one is found by trying. Store one with"
            f" {store_command(conn_id)}, as generic://:<key>@"
        )
    return key


class MaskedRows(TableSnapshot):
    """A snapshot whose columns are hidden in every batch, in the keys' too, before anybody writes it."""

    def __init__(self, snapshot: TableSnapshot, maskings: Mapping[str, Masking]) -> None:
        self.snapshot, self.maskings = snapshot, maskings
        self.now = snapshot.now
        self.schema = pa.schema(
            [masked_field(f, maskings[f.name]) if f.name in maskings else f for f in snapshot.schema]
        )

    @property
    def settled(self) -> datetime:
        """Moment before which the source is settled, as the snapshot tells."""
        return self.snapshot.settled

    def cursor_kind(self) -> CursorKind:
        """Classify the cursor column as the snapshot does; it is never hidden."""
        return self.snapshot.cursor_kind()

    def greatest(self) -> int | None:
        """Return the greatest cursor value of the whole snapshot."""
        return self.snapshot.greatest()

    def count(self, window: Window | None) -> int:
        """Count the rows of the window as the snapshot does."""
        return self.snapshot.count(window)

    def read(self, window: Window | None) -> Iterator[pa.RecordBatch]:
        """Stream the rows of the window, hidden."""
        return map(self._hidden, self.snapshot.read(window))

    def read_keys(self, keys: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
        """Stream the keys, hidden just as those of the rows are, so that equal keys stay equal."""
        return map(self._hidden, self.snapshot.read_keys(keys))

    def _hidden(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        names = batch.schema.names
        arrays = [self._column(name, column) for name, column in zip(names, batch.columns, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, names=names)

    def _column(self, name: str, column: pa.Array) -> pa.Array:
        masking = self.maskings.get(name)
        if masking is None:
            return column
        text, bad = mask_column(column, self.snapshot.schema.field(name).type, masking)
        return text if bad is None else pc.if_else(bad, UNCUT, text)


def masked_rows(snapshot: TableSnapshot, maskings: Mapping[str, Masking]) -> TableSnapshot:
    """Return the snapshot itself, or its rows with some columns hidden."""
    return MaskedRows(snapshot, maskings) if maskings else snapshot
