"""Serves S3 objects that are nowhere: the lines of a CSV file repeat after some thousands, so any range is a slice.

`generated_s3.py PORT OBJECTS LINES`. It answers what the S3 source asks: a listing by pages, and pinned ranges.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

HEADER = b"id,customer,amount,day,moment,is_paid,note\n"
LINE = (
    "{0:012d},customer {1:07d},{2:08.2f},2025-{3:02d}-{4:02d},2025-01-01T{5:02d}:30:15.123456Z,"
    "{6},a note of some words {0:012d}\n"
)
PAGE = 1000
ETAG, MODIFIED = '"0123456789abcdef0123456789abcdef"', "2025-06-01T06:00:00.000Z"
ANSWER = (
    '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>big</Name>'
    "<KeyCount>{count}</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>{more}</IsTruncated>{next}{items}"
    "</ListBucketResult>"
)
ITEM = (
    "<Contents><Key>{key}</Key><LastModified>" + MODIFIED + "</LastModified><ETag>&quot;{etag}&quot;</ETag>"
    "<Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
)


def line(number: int) -> bytes:
    """Return one line, all of which have the same length."""
    return LINE.format(
        number, number * 7919 % 9_999_991, number % 99_999 + number % 100 / 100, number % 12 + 1, number % 28 + 1,
        number % 24, "true " if number % 3 else "false",
    ).encode()  # fmt: skip


WIDTH, PERIOD = len(line(0)), 50_000


@cache
def repeated() -> bytes:
    """Return the lines that every file repeats."""
    return b"".join(map(line, range(PERIOD)))


@dataclass(frozen=True)
class Files:
    """`objects` files of `lines` lines each; a file begins where the one before it ended."""

    objects: int
    lines: int

    @property
    def size(self) -> int:
        """Bytes of one file."""
        return len(HEADER) + self.lines * WIDTH

    def content(self, file: int, start: int, end: int) -> bytes:
        """Return the bytes [start, end) of a file."""
        end = min(end, self.size)
        before, whole = HEADER[start:end], PERIOD * WIDTH
        first = file * self.lines * WIDTH % whole
        at, end = first + max(0, start - len(HEADER)), first + max(0, end - len(HEADER))
        made = [before]
        while at < end:
            length = min(end - at, whole - at % whole)
            made.append(repeated()[at % whole : at % whole + length])
            at += length
        return b"".join(made)

    def page(self, after: int) -> str:
        """Return one page of the listing."""
        count = min(PAGE, self.objects - after)
        more = after + count < self.objects
        items = "".join(
            ITEM.format(key=f"in/{n:06d}.csv", etag=ETAG.strip('"'), size=self.size)
            for n in range(after, after + count)
        )
        token = f"<NextContinuationToken>{after + count}</NextContinuationToken>" if more else ""
        return ANSWER.format(count=count, more=str(more).lower(), next=token, items=items)


class Handler(BaseHTTPRequestHandler):
    """Answers a listing, or a range of one file."""

    files: Files
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        address = urlsplit(self.path)
        key = re.fullmatch(r"/big/in/(\d+)\.csv", unquote(address.path))
        if not key:
            token = parse_qs(address.query).get("continuation-token", ["0"])[0]
            self._answer(200, self.files.page(int(token)).encode())
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        start, end = (int(asked[1]), int(asked[2]) + 1) if asked else (0, self.files.size)
        self._answer(206 if asked else 200, self.files.content(int(key[1]), start, end))

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("ETag", ETAG)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def main(port: int, objects: int, lines: int) -> None:
    """Serve until terminated."""
    repeated()
    Handler.files = Files(objects, lines)
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
