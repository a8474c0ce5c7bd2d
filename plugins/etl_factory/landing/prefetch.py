"""Reads small landing objects ahead, several at a time, while the ones before them are worked on."""

from __future__ import annotations

import io
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO

from etl_factory.landing.manifest import Part
from etl_factory.landing.objects import Landing

READS_AT_ONCE = 16
AHEAD = 64
AHEAD_BYTES = 32 * 1024 * 1024
SMALL_BYTES = 8 * 1024 * 1024


class ReadAhead:
    """Opens parts that are asked for in their order, once or several times over; any other order is only slower.

    Of the objects that follow, as many are read as fit into AHEAD_BYTES; a larger one is streamed when its turn comes.
    """

    def __init__(self, landing: Landing, parts: tuple[Part, ...]) -> None:
        self.landing, self.parts = landing, parts
        self._places = {part.uri: place for place, part in enumerate(parts)}
        self._pool = ThreadPoolExecutor(READS_AT_ONCE) if len(parts) > 1 else None
        self._held: dict[int, Future[bytes]] = {}

    def open(self, part: Part) -> IO[bytes]:
        """Open a part as the landing bucket does."""
        if self._pool is None or part.size > SMALL_BYTES:
            return self.landing.open(part)
        place = self._places[part.uri]
        self._fetch(place, self._pool)
        content = self._held.pop(place).result()
        return io.BytesIO(content)

    def _fetch(self, place: int, pool: ThreadPoolExecutor) -> None:
        """Have this part and those after it read; whatever else is held is of no use any more."""
        wanted, size = [place], self.parts[place].size
        for following in range(place + 1, min(place + AHEAD, len(self.parts))):
            small = self.parts[following].size <= SMALL_BYTES
            size += self.parts[following].size if small else 0
            if size > AHEAD_BYTES:
                break
            wanted += [following] if small else []
        for other in self._held.keys() - set(wanted):
            self._held.pop(other).cancel()
        for each in wanted:
            if each not in self._held:
                self._held[each] = pool.submit(self._read, self.parts[each])

    def _read(self, part: Part) -> bytes:
        with self.landing.open(part) as stream:
            return stream.read()

    def close(self) -> None:
        """Read nothing more."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
