"""Holds landing objects against what a manifest lists of them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from etl_factory.errors import EtlFactoryError
from etl_factory.landing.manifest import Part
from etl_factory.landing.objects import CHUNK_BYTES, Landing

REQUESTS_AT_ONCE = 8


def demand_unchanged(landing: Landing, parts: Iterable[Part]) -> None:
    """Raise StaleError, which names the object, unless each is the one that its manifest lists.

    Asks for metadata only, several objects at a time.
    """
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        list(pool.map(landing.demand, parts))


def differences(landing: Landing, parts: Iterable[Part]) -> Iterator[str]:
    """Read every object whole, and say of each that holds something else what it holds."""
    for part in parts:
        try:
            rows, checksum = _rows(landing, part), _checksum(landing, part)
        except EtlFactoryError as error:
            yield str(error)
            continue
        except (ValueError, OSError) as error:  # pyarrow's, about what is no Parquet file
            yield f"{part.uri} cannot be read: {error}"
            continue
        if (rows, checksum) != (part.rows, part.md5 or checksum):  # a composite object has no MD5
            yield (
                f"{part.uri} holds {rows} rows with checksum {checksum}, but its manifest lists {part.rows} rows with"
                f" checksum {part.md5}"
            )


def _rows(landing: Landing, part: Part) -> int:
    import pyarrow.parquet as pq

    with landing.open(part) as stream:
        return int(pq.ParquetFile(stream).metadata.num_rows)


def _checksum(landing: Landing, part: Part) -> str:
    """Return the content's MD5 in base64, as Cloud Storage writes it."""
    checksum = hashlib.md5(usedforsecurity=False)
    with landing.open(part) as stream:
        while block := stream.read(CHUNK_BYTES):
            checksum.update(block)
    return base64.b64encode(checksum.digest()).decode()
