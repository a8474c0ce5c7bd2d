"""Streams an object from where it is into a new object of the landing bucket."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from contextlib import closing

from etl_factory.errors import StaleError, TransientError
from etl_factory.landing.manifest import Part
from etl_factory.landing.objects import Landing, landing_errors
from etl_factory.landing.patience import patience
from etl_factory.sources._stores import BLOCK_BYTES
from etl_factory.sources.base import FileSource, SourceObject

Copy = Callable[[SourceObject, str, Landing], Part]


def stream_copy(source: FileSource) -> Copy:
    """Return a copy that reads `source` at the pinned version, block by block, with no local file.

    An object of one block takes one request to read and one to write.
    It raises StaleError when the source's version is gone, and TransientError when what arrived differs in
    size or checksum, or when another process has written the new object's name: a retry has another name.
    """

    def copy(source_object: SourceObject, uri: str, landing: Landing) -> Part:
        send = _send_whole if source_object.size <= BLOCK_BYTES else _send
        try:
            return send(source, source_object, uri, landing)
        except StaleError as error:
            if exists(landing, uri):
                raise taken(source_object, uri) from error
            raise

    return copy


def _send_whole(source: FileSource, source_object: SourceObject, uri: str, landing: Landing) -> Part:
    """Copy an object of one block."""
    with closing(source.open(source_object)) as stream:
        content = stream.read()
    _demand_size(source_object, len(content))
    return landing.put(uri, content)


def _send(source: FileSource, source_object: SourceObject, uri: str, landing: Landing) -> Part:
    """Copy an object block by block."""
    checksum, size = hashlib.md5(usedforsecurity=False), 0
    with closing(source.open(source_object)) as stream, landing.create(uri) as target:
        while block := stream.read(BLOCK_BYTES):
            target.write(block)
            checksum.update(block)
            size += len(block)
        _demand_size(source_object, size)
    part = landing.stat(uri)
    if part.md5 != base64.b64encode(checksum.digest()).decode():
        raise TransientError(f"{source_object.uri}: the copy {uri} does not have the checksum sent")
    return part


def _demand_size(source_object: SourceObject, size: int) -> None:
    if size != source_object.size:
        raise TransientError(f"{source_object.uri}: {size} bytes came of the {source_object.size} listed")


def exists(landing: Landing, uri: str) -> bool:
    """Tell whether a landing object exists."""
    with landing_errors(uri):
        return bool(landing.blob(uri).exists(**patience()))


def taken(source_object: SourceObject, uri: str) -> TransientError:
    """Return the error of a copy whose new name holds something else."""
    return TransientError(
        f"{source_object.uri}: {uri} was written by another process; a retry writes under a name of its own"
    )
