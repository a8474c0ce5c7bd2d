"""Turns bytes of a declared or detected encoding into UTF-8; what is not of it stays no UTF-8, so its row is bad."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

from etl_factory.errors import TerminalError
from etl_factory.sources.formats._alphabets import readings
from etl_factory.sources.formats.base import Peekable, is_utf8

AUTO = "auto"
LOOK_BYTES = 1024 * 1024
_CHUNK = 1024 * 1024
# The longer mark first: UTF-32's begins as UTF-16's does.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE = ("utf-16", "utf-32")
_LETTERS = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


def utf8(source: Peekable, encoding: str, found: Callable[[str], None]) -> Peekable:
    """Return the same text in UTF-8, without its byte order mark; tell `found` what was detected.

    A byte order mark says what the encoding is, whatever was declared.
    """
    head = source.peek(LOOK_BYTES)
    mark, marked = next(((mark, name) for mark, name in _MARKS if head.startswith(mark)), (b"", ""))
    source.take(len(mark))
    if marked:
        if not _agree(marked, encoding):
            found(f"read as {marked}, as its byte order mark says")
    else:
        marked = _unmarked(head, encoding, found)
    return source if is_utf8(marked) else Peekable(_Transcoded(source, marked))


def _agree(marked: str, encoding: str) -> bool:
    if encoding == AUTO:
        return False
    name = codecs.lookup(encoding).name
    return name in (marked, "utf-8-sig" if marked == "utf-8" else marked[:6])


def _unmarked(head: bytes, encoding: str, found: Callable[[str], None]) -> str:
    """Return the encoding of a text without a byte order mark."""
    wide = _wide(head)
    if encoding == AUTO:
        name = wide or _guessed(head)
        found(f"encoding detected as {name}")
        return name
    name = codecs.lookup(encoding).name
    if name in _WIDE:
        if head and not wide:
            raise TerminalError(
                f"the file has no byte order mark, so that {name} does not say how its bytes are ordered:"
                f" set format.encoding to {name}-le or {name}-be"
            )
        return wide or "utf-8"
    if wide and not name.startswith(_WIDE):
        raise TerminalError(
            f"the file looks like {wide}, but format.encoding is {encoding}: set it to {wide}"
        )
    return name


def _wide(head: bytes) -> str:
    """Recognise UTF-16: every byte of a line break has its zero byte, as has much of the rest."""
    import numpy as np

    even = head[: len(head) // 2 * 2]
    breaks = even.count(b"\n") + even.count(b"\r")
    for name, units in (("utf-16-le", np.frombuffer(even, "<u2")), ("utf-16-be", np.frombuffer(even, ">u2"))):
        latin = int(((units < 256) & (units > 0)).sum())
        whole = int(((units == ord("\n")) | (units == ord("\r"))).sum())
        if (
            latin * 4 > len(units)
            and whole == breaks
            and (breaks or latin == len(units))
            and not (units == 0).any()
        ):
            return name
    return ""


def _guessed(head: bytes) -> str:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < LOOK_BYTES)
    except UnicodeDecodeError:
        found = readings(head)
        if found and _is_mostly_utf8(head):
            found = ["utf-8 with broken letters", *found]
    else:
        return "utf-8"
    if len(found) != 1:
        doubt = (
            f"it may be {' or '.join(found)}" if found else "it is no UTF-8, nor a text in one known language"
        )
        raise TerminalError(
            f"format.encoding is auto, but the bytes do not tell it: {doubt}. Set format.encoding to the file's,"
            " such as windows-1250"
        )
    return found[0]


def _is_mostly_utf8(text: bytes) -> bool:
    """Whether most bytes beyond ASCII are UTF-8, so that another reading of them would be a chance."""
    whole = sum(len(letter) for letter in _LETTERS.findall(text))
    return whole * 2 > sum(map(len, re.findall(rb"[\x80-\xff]+", text)))


class _Transcoded:
    """A stream in UTF-8 of a stream in another encoding."""

    def __init__(self, source: Peekable, encoding: str) -> None:
        self.source = source
        self.decoder = codecs.getincrementaldecoder(encoding)(_NO_TEXT)
        self.ended = False

    def read(self, size: int = -1) -> bytes:
        """Return some of the text, about as much as asked for; nothing at its end."""
        while not self.ended:
            given = self.source.read(min(size, _CHUNK) if size > 0 else _CHUNK)
            self.ended = not given
            text = self.decoder.decode(given, final=self.ended)
            if text:
                return text.encode("utf-8", "surrogateescape")
        return b""


def _no_text(error: UnicodeError) -> tuple[str, int]:
    """Leave a byte that is no text as one that is no UTF-8 wherever it stands, so that its row is bad."""
    assert isinstance(error, UnicodeDecodeError)
    byte = error.object[error.start]
    return chr(0xDC00 + (byte if 0x80 <= byte < 0xC0 else 0xFF)), error.end


_NO_TEXT = "etl_factory.no_text"
codecs.register_error(_NO_TEXT, _no_text)
