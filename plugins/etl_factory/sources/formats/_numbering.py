"""Numbers the records of a delimited file, and finds the lines where the broken ones stand."""

from __future__ import annotations

import threading

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from etl_factory.schema.rows import Batch, Reject, as_records, bounded
from etl_factory.sources.formats.base import Peekable

MOST_AHEAD = 3
IN_CACHE = 128 * 1024
PATIENCE_SECONDS = 1.0


class Blocks(Peekable):
    """A stream that Arrow reads block by block; `lines` counts the lines up to the end of each, left out or not.

    `given` counts those that have come out of Arrow.

    Arrow's own thread reads up to 32 blocks ahead of those that it has given. It is held back to a few here, though
    never for ever, since how many it needs is not promised.
    """

    def __init__(self, source: Peekable, lead: bytes, tail: bytes) -> None:
        super().__init__(source, tail)
        self.held, self.source = lead, source
        self.lines, self._breaks = [0], 0
        self.given, self._turn = 0, threading.Condition()
        self._is_stopped = self._is_over = False

    def give(self) -> None:
        """Note that one more block has come out of Arrow."""
        with self._turn:
            self.given += 1
            self._turn.notify_all()

    @property
    def follows(self) -> bool:
        """Whether a block after those that have come out of Arrow has been read already."""
        return self.given < len(self.lines) - 1

    def _is_wanted(self) -> bool:
        return self._is_stopped or len(self.lines) - 1 - self.given < MOST_AHEAD

    def stop(self) -> None:
        """End the stream for whoever reads on."""
        with self._turn:
            self._is_stopped = True
            self._turn.notify_all()

    def settle(self) -> None:
        """Wait for Arrow's thread to come to the end; not for ever, since it may have ended without."""
        with self._turn:
            self._turn.wait_for(lambda: self._is_over, PATIENCE_SECONDS)

    def read(self, size: int = -1) -> bytes:
        """Return the next block.

        A carriage return at its end is left for the next one, or Arrow drops a line feed there, in a value as well.
        """
        with self._turn:
            self._turn.wait_for(self._is_wanted, PATIENCE_SECONDS)
        block = b"" if self._is_stopped else super().read(size)
        if len(block) > 1 and block.endswith(b"\r"):
            block, self.held = block[:-1], b"\r" + self.held
        if block:
            self._breaks += _line_breaks(block)
            self.lines.append(self._breaks + self.source.dropped)
        else:
            with self._turn:
                self._is_over = True
                self._turn.notify_all()
        return block


def _line_breaks(block: bytes) -> int:
    """Count line feeds, and carriage returns that none follows, as `bytes.count` does in seven times the time."""
    letters = np.frombuffer(block, np.uint8)
    has_returns = b"\r" in block
    breaks = 0
    for start in range(0, len(letters), IN_CACHE):
        feeds = letters[start : start + IN_CACHE + 1] == ord("\n")
        breaks += int(np.count_nonzero(feeds[:IN_CACHE]))
        if has_returns:
            returns = letters[start : start + IN_CACHE] == ord("\r")
            breaks += int(np.count_nonzero(returns))
            after = feeds[1:]
            breaks -= int(np.count_nonzero(returns[: len(after)] & after))
    return breaks


class Numbering:
    """Gives each record its number, broken ones included, and its line where that is beyond doubt.

    Arrow gives a batch for each block. While there were as many lines as records up to the end of a block,
    every record in it is one line; after a value with a line break, or an empty line, nobody knows without
    counting again. The first record of all is not the file's.
    """

    def __init__(self, blocks: Blocks, lines_above: int) -> None:
        self.blocks, self.lines_above = blocks, lines_above
        self.next = 0
        self.broken: list[pacsv.InvalidRow] = []

    def keep(self, row: pacsv.InvalidRow) -> str:
        """Keep a broken row, as Arrow meets it, until its turn comes."""
        self.broken.append(row)
        return "skip"

    def number(self, rows: pa.RecordBatch) -> Batch:
        """Number the next batch, and reject the broken rows among its rows or before them."""
        first = self.next
        taken = self._taken(rows.num_rows)
        self.next = first + rows.num_rows + len(taken)
        self.blocks.give()
        offset = self.lines_above if self.blocks.lines[self.blocks.given] == self.next else None
        rejects = tuple(self._reject(row, offset) for row in self.broken[: len(taken)])
        del self.broken[: len(taken)]
        return Batch(rows, self._free(first, taken), rejects, offset)

    @property
    def latest(self) -> str:
        """Name the last record that Arrow has cut."""
        return f"record {self.broken[-1].number - 1 if self.broken else self.next - 1}"

    @property
    def upcoming(self) -> str:
        """Name the record after the last one that Arrow has cut, and its line if that is known."""
        record = self.next + len(self.broken)
        known = self.blocks.lines[self.blocks.given] == self.next and not self.broken
        return (
            f"record {record}, which begins on line {record + self.lines_above},"
            if known
            else f"record {record}"
        )

    def _taken(self, rows: int) -> list[int]:
        """Return the numbers of the broken rows before the last of so many rows."""
        numbers = sorted(row.number - 1 for row in self.broken)
        end = self.next + rows
        return [number for before, number in enumerate(numbers) if number - before < end]

    def _free(self, first: int, taken: list[int]) -> pa.Array:
        numbers = np.arange(first, self.next, dtype=np.int64)
        return as_records(np.delete(numbers, [number - first for number in taken]))

    def _reject(self, row: pacsv.InvalidRow, offset: int | None) -> Reject:
        number = row.number - 1
        reason = f"{row.actual_columns} fields where {row.expected_columns} were expected"
        line = None if offset is None else number + offset
        return Reject(number, line, "", "", reason, bounded(row.text))
