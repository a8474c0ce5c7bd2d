"""Writes clean parts of what extract left, and sets aside what is bad: every record is counted as one or the other."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

from etl_factory.landing.manifest import FileTally, Part
from etl_factory.landing.objects import Landing
from etl_factory.landing.parts import PartWriter
from etl_factory.operators.declaring import origin
from etl_factory.operators.quarantine import QUARANTINE, Quarantine
from etl_factory.operators.table_parts import demand_rows
from etl_factory.schema.rows import Batch
from etl_factory.schema.sanitize import Cleaning, clean


@dataclass(frozen=True)
class Written:
    """The parts that hold the clean rows, how many these are, the bad ones, and what became of each source object."""

    parts: tuple[Part, ...]
    staged: int
    bad: Quarantine
    quarantine: tuple[Part, ...] = ()
    files: tuple[FileTally, ...] = ()


class Rewriting:
    """Cleans the records of parts, one part after the other; after the block, `written` says what became of them.

    A block that ends by an error leaves no part open.
    """

    def __init__(self, landing: Landing, prefix: str, cleaning: Cleaning, bad: Quarantine) -> None:
        self.cleaning, self.bad, self.staged = cleaning, bad, 0
        self._writer = PartWriter(landing, prefix, cleaning.arrow)
        self._aside = PartWriter(landing, prefix, QUARANTINE, stem="quarantine")
        self._files: list[FileTally] = []
        self._counted = (0, 0)
        self._block = ExitStack()

    def add(self, part: Part, batch: Batch) -> None:
        """Clean the next records of a part."""
        where = origin(part)
        done = clean(batch, self.cleaning, where)
        if done.rows.num_rows:
            self._writer.write(done.rows)
        self.staged += done.rows.num_rows
        self.bad.add(where, (*batch.rejects, *done.rejects), done.discarded, self._aside)

    def end(self, part: Part) -> None:
        """Count a part, which has no more records; raises AccountingError for too few or too many of a table's."""
        staged, bad = self.staged - self._counted[0], self.bad.rows - self._counted[1]
        self._counted = (self.staged, self.bad.rows)
        demand_rows(part, staged + bad)
        if of := part.source:
            self._files.append(FileTally(of.uri, of.version, of.modified, of.size, staged + bad, bad))

    @property
    def written(self) -> Written:
        """What became of all records."""
        return Written(
            tuple(self._writer.parts), self.staged, self.bad, tuple(self._aside.parts), tuple(self._files)
        )

    def __enter__(self) -> Rewriting:
        self._block.enter_context(self._writer)
        self._block.enter_context(self._aside)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._block.__exit__(kind, error, trace)
