"""Keeps what the BigQuery emulator has written down of datasets and tables at hand, since it asks per statement."""

from __future__ import annotations

import threading
from typing import Any

from local_bigquery.catalog import metadata, row_access

Key = tuple[Any, ...]
SECURED = ("secured",)
MOST = 1000
read, save_resource, delete_resource, read_secured = (
    metadata.list_, metadata.save, metadata.delete, row_access.secured
)  # fmt: skip


class Kept:
    """Resources by kind and the keys they were asked for; a write forgets what it may have changed."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.known: dict[Key, Any] = {}

    def list(self, model: type, *keys: str) -> Any:
        """Return the resources under some keys."""
        with self.lock:
            if len(self.known) > MOST:
                self.known.clear()
            if (model, *keys) not in self.known:
                self.known[(model, *keys)] = read(model, *keys)
            return list(self.known[(model, *keys)])

    def secured(self) -> Any:
        """Return the tables with row access policies."""
        with self.lock:
            if SECURED not in self.known:
                self.known[SECURED] = read_secured()
            return self.known[SECURED]

    def save(self, resource: Any, *keys: str) -> Any:
        """Write a resource."""
        with self.lock:
            self._forget(type(resource), keys)
            return save_resource(resource, *keys)

    def delete(self, model: type, *keys: str) -> None:
        """Delete a resource, or all under some keys."""
        with self.lock:
            self._forget(model, keys)
            delete_resource(model, *keys)

    def _forget(self, model: type, keys: Key) -> None:
        if model is metadata.RowAccessPolicy:
            self.known.pop(SECURED, None)
        for known in [key for key in self.known if key[0] is model]:
            shared = min(len(keys), len(known) - 1)
            if known[1 : shared + 1] == keys[:shared]:
                del self.known[known]


def install() -> None:
    """Put these in the place of the emulator's own."""
    kept = Kept()
    metadata.list_, metadata.save, metadata.delete = kept.list, kept.save, kept.delete
    row_access.secured = kept.secured
