"""Takes comment lines out of delimited text, without taking a line of a quoted value for one."""

from __future__ import annotations

from collections.abc import Iterator

from etl_factory.errors import TerminalError
from etl_factory.sources.formats._records import Cutter
from etl_factory.sources.formats.base import Peekable

CHUNK_BYTES = 1024 * 1024
RECORD_BYTES = 16 * 1024 * 1024


def without_comments(source: Peekable, cutter: Cutter) -> Peekable:
    """Return the text without its comment lines; the same stream where the dialect has none."""
    return _Uncommented(source, cutter) if cutter.comment else source


class _Uncommented(Peekable):
    """The whole records of a stream, without the comments between them."""

    def __init__(self, source: Peekable, cutter: Cutter) -> None:
        super().__init__(source)
        self.cutter, self.chunks = cutter, self._chunks(source)

    def _fresh(self, size: int) -> bytes:
        return next(self.chunks, b"")

    def _chunks(self, source: Peekable) -> Iterator[bytes]:
        held = b""
        while fresh := source.read(CHUNK_BYTES):
            kept, held = self._split(held + fresh)
            if len(held) > RECORD_BYTES:
                raise TerminalError(self._too_long)
            if kept:
                yield kept
        if held:
            yield b"".join(self._split(held + b"\n"))

    @property
    def _too_long(self) -> str:
        return (
            f"a record is longer than {RECORD_BYTES} bytes, or opens a quote that is never closed. Nothing of the"
            " file was loaded; repair it, or correct format.quote and format.escape in the source's YAML"
        )

    def _split(self, text: bytes) -> tuple[bytes, bytes]:
        """Return the whole records of a text, and what is left of it."""
        kept: list[bytes] = []
        at = 0
        while run := self.cutter.run.match(text, at):
            kept.append(run[0])
            comment = self.cutter.comment_line.match(text, run.end())
            if comment is None:
                return b"".join(kept), text[run.end() :]
            self.dropped += 1
            at = comment.end()
        return b"".join(kept), text[at:]
