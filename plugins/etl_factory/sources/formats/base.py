"""What a format is: it infers a schema from all records of a file, or the first ones, and reads them all."""

from __future__ import annotations

import codecs
import csv
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import IO, ClassVar, NamedTuple, Protocol

import pyarrow as pa

from etl_factory.errors import TerminalError
from etl_factory.schema.rows import Batch
from etl_factory.schema.spelling import PLAIN, Spelling


class Format(ABC):
    """One format. `is_text`: its values are spelt, so that a column's type is a guess from its values.

    `findings` says what was detected, rather than declared, in the file that was opened last; `spelling`, how its
    numbers and moments are to be read.
    """

    is_text: ClassVar[bool]

    findings: tuple[str, ...] = ()
    spelling: Spelling = PLAIN

    @abstractmethod
    def infer(self, stream: IO[bytes], limit: int | None = None) -> pa.Schema:
        """Return the declared schema that holds every record of the stream; a column of NULLs is `null`.

        With a limit, look at no more than so many records.
        """

    @abstractmethod
    def read(self, stream: IO[bytes]) -> Iterator[Batch]:
        """Stream the records: every one is a row of a batch or a reject; spelt values stay as they are spelt."""

    def read_as(self, stream: IO[bytes], wanted: pa.Schema) -> Iterator[Batch]:
        """Stream the records as `read` does; values may come in the type that is wanted of them, where it is theirs."""
        return self.read(stream)


class Seen(NamedTuple):
    """Records that were looked at, and the schema that they and all before them show."""

    batch: Batch
    shown: pa.Schema


class Spelt(Format):
    """A format whose values are spelt: nothing but all of them shows the schema."""

    is_text: ClassVar[bool] = True

    def infer(self, stream: IO[bytes], limit: int | None = None) -> pa.Schema:
        """Guess each column's type from all records, or the first ones."""
        shown = pa.schema([])
        for seen in self.look(stream, limit):
            shown = seen.shown
        return shown

    @abstractmethod
    def look(self, stream: IO[bytes], limit: int | None = None) -> Generator[Seen, None, None]:
        """Stream the records, or the first ones, each batch once it was looked at."""

    @abstractmethod
    def look_at(self, batches: Iterator[Batch]) -> Generator[Seen, None, None]:
        """Pass records that were read before, each batch once it was looked at."""

    def taken_as(self, batch: Batch, wanted: pa.Schema) -> Batch | None:
        """Return a batch of `look` as `read_as` gives it; None where it has to be read for that."""
        return batch


BATCH_ROWS = 20_000
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}


def decompressed(stream: IO[bytes], compression: str) -> pa.NativeFile:
    """Open a possibly compressed stream; `auto` goes by its first bytes, not by its name."""
    source = Peekable(stream)
    opened = pa.PythonFile(source, mode="r")
    compression = _compression(source, compression)
    return opened if compression == "none" else pa.CompressedInputStream(opened, compression)


def peekable(stream: IO[bytes], compression: str) -> Peekable:
    """Open a stream as `decompressed` does, to look at its first bytes; what is not compressed is not copied again."""
    source = Peekable(stream)
    compression = _compression(source, compression)
    if compression == "none":
        return source
    return Peekable(pa.CompressedInputStream(pa.PythonFile(source, mode="r"), compression))


def _compression(source: Peekable, declared: str) -> str:
    if declared != "auto":
        return declared
    head = source.peek(4)
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "none")


def is_utf8(encoding: str) -> bool:
    """Whether an encoding is UTF-8 under any of its names, with a byte order mark or without."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


class Readable(Protocol):
    """What gives bytes: all there are, or up to `size`, none only at the end."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""


class Peekable:
    """A readable stream whose first bytes can be looked at, and that may have a `tail` after its last byte.

    `dropped` counts the lines that were left out of what was read, or looked at, so far.
    """

    closed, dropped = False, 0

    def __init__(self, stream: Readable, tail: bytes = b"") -> None:
        self.stream, self.tail, self.held = stream, tail, b""
        self.last = b"\n"

    def peek(self, size: int) -> bytes:
        """Return the next bytes, `size` of them unless the stream is shorter, without taking them."""
        while len(self.held) < size and (fresh := self._fresh(size - len(self.held))):
            self.held += fresh
        return self.held[:size]

    def take(self, size: int) -> bytes:
        """Take the next bytes, `size` of them unless the stream is shorter."""
        given = self.peek(size)
        self.held = self.held[len(given) :]
        return given

    def read(self, size: int = -1) -> bytes:
        """Return `size` bytes, or what is left: Arrow's parsers take a shorter answer for a block of its own."""
        if size < 0:
            size = len(self.held) + 1
            while len(self.peek(size)) == size:
                size *= 2
        return self.take(size)

    def _fresh(self, size: int) -> bytes:
        fresh = bytes(self.stream.read(size))
        if fresh:
            self.last = fresh[-1:]
            return fresh
        # The tail is a line of its own.
        fresh, self.tail = self.tail and (b"" if self.last in b"\r\n" else b"\n") + self.tail, b""
        return fresh

    def readable(self) -> bool:
        """Tell Arrow that it may read."""
        return True

    def seekable(self) -> bool:
        """Tell Arrow that it must not seek."""
        return False

    def flush(self) -> None:
        """Do nothing: a reader has nothing to write."""

    def close(self) -> None:
        """Say that nobody reads on; the stream itself is its owner's to close."""
        self.closed = True


@contextmanager
def damaged_file_errors() -> Iterator[None]:
    """Turn Arrow's and the codecs' complaints into one terminal error; the caller names the object."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowException, OSError, UnicodeError, EOFError, csv.Error) as error:
        raise TerminalError(
            f"the file is damaged or not of the declared format: {error}. Nothing of it was loaded; repair it, or"
            " correct `format` in the source's YAML"
        ) from error
