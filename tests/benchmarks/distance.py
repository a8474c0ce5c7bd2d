"""Puts a server far away: `python distance.py HOST PORT SECONDS` passes on what comes so much later.

Only what a client sends is held back, so that the first byte of each answer comes later, and the rest no slower.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

CHUNK = 1 << 18
# "consistent small object latencies (and first-byte-out latencies for larger objects) of roughly 100-200 milliseconds":
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html
SECONDS = 0.1


@contextmanager
def far(url: str, seconds: float = SECONDS) -> Iterator[None]:
    """Let whatever in the environment names this server name one that is far away from it."""
    at = urlsplit(url)
    command = [sys.executable, __file__, str(at.hostname), str(at.port), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        near, away = f":{at.port}", f":{process.stdout.readline().strip()}"
        before = {name: value for name, value in os.environ.items() if near in value}
        os.environ.update({name: value.replace(near, away) for name, value in before.items()})
        try:
            yield
        finally:
            os.environ.update(before)
            process.terminate()


async def serve(host: str, port: int, seconds: float) -> None:
    """Listen on a free port, say which, and pass everything on until terminated."""

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(host, port)
        await asyncio.gather(_passed(reader, there[1], seconds), _passed(there[0], writer, 0))

    server = await asyncio.start_server(met, "127.0.0.1", 0, limit=CHUNK)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def _passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    while data := await reader.read(CHUNK):
        await asyncio.sleep(seconds)
        writer.write(data)
        await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
