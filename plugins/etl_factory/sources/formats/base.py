"""What a format is: it infers a schema from all records of a file, and reads them all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, ClassVar

import pyarrow as pa

from etl_factory.errors import TerminalError
from etl_factory.schema.rows import Batch


class Format(ABC):
    """One format. `is_text`: its values are spelt, so that a column's type is a guess from its values."""

    is_text: ClassVar[bool]

    @abstractmethod
    def infer(self, stream: IO[bytes]) -> pa.Schema:
        """Return the declared schema that holds every record of the stream; a column of NULLs is `null`."""

    @abstractmethod
    def read(self, stream: IO[bytes]) -> Iterator[Batch]:
        """Stream the records: every one is a row of a batch or a reject; text columns stay text."""


BATCH_ROWS = 20_000
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}


def decompressed(stream: IO[bytes], compression: str) -> pa.NativeFile:
    """Open a possibly compressed stream; `auto` goes by its first bytes, not by its name."""
    source = Peekable(stream)
    if compression == "auto":
        head = source.peek(4)
        compression = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "none")
    opened = pa.PythonFile(source, mode="r")
    return opened if compression == "none" else pa.CompressedInputStream(opened, compression)


class Peekable:
    """A readable stream whose first bytes can be looked at."""

    closed = False

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.held = stream, b""

    def peek(self, size: int) -> bytes:
        while len(self.held) < size and (fresh := self.stream.read(size - len(self.held))):
            self.held += fresh
        return self.held

    def read(self, size: int = -1) -> bytes:
        given, self.held = self.held, b""
        if size >= 0 and len(given) > size:
            given, self.held = given[:size], given[size:]
        return given or self.stream.read(size)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def flush(self) -> None:
        return None

    def close(self) -> None:
        self.closed = True


@contextmanager
def damaged_file_errors() -> Iterator[None]:
    """Turn Arrow's and the codecs' complaints into one terminal error; the caller names the object."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowException, OSError, UnicodeError, EOFError) as error:
        raise TerminalError(
            f"the file is damaged or not of the declared format: {error}. Nothing of it was loaded; repair it, or"
            " correct `format` in the source's YAML"
        ) from error
