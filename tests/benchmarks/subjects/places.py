"""Where our side reads and writes: resources made of YAML, the stack's bucket, and a sink that keeps nothing."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any
from urllib.parse import unquote, urlparse
from uuid import uuid4

TENANT = """\
tenant: bench
project: bench-project
location: EU
dataset: raw
landing: gs://bench-objects
"""
TABLE_STEP = "  one:\n    table: {table}\n    load: catalog\n"
FILE_STEP = "  one:\n    path: {path}\n    format: {format}\n    load: catalog\n"


def resource(type_: str, resource_yaml: str) -> Any:
    """Return the one resource of a source whose YAML names it `one`."""
    from etl_factory.config.loading import load
    from etl_factory.config.resource import resources

    connection = "" if type_ == "gcs" else "connection: own\n"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "bench").mkdir()
        (root / "bench/tenant.yaml").write_text(TENANT)
        (root / "bench/shop.yaml").write_text(
            f"source: shop\ntype: {type_}\n{connection}resources:\n{resource_yaml}"
        )
        (found,) = load(root).sources
        return resources(found.tenant, found.spec)[0]


@contextmanager
def store(options: dict[str, Any]) -> Iterator[None]:
    """Let the store of objects be as far away as in life, if the options say so."""
    from benchmarks.distance import far

    if not options.get("is_far"):
        yield
        return
    azure = dict(
        part.split("=", 1) for part in os.environ["AZURE_STORAGE_CONNECTION_STRING"].split(";") if part
    )
    with far(os.environ["S3_ENDPOINT_URL"] if options["store"] == "s3" else azure["BlobEndpoint"]):
        yield


def context() -> dict[str, Any]:
    """Return the context of a task's first try in a run of its own."""
    run = SimpleNamespace(run_id=uuid4().hex, run_after=datetime.now(UTC), run_type="manual", conf={})
    return {"ti": SimpleNamespace(try_number=1), "dag_run": run, "params": {}}


def connection(system: str) -> Any:
    """Return the stack's database as the product's sources take it."""
    from etl_factory.sources.base import Connection

    to = urlparse(os.environ[f"{system.upper()}_URL"])
    return Connection(
        f"bench__{system}", system, to.hostname or "", to.port, to.username or "", to.path[1:],
        unquote(to.password or ""),
    )  # fmt: skip


def storage_client() -> Any:
    """Return a client of the stack's Cloud Storage."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    return storage.Client(project="bench-project", credentials=AnonymousCredentials())


class NullLanding:
    """A landing bucket that counts what is written and keeps nothing of it; `files` can be read, by address."""

    def __init__(self, files: dict[str, Path] | None = None) -> None:
        self.files, self.sizes = files or {}, dict[str, int]()

    @contextmanager
    def create(self, uri: str, content_type: str = "") -> Iterator[IO[bytes]]:
        """Swallow a new object."""
        sink: Any = _Sink()
        yield sink
        self.sizes[uri] = sink.tell()

    def write_text(self, uri: str, text: str) -> bool:
        """Swallow a text."""
        return True

    def read_text(self, uri: str) -> None:
        """Have no text."""

    def stat(self, uri: str) -> Any:
        """Describe what was written as if it were kept."""
        from etl_factory.landing.manifest import Part

        size = self.files[uri].stat().st_size if uri in self.files else self.sizes[uri]
        return Part(uri=uri, generation=1, size=size, md5="")

    def open(self, part: Any) -> IO[bytes]:
        """Read a file."""
        return self.files[part.uri].open("rb")


class _Sink(io.BufferedIOBase):
    def __init__(self) -> None:
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.size += size
        return size

    def tell(self) -> int:
        return self.size


def stand_in(landing: Any) -> None:
    """Let the product's tasks land in `landing`, and find an empty ledger, in this process."""
    from etl_factory.operators import google
    from fakes import FakeWarehouse

    google.landing = lambda resource: landing
    google.warehouse = lambda resource: FakeWarehouse(resource.target)
