"""The one seam to the landing bucket: write once, read pinned, list, delete."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, cast

from etl_factory.errors import (
    AccessDeniedError,
    EtlFactoryError,
    NotFoundError,
    StaleError,
    TerminalError,
    TransientError,
)
from etl_factory.landing.manifest import Part
from etl_factory.landing.patience import patience
from etl_factory.landing.reading import PinnedBytes

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Client

CHUNK_BYTES = 8 * 1024 * 1024
_BINARY = {"content_type": "application/octet-stream"}


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
        """Create `uri` with `text`; return False, changing nothing, when it exists with another text.

        The same text is taken for our own: a write whose answer was lost is tried again by the client.
        """
        from google.api_core.exceptions import PreconditionFailed

        with landing_errors(uri):
            try:
                self.blob(uri).upload_from_string(
                    text.encode(), content_type="application/json", if_generation_match=0, **patience()
                )
            except PreconditionFailed:
                return self.read_text(uri) == text
        return True

    def read_text(self, uri: str) -> str | None:
        """Return the object's text, or None when there is no such object."""
        from google.api_core.exceptions import NotFound

        with landing_errors(uri):
            try:
                return str(self.blob(uri).download_as_bytes(**patience()).decode())
            except NotFound:
                return None

    def put(self, uri: str, content: bytes) -> Part:
        """Create an object by one request.

        Raises StaleError when it exists with other content, TransientError when other bytes arrived. The same
        content is taken for our own: a write whose answer was lost is tried again by the client.
        """
        from google.api_core.exceptions import PreconditionFailed

        blob = self.blob(uri)
        blob.crc32c = sent = b64_crc32c(content)  # Cloud Storage refuses what arrives otherwise
        with landing_errors(uri):
            try:
                blob.upload_from_string(
                    content, if_generation_match=0, checksum=None, **_BINARY, **patience()
                )
            except PreconditionFailed:
                if (found := self.stat(uri)).md5 != b64_md5(content):
                    raise
                return found
        if blob.crc32c != sent:
            raise TransientError(f"{uri} does not have the checksum sent: {blob.crc32c}, not {sent}")
        return part_of(uri, blob)

    @contextmanager
    def create(self, uri: str, content_type: str = "application/octet-stream") -> Iterator[IO[bytes]]:
        """Stream bytes into a new object, which exists only once the block ends without an error."""
        upload = _Upload(self.blob(uri), uri, content_type)
        try:
            yield cast("IO[bytes]", upload)
        except BaseException:
            upload.abandon()
            raise
        upload.commit()

    def stat(self, uri: str) -> Part:
        """Describe an existing object; raises StaleError when it is gone."""
        bucket, name = split_uri(uri)
        with landing_errors(uri):
            blob = self.client.bucket(bucket).get_blob(name, **patience())
        if blob is None:
            raise StaleError(f"landing object {uri} is gone: clear the run from `extract`")
        return part_of(uri, blob)

    def demand(self, part: Part) -> None:
        """Raise StaleError, which says what is there, unless the object is just what its manifest lists."""
        found = self.stat(part.uri)
        if _identity(found) != _identity(part):
            raise StaleError(
                f"landing object {part.uri} was changed: its manifest lists {_identity(part)}, but it is"
                f" {_identity(found)} now. Nothing was published; clear the run from `extract`"
            )

    def open(self, part: Part) -> IO[bytes]:
        """Read an object at exactly its pinned generation; every read raises as this does.

        Raises StaleError when that is gone, or is not the content that the manifest lists, and TransientError
        when what arrives is not. A small object takes one request, since its content tells what it is.
        """
        if 0 < part.size <= CHUNK_BYTES and (content := self._whole(part)) is not None:
            return io.BytesIO(content)
        crc32c = self._demand_listed(part)
        if not part.size:
            return io.BytesIO()
        return io.BufferedReader(PinnedBytes(part, self._fetch(part), crc32c), min(CHUNK_BYTES, part.size))

    def _whole(self, part: Part) -> bytes | None:
        """Read a small object whole; None when it is not what the manifest lists, or not there."""
        from google.api_core.exceptions import NotFound

        asked = {"raw_download": True, "checksum": None}
        with landing_errors(part.uri), suppress(NotFound):
            content = bytes(self.blob(part.uri, part.generation).download_as_bytes(**asked, **patience()))
            return content if b64_md5(content) == part.md5 else None
        return None

    def _demand_listed(self, part: Part) -> str:
        """Return the generation's CRC32C; raises StaleError unless its size and checksum are those of the manifest."""
        from google.api_core.exceptions import NotFound

        blob = self.blob(part.uri, part.generation)
        with landing_errors(part.uri):
            try:
                blob.reload(**patience())
            except NotFound:
                self.demand(part)
                raise
        held = (int(blob.size), blob.md5_hash or "")
        if held != (part.size, part.md5):
            raise StaleError(
                f"landing object {part.uri} has {held[0]} bytes with checksum {held[1]}, but its manifest says"
                f" {part.size} bytes with checksum {part.md5}: clear the run from `extract`"
            )
        return str(blob.crc32c)

    def _fetch(self, part: Part) -> Callable[[int, int], bytes]:
        from google.api_core.exceptions import NotFound

        def fetch(start: int, size: int) -> bytes:
            # A fresh handle: google's goes on with the generation that the answer before has named, or none.
            blob = self.blob(part.uri, part.generation)
            asked = {"start": start, "end": start + size - 1, "raw_download": True, "checksum": None}
            with landing_errors(part.uri):
                try:
                    return bytes(blob.download_as_bytes(**asked, **patience()))
                except NotFound as error:
                    raise StaleError(
                        f"landing object {part.uri} is gone or changed: clear the run from `extract`"
                    ) from error

        return fetch

    def list(self, prefix: str) -> Iterator[str]:
        """List the addresses under `prefix`."""
        bucket, name = split_uri(prefix)
        with landing_errors(prefix):
            for blob in self.client.list_blobs(bucket, prefix=name, **patience()):
                yield f"gs://{bucket}/{blob.name}"

    def ages(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """List the addresses under `prefix`, each with the moment when the object was created."""
        bucket, name = split_uri(prefix)
        with landing_errors(prefix):
            for blob in self.client.list_blobs(bucket, prefix=name, **patience()):
                yield f"gs://{bucket}/{blob.name}", blob.time_created

    def delete(self, uri: str) -> None:
        """Delete one object; one that is gone already is fine."""
        from google.api_core.exceptions import NotFound

        with landing_errors(uri), suppress(NotFound):
            self.blob(uri).delete(**patience())


def part_of(uri: str, blob: Blob) -> Part:
    """Describe an object from Cloud Storage's own answer."""
    return Part(uri=uri, generation=int(blob.generation), size=int(blob.size), md5=blob.md5_hash or "")


def b64_md5(content: bytes) -> str:
    """Return the content's MD5 in base64, as Cloud Storage writes it."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def b64_crc32c(content: bytes) -> str:
    """Return the content's CRC32C in base64, big-endian, as Cloud Storage writes it: far less work than MD5."""
    import google_crc32c

    return base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode()


def _identity(part: Part) -> str:
    return f"generation {part.generation} with {part.size} bytes and checksum {part.md5}"


class _Upload(io.BufferedIOBase):
    """A new object in the making: closing it, or losing it, never makes it exist; `commit` alone does."""

    def __init__(self, blob: Blob, uri: str, content_type: str) -> None:
        self.uri = uri
        self._writer: Any = blob.open(
            "wb",
            content_type=content_type,
            if_generation_match=0,
            checksum="crc32c",
            ignore_flush=True,
            **patience(),
        )

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        with landing_errors(self.uri):
            return int(self._writer.write(data))

    def tell(self) -> int:
        return int(self._writer.tell())

    def commit(self) -> None:
        try:
            with landing_errors(self.uri):
                self._writer.close()
        except BaseException:
            self.abandon()
            raise
        self.close()

    def abandon(self) -> None:
        from google.auth.exceptions import GoogleAuthError
        from requests.exceptions import RequestException

        self.close()
        if begun := self._writer._upload_and_transport:
            upload, transport = begun
            with suppress(RequestException, GoogleAuthError):  # what is left of it expires by itself
                transport.delete(upload.upload_url, timeout=patience()["timeout"])
        self._writer._buffer.close()  # else google's writer sends its rest when it is collected


@contextmanager
def landing_errors(uri: str) -> Iterator[None]:
    """Turn google's exceptions about a landing object into ours, each with what to do."""
    from google.api_core.exceptions import GoogleAPICallError, RetryError, from_http_response
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
    from requests.exceptions import RequestException

    try:
        yield
    except (RetryError, TransportError, RequestException, DataCorruption) as error:
        raise TransientError(f"Cloud Storage does not answer for {uri}: {error}") from error
    except GoogleAuthError as error:
        raise AccessDeniedError(
            f"Cloud Storage cannot be asked for {uri}, since no credentials could be had: {error}. Check the"
            " Google connection, and that its identity may impersonate the tenant's `impersonate`"
        ) from error
    except InvalidResponse as error:
        answer: Any = from_http_response(error.response)  # type: ignore[no-untyped-call]  # not annotated
        raise _explained(uri, answer) from error
    except GoogleAPICallError as error:
        raise _explained(uri, error) from error


def _explained(uri: str, error: Any) -> EtlFactoryError:
    bucket = f"landing bucket gs://{split_uri(uri)[0]}"
    if error.code == 404:
        return NotFoundError(f"{bucket} does not exist: create it, or correct `landing` in tenant.yaml")
    if error.code in (401, 403):
        return AccessDeniedError(
            f"{bucket} refused {uri}: {error.message}. Grant the identity of this DAG Storage Object Admin on it"
        )
    if error.code == 412:
        return StaleError(f"{uri} exists already: another process uses this attempt's name")
    if error.code in (408, 429) or not 400 <= (error.code or 500) < 500:  # below 400: an answer that is none
        return TransientError(f"Cloud Storage is not available for {uri} at the moment: {error.message}")
    return TerminalError(f"Cloud Storage refused {uri}: {error.message}")
