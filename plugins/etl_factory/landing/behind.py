"""A stream whose bytes another thread sends, so that compressing goes on while the network waits."""

from __future__ import annotations

import io
from typing import IO, Any

from etl_factory.landing.aside import Aside

BLOCK_BYTES = 4 * 1024 * 1024


class Behind(io.BufferedIOBase):
    """Passes blocks on to `stream`, in order, one at a time; what fails there is raised by the next write, or `settle`.

    Holds two blocks at most: the one that is sent, and the one that is filled.
    """

    is_given_up = False

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._block, self._position = stream, bytearray(), 0
        self._upload = Aside("upload")

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self.is_given_up:
            raise InterruptedError("the rest is not wanted any more")
        size = memoryview(data).nbytes
        self._block += data
        self._position += size
        if len(self._block) >= BLOCK_BYTES:
            block, self._block = self._block, bytearray()
            self._upload.do(self._stream.write, block)
        return size

    def tell(self) -> int:
        return self._position

    def settle(self) -> None:
        """Have all bytes sent."""
        self._upload.settle()
        self._stream.write(self._block)
        self._block = bytearray()

    def give_up(self) -> None:
        """Let the next write fail, in whichever thread it is, so that nothing more is sent."""
        self.is_given_up = True

    def stop(self) -> None:
        """Send nothing more; what is under way ends first."""
        self._upload.stop()
