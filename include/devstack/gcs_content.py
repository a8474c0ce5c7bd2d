"""Keeps the content of the local Cloud Storage's objects on disk, so that none is ever whole in memory."""

from __future__ import annotations

import hashlib
import os
import shutil
from base64 import b64encode
from pathlib import Path
from typing import Any

import google_crc32c
from gcp_storage_emulator.storage import _FileStore

BLOCK_BYTES = 8 * 1024 * 1024


class Content:
    """An object's bytes in a file, with their checksums; the file, once open, is read to its end whatever happens.

    It stands where the emulator has bytes: it has a length, and a slice of it is bytes.
    """

    def __init__(self, path: Path, md5: str, crc32c: str, *, is_ours: bool = False) -> None:
        self.path, self.md5, self.crc32c, self.is_ours = path, md5, crc32c, is_ours
        self.file = path.open("rb")
        self.size = os.fstat(self.file.fileno()).st_size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, part: slice) -> bytes:
        start, end, _ = part.indices(self.size)
        return os.pread(self.file.fileno(), end - start, start)

    def __radd__(self, before: bytes) -> bytes:
        return before + self[:]

    def blocks(self) -> Any:
        """Yield the bytes, a block at a time."""
        for start in range(0, self.size, BLOCK_BYTES):
            yield self[start : start + BLOCK_BYTES]

    def move(self, path: Path) -> None:
        """Make `path` hold the content: the file itself where it was uploaded just now, else a copy."""
        if path == self.path:
            return
        path.unlink(missing_ok=True)  # whoever reads what was there reads on
        if self.is_ours:
            self.path.rename(path)
        else:
            shutil.copyfile(self.path, path)


class Upload:
    """A resumable upload: its chunks go to the end of a file as they come, and are looked at once."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.file, self.size = path, path.open("wb", buffering=0), 0
        self.md5, self.crc32c = hashlib.md5(), google_crc32c.Checksum()

    def add(self, content: bytes) -> None:
        """Append a chunk."""
        self.file.write(content)
        self.size += len(content)
        self.md5.update(content)
        self.crc32c.update(content)

    def end(self) -> Content:
        """Return what came."""
        self.file.close()
        return Content(self.path, _text(self.md5.digest()), _text(self.crc32c.digest()), is_ours=True)


class DiskStore(_FileStore):  # type: ignore[misc]  # the emulator has no types
    """The emulator's folder, which takes content by moving it there."""

    def write_bytes(self, rel: str, content: bytes | Content) -> None:
        """Write an object's content."""
        path = self._disk_path(rel)
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Content):
            content.move(path)
        else:
            path.unlink(missing_ok=True)
            path.write_bytes(content)


def measured(path: Path) -> Content:
    """Return a file's content, read once for its checksums."""
    md5, crc32c = hashlib.md5(), google_crc32c.Checksum()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            md5.update(block)
            crc32c.update(block)
    return Content(path, _text(md5.digest()), _text(crc32c.digest()))


def _text(digest: bytes) -> str:
    return b64encode(digest).decode("ascii")
