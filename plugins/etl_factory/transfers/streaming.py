"""Streams an object from where it is into a new object of the landing bucket."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from etl_factory.landing.objects import CHUNK_BYTES, Landing
from etl_factory.sources.base import FileSource, SourceObject


def stream_copy(source: FileSource) -> Callable[[SourceObject, str, Landing], None]:
    """Return a copy that reads `source` at the pinned version, chunk by chunk, with no local file."""

    def copy(source_object: SourceObject, uri: str, landing: Landing) -> None:
        with closing(source.open(source_object)) as stream, landing.create(uri) as target:
            while chunk := stream.read(CHUNK_BYTES):
                target.write(chunk)

    return copy
