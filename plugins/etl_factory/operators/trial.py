"""Cleans records while those after them are still being looked at, by what the first of them show."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType

import pyarrow as pa

from etl_factory.landing.manifest import Part
from etl_factory.operators.rewriting import Rewriting, Written
from etl_factory.schema.rows import Batch
from etl_factory.schema.sanitize import Cleaning

HELD_BYTES = 16 * 1024 * 1024


class Trial:
    """Cleans by what the first HELD_BYTES of records show, for as long as those after them show nothing else.

    Nothing of it counts unless all records show the same in the end, which those of most files do: then they need
    not be read again. The first records are held until there are so many of them: of fewer, all are known by then.

    `begin` starts to write by a schema, or returns None where none of it can be a table; `taken_as` is the reader's.
    """

    def __init__(
        self,
        begin: Callable[[pa.Schema], Rewriting | None],
        taken_as: Callable[[Batch, pa.Schema], Batch | None],
    ) -> None:
        self._begin, self._taken_as = begin, taken_as
        self._held: list[tuple[Part, Batch | None]] = []
        self._held_bytes = 0
        self._shown: pa.Schema | None = None
        self._rewriting: Rewriting | None = None
        self._block = ExitStack()
        self._is_over = False

    def add(self, part: Part, batch: Batch, shown: pa.Schema) -> None:
        """Take the next records of a part; `shown` is the schema that they and all before them show."""
        if self._is_over:
            return
        if self._shown is not None and not shown.equals(self._shown):
            self._give_up()
            return
        self._take(part, batch)
        if self._shown is None and self._held_bytes >= HELD_BYTES:
            self._decide(shown)

    def end(self, part: Part) -> None:
        """Take note that a part has no more records."""
        if not self._is_over:
            self._take(part, None)

    def written(self, shown: pa.Schema, cleaning: Cleaning) -> Written | None:
        """Return what is written of all records, None where they have to be read again.

        `shown` is the schema that all of them show, and `cleaning` what it makes of them.
        """
        if self._shown is None and not self._is_over:
            self._decide(shown)
        if self._rewriting is None or self._rewriting.cleaning != cleaning:
            self._give_up()
            return None
        self._block.close()
        return self._rewriting.written

    def _take(self, part: Part, batch: Batch | None) -> None:
        if self._rewriting is None:
            self._held.append((part, batch))
            self._held_bytes += batch.nbytes if batch else 0
        elif batch is None:
            self._rewriting.end(part)
        elif (taken := self._taken_as(batch, self._rewriting.cleaning.wanted)) is not None:
            self._rewriting.add(part, taken)
        else:
            self._give_up()

    def _decide(self, shown: pa.Schema) -> None:
        self._shown, self._rewriting = shown, self._begin(shown)
        held, self._held = self._held[::-1], []
        if self._rewriting is None:
            self._is_over = True
            return
        self._block.enter_context(self._rewriting)
        while held and not self._is_over:
            self._take(*held.pop())

    def _give_up(self) -> None:
        """Leave no part behind."""
        self._is_over, self._rewriting, self._held = True, None, []
        block, self._block = self._block, ExitStack()
        block.__exit__(Unlike, Unlike(), None)

    def __enter__(self) -> Trial:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._block.__exit__(kind, error, trace)


class Unlike(Exception):
    """Records show another schema than those before them did."""
