"""Keeps what a first reading of files has parsed, so that a second one need not, as long as that is little."""

from __future__ import annotations

from collections.abc import Iterator

from etl_factory.schema.rows import Batch

KEPT_BYTES = 64 * 1024 * 1024


class Kept:
    """The batches of whole files by name, of KEPT_BYTES in all; a file that is too large is not kept at all."""

    def __init__(self) -> None:
        self._files: dict[str, list[Batch]] = {}
        self._begun: list[Batch] | None = None
        self._held = 0

    @property
    def keeps(self) -> bool:
        """Whether anything of the file that was begun last is kept."""
        return self._begun is not None

    def begin(self) -> None:
        """Begin with a file; what was begun before and got no name is forgotten."""
        self.forget()
        self._begun = []

    def add(self, batch: Batch) -> None:
        """Keep the next batch of the file."""
        if self._begun is None:
            return
        self._begun.append(batch)
        self._held += _size(batch)
        if self._held > KEPT_BYTES:
            self.forget()

    def forget(self) -> None:
        """Keep nothing of the file."""
        self._held -= sum(map(_size, self._begun or ()))
        self._begun = None

    def name(self, name: str) -> None:
        """End the file; its name is what to `take` it by."""
        if self._begun is not None:
            self._files[name], self._begun = self._begun, None

    def take(self, name: str) -> list[Batch] | None:
        """Return all batches of a file, once; None where it was not kept. `handed_out` gives them on."""
        found = self._files.pop(name, None)
        self._held -= sum(map(_size, found or ()))
        return found


def handed_out(batches: list[Batch]) -> Iterator[Batch]:
    """Yield batches in order, and hold none of them any longer."""
    batches.reverse()
    while batches:
        yield batches.pop()


def _size(batch: Batch) -> int:
    rejects = sum(len(reject.row) for reject in batch.rejects)
    return int(batch.rows.nbytes + batch.records.nbytes) + rejects
