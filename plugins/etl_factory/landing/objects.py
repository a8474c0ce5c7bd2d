"""The one seam to the landing bucket: write once, read pinned, list, delete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from etl_factory.errors import NotFoundError, StaleError
from etl_factory.landing.manifest import Part

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Client

CHUNK_BYTES = 16 * 1024 * 1024


def split_uri(uri: str) -> tuple[str, str]:
    """Split `gs://bucket/name` into bucket and name; raises ValueError for another scheme."""
    if not uri.startswith("gs://"):
        raise ValueError(f"{uri!r} is not a gs:// address")
    bucket, _, name = uri[5:].partition("/")
    return bucket, name


class Landing:
    """Objects of the landing bucket; every write creates, none overwrites."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def blob(self, uri: str, generation: int | None = None) -> Blob:
        """Return a handle on one object, pinned to a generation if given."""
        bucket, name = split_uri(uri)
        return self.client.bucket(bucket).blob(name, chunk_size=CHUNK_BYTES, generation=generation)

    def write_text(self, uri: str, text: str) -> bool:
        """Create `uri` with `text`; return False, changing nothing, when it exists already."""
        from google.api_core.exceptions import NotFound, PreconditionFailed

        try:
            self.blob(uri).upload_from_string(
                text.encode(), content_type="application/json", if_generation_match=0
            )
        except PreconditionFailed:
            return False
        except NotFound as error:
            raise NotFoundError(_no_bucket(uri)) from error
        return True

    def read_text(self, uri: str) -> str | None:
        """Return the object's text, or None when there is no such object."""
        from google.api_core.exceptions import NotFound

        try:
            return str(self.blob(uri).download_as_bytes().decode())
        except NotFound:
            return None

    @contextmanager
    def create(self, uri: str, content_type: str = "application/octet-stream") -> Iterator[IO[bytes]]:
        """Stream bytes into a new object, which exists only once the block ends without an error."""
        from google.api_core.exceptions import NotFound

        stream = self.blob(uri).open(
            "wb", content_type=content_type, if_generation_match=0, ignore_flush=True
        )
        try:
            yield stream
        except BaseException:
            stream.terminate() if hasattr(stream, "terminate") else None
            raise
        try:
            stream.close()
        except NotFound as error:
            raise NotFoundError(_no_bucket(uri)) from error

    def stat(self, uri: str) -> Part:
        """Describe an existing object; raises StaleError when it is gone."""
        bucket, name = split_uri(uri)
        blob = self.client.bucket(bucket).get_blob(name)
        if blob is None:
            raise StaleError(f"landing object {uri} is gone: clear the run from `extract`")
        return Part(uri=uri, generation=int(blob.generation), size=int(blob.size), md5=blob.md5_hash or "")

    def open(self, part: Part) -> IO[bytes]:
        """Read an object at exactly its pinned generation; raises StaleError when that is gone."""
        blob = self.blob(part.uri, part.generation)
        if not blob.exists():
            raise StaleError(f"landing object {part.uri} is gone or changed: clear the run from `extract`")
        stream: IO[bytes] = blob.open("rb", chunk_size=CHUNK_BYTES)
        return stream

    def list(self, prefix: str) -> Iterator[str]:
        """List the addresses under `prefix`."""
        bucket, name = split_uri(prefix)
        for blob in self.client.list_blobs(bucket, prefix=name):
            yield f"gs://{bucket}/{blob.name}"

    def delete(self, uri: str) -> None:
        """Delete one object; one that is gone already is fine."""
        from google.api_core.exceptions import NotFound

        try:
            self.blob(uri).delete()
        except NotFound:
            return


def _no_bucket(uri: str) -> str:
    return f"landing bucket gs://{split_uri(uri)[0]} does not exist: create it, or correct `landing` in tenant.yaml"
