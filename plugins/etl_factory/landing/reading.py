"""The bytes of one pinned landing object, by ranges: whole and undamaged, or an error of ours."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable
from typing import Protocol

from etl_factory.errors import TransientError
from etl_factory.landing.manifest import Part

Fetch = Callable[[int, int], bytes]


class Checksum(Protocol):
    """A checksum in the making."""

    def update(self, data: bytes, /) -> None:
        """Add the bytes that follow."""

    def digest(self) -> bytes:
        """Return the checksum of all bytes so far."""


class PinnedBytes(io.RawIOBase):
    """A seekable object whose every read is asked for by `fetch(start, size)`.

    A range that comes short is an error, never an early end; what was read from first byte to last must
    have the checksum that the manifest lists. A composite object has no MD5, and its copies have none either:
    such a one must have the `crc32c` that Cloud Storage knows of it.
    """

    def __init__(self, part: Part, fetch: Fetch, crc32c: str = "") -> None:
        self.part, self.fetch, self.position = part, fetch, 0
        self.listed, self._checked = part.md5 or crc32c, 0
        self._checksum: Checksum = hashlib.md5(usedforsecurity=False) if part.md5 else _crc32c()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.part.size}[whence]
        self.position = max(0, start + offset)
        return self.position

    def tell(self) -> int:
        return self.position

    def readinto(self, view: memoryview) -> int:  # type: ignore[override]  # io passes a memoryview
        wanted = min(len(view), self.part.size - self.position)
        if wanted <= 0:
            return 0
        block = self.fetch(self.position, wanted)
        if len(block) != wanted:
            raise TransientError(
                f"{self.part.uri}: {len(block)} bytes came of the {wanted} at {self.position}"
            )
        self._check(block)
        view[:wanted] = block
        self.position += wanted
        return wanted

    def _check(self, block: bytes) -> None:
        if self.position != self._checked:
            return
        self._checksum.update(block)
        self._checked += len(block)
        if self._checked == self.part.size and self._found() != self.listed:
            says = "its manifest" if self.part.md5 else "Cloud Storage"
            raise TransientError(
                f"{self.part.uri} arrived with checksum {self._found()}, but {says} says {self.listed}:"
                " it was damaged on its way"
            )

    def _found(self) -> str:
        return base64.b64encode(self._checksum.digest()).decode()


def _crc32c() -> Checksum:
    import google_crc32c

    checksum: Checksum = google_crc32c.Checksum()  # type: ignore[no-untyped-call]  # not annotated
    return checksum
