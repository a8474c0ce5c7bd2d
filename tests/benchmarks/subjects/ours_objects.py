"""Our extract of objects: listed, pinned, streamed several at a time into the stack's bucket."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from benchmarks.subjects import places


def copy(options: dict[str, Any]) -> Iterator[Any]:
    """Copy all objects of a folder; `is_far` says that the store takes its time to answer."""
    store = options["store"]
    with places.store(options):
        yield from _copied(store, options)


def _copied(store: str, options: dict[str, Any]) -> Iterator[Any]:
    import_module(f"etl_factory.transfers.{store}_to_gcs")
    from etl_factory.landing.objects import Landing
    from etl_factory.sources import source_class
    from etl_factory.transfers.base import extract_files
    from etl_factory.transfers.streaming import stream_copy

    scheme = {"s3": "s3", "azure_blob": "az"}[store]
    path = f"{scheme}://bench-objects/{options['folder']}/**/*.bin"
    resource = places.resource(store, places.FILE_STEP.format(path=path, format="csv"))
    landing = Landing(places.storage_client())
    places.stand_in(landing)
    source: Any = source_class(store)(_connection(store))
    yield
    left = extract_files(places.context(), resource, source, stream_copy(source))
    yield {"rows": left["objects"], "bytes": left["bytes"]}
    for uri in list(landing.list(left["manifest"].rpartition("/")[0])):
        landing.delete(uri)


def _connection(store: str) -> Any:
    from etl_factory.sources.base import Connection

    if store == "s3":
        extra = {"endpoint_url": os.environ["S3_ENDPOINT_URL"], "region_name": "us-east-1"}
        return Connection("bench__s3", "aws", login="local", password="local", extra=extra)
    extra = {"connection_string": os.environ["AZURE_STORAGE_CONNECTION_STRING"]}
    return Connection("bench__azure", "wasb", extra=extra)
