"""What the object stores share: a stream pinned to one version, and what a store's refusal means."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import urlsplit

from etl_factory.errors import (
    AccessDeniedError,
    EtlFactoryError,
    NotFoundError,
    StaleError,
    TerminalError,
    TransientError,
)
from etl_factory.identity import store_command
from etl_factory.sources.base import SourceObject

BLOCK_BYTES = 8 * 1024 * 1024
AT_ONCE = 32  # objects that are copied at the same time, each by connections of its own, which are kept
Fetch = Callable[[int, int], bytes]


def pinned(source_object: SourceObject, fetch: Fetch) -> IO[bytes]:
    """Stream an object block by block, each asked for at the object's version by `fetch(start, size)`; it seeks.

    The first block comes at once, so that opening a version that is gone raises what `fetch` does.
    """
    blocks = _Blocks(source_object, fetch)
    stream = io.BufferedReader(blocks, max(1, min(BLOCK_BYTES, source_object.size)))
    stream.peek(1)
    return stream


class _Blocks(io.RawIOBase):
    """The bytes of an object by ranges; one that comes short is an error, never an early end."""

    def __init__(self, source_object: SourceObject, fetch: Fetch) -> None:
        self.source_object, self.fetch, self.position = source_object, fetch, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.source_object.size}[whence]
        self.position = max(0, start + offset)
        return self.position

    def tell(self) -> int:
        return self.position

    def readinto(self, view: memoryview) -> int:  # type: ignore[override]  # io passes a memoryview
        wanted = min(len(view), BLOCK_BYTES, self.source_object.size - self.position)
        if wanted <= 0:
            return 0
        block = self.fetch(self.position, wanted)
        if len(block) != wanted:
            raise TransientError(
                f"{self.source_object.uri}: {len(block)} bytes came of the {wanted} at {self.position}"
            )
        view[:wanted] = block
        self.position += wanted
        return wanted

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self.read(BLOCK_BYTES) or b"", b""))


def keep_connections(session: Any) -> None:
    """Let a session of requests keep one connection for each copy: by default it opens all over ten each time."""
    from requests.adapters import HTTPAdapter

    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=AT_ONCE))


def address(url: str) -> str:
    """Return the host:port of an endpoint, without a login or a signature that it may carry."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    return f"{parts.hostname}:{parts.port or (80 if parts.scheme == 'http' else 443)}"


def stale(what: str) -> StaleError:
    """Return the error of a version that the store no longer has."""
    return StaleError(f"{what} has changed or gone since it was listed: the next run lists it anew")


@dataclass(frozen=True)
class Store:
    """How errors speak of a store: its name, whose login asks, and the grant that reading needs."""

    name: str
    conn_id: str
    grant: str

    def refusal(self, what: str, status: int | None, said: str) -> EtlFactoryError:
        """Return the error that an HTTP status means; `said` is the store's own word for it."""
        if status in (401, 403):
            return AccessDeniedError(f"{what}: {self.name} refuses {self.conn_id} ({said}); {self.grant}")
        if status == 404:
            return NotFoundError(f"{what} does not exist: correct `path`, or create it")
        if status == 412:
            return stale(what)
        if status is None or status in (408, 409, 429) or status >= 500:
            return TransientError(f"{what}: {self.name} does not answer as it should: {said}")
        return TerminalError(f"{what}: {self.name} refuses the request: {said}")

    def wrong_login(self, what: str, said: str) -> AccessDeniedError:
        """Return the error of a login that the store does not know."""
        return AccessDeniedError(
            f"{what}: {self.name} does not know the login of {self.conn_id} ({said}). Store the right one with"
            f" {store_command(self.conn_id)}"
        )

    def archived(self, what: str) -> TerminalError:
        """Return the error of an object that is kept offline."""
        return TerminalError(f"{what} is archived: restore it in {self.name}, or keep it out of `path`")

    def unusable(self, what: str, why: str) -> TerminalError:
        """Return the error of a connection that no request can be made with."""
        return TerminalError(
            f"{what}: connection {self.conn_id} is not one for {self.name}: {why}. Store it again with"
            f" {store_command(self.conn_id)}"
        )

    def unreachable(self, what: str, endpoint: str, error: BaseException) -> TransientError:
        """Return the error of a store that does not answer; the cause's own text may carry a signature."""
        return TransientError(
            f"{what}: {self.name} at {address(endpoint)} cannot be reached ({type(error).__name__}). Check the"
            " connection's endpoint, and the firewall"
        )
