"""Streams an object from where it is into a new object of the landing bucket."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from contextlib import closing

from etl_factory.errors import StaleError, TransientError
from etl_factory.landing.objects import Landing, landing_errors
from etl_factory.landing.patience import patience
from etl_factory.sources._stores import BLOCK_BYTES
from etl_factory.sources.base import FileSource, SourceObject

Copy = Callable[[SourceObject, str, Landing], None]


def stream_copy(source: FileSource) -> Copy:
    """Return a copy that reads `source` at the pinned version, block by block, with no local file.

    It raises StaleError when the source's version is gone, and TransientError when what arrived differs in
    size or checksum, or when another process has written the new object's name: a retry has another name.
    """

    def copy(source_object: SourceObject, uri: str, landing: Landing) -> None:
        try:
            sent = _send(source, source_object, uri, landing)
        except StaleError as error:
            if exists(landing, uri):
                raise taken(source_object, uri) from error
            raise
        if landing.stat(uri).md5 != sent:
            raise TransientError(f"{source_object.uri}: the copy {uri} does not have the checksum sent")

    return copy


def _send(source: FileSource, source_object: SourceObject, uri: str, landing: Landing) -> str:
    """Copy every byte; return their MD5 in base64, as Cloud Storage writes it."""
    checksum, size = hashlib.md5(usedforsecurity=False), 0
    with closing(source.open(source_object)) as stream, landing.create(uri) as target:
        while block := stream.read(BLOCK_BYTES):
            target.write(block)
            checksum.update(block)
            size += len(block)
        if size != source_object.size:
            raise TransientError(f"{source_object.uri}: {size} bytes came of the {source_object.size} listed")
    return base64.b64encode(checksum.digest()).decode()


def exists(landing: Landing, uri: str) -> bool:
    """Tell whether a landing object exists."""
    with landing_errors(uri):
        return bool(landing.blob(uri).exists(**patience()))


def taken(source_object: SourceObject, uri: str) -> TransientError:
    """Return the error of a copy whose new name holds something else."""
    return TransientError(
        f"{source_object.uri}: {uri} was written by another process; a retry writes under a name of its own"
    )
