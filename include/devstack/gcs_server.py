"""Serves gcp-storage-emulator with what it lacks: speed, threads, preconditions, pinned generations.

Run by the emulator's own Python: `gcs_server.py DATA_DIR PORT [HOST]`. The layout on disk stays the emulator's
own (`DATA_DIR/.cloudstorage/<bucket>/<name>`), since the BigQuery emulator reads that folder.

- an upload of one request is cut at its boundaries, not parsed as a mail;
- an object stays on disk: a resumable upload appends to a file, a read takes its range, so that 5 GB cost no memory;
- a file that the BigQuery emulator extracted into that folder is an object like any other;
- the index of all objects is written when the server stops and every few seconds, not at every insert;
- `ifGenerationMatch` on uploads, `ifSourceGenerationMatch` and `ifGenerationMatch` on copies,
  and `generation` on reads are obeyed (https://cloud.google.com/storage/docs/request-preconditions);
- a range past the end of an object is refused, also where the object is empty;
- an upload that is finished answers again as it did then
  (https://cloud.google.com/storage/docs/performing-resumable-uploads#status-check).
"""

from __future__ import annotations

import re
import signal
import sys
import threading
from functools import partial
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from typing import Any

from gcp_storage_emulator import server
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers import objects
from gcp_storage_emulator.storage import RESUMABLE_DIR, Storage
from gcs_content import Content, DiskStore, Upload, measured
from gcs_multipart import KIND, related

LOCK = threading.RLock()
WANTED = threading.local()


class PreconditionFailed(Exception):
    """The live generation is not the one that the request names."""


class RangeNotSatisfiable(Exception):
    """The object ends before the range that the request asks for begins."""


class FastStorage(Storage):
    """The emulator's storage, with its slow places replaced."""

    def __init__(self, data_dir: str) -> None:
        self.is_dirty = False
        self.uploads: dict[str, Upload] = {}
        self.finished: dict[str, dict[str, Any]] = {}
        self.preconditions: dict[str, str | None] = {}
        self.extracted: dict[str, int] = {}
        super().__init__(data_dir=data_dir)
        self._store = DiskStore(use_memory=False, root=self._store._root)

    def _write_config_to_file(self) -> None:
        self.is_dirty = True

    def save(self) -> None:
        """Write the index now."""
        with LOCK:
            if self.is_dirty:
                self.is_dirty = False
                super()._write_config_to_file()

    def _bucket_soft_delete_retention_seconds(self, bucket_name: str) -> int:
        return 0

    def create_resumable_upload(self, bucket_name: str, file_name: str, file_obj: dict[str, Any]) -> str:
        file_id: str = super().create_resumable_upload(bucket_name, file_name, file_obj)
        self.uploads[file_id] = Upload(self._store._disk_path(f"{RESUMABLE_DIR}/{self.safe_id(file_id)}"))
        self.preconditions[file_id] = getattr(WANTED, "generation", None)
        return file_id

    def get_resumable_byte_count(self, file_id: str) -> int:
        return self.uploads[file_id].size if file_id in self.uploads else 0

    def add_to_resumable_upload(
        self, file_id: str, content: bytes, total_size: int | None = None, expected_start: int | None = None
    ) -> Content | None:
        if file_id not in self.uploads:
            raise NotFound
        upload = self.uploads[file_id]
        upload.add(
            content[max(0, upload.size - (upload.size if expected_start is None else expected_start)) :]
        )
        if total_size is None or upload.size < total_size:
            return None
        return self.uploads.pop(file_id).end()

    def create_file(
        self, bucket_name: str, file_name: str, content: bytes | Content, file_obj: dict[str, Any],
        file_id: str | None = None,
    ) -> None:  # fmt: skip
        wanted = self.preconditions.pop(file_id, None) if file_id else getattr(WANTED, "generation", None)
        self.demand(bucket_name, file_name, wanted)
        super().create_file(bucket_name, file_name, content, file_obj, file_id)
        self.extracted.pop(self._object_path(bucket_name, file_name), None)
        if file_id:
            self.finished[file_id] = file_obj

    def get_file_obj(self, bucket_name: str, file_name: str) -> dict[str, Any]:
        """Return an object's resource; a file that the BigQuery emulator extracted is taken in first."""
        path = self._object_path(bucket_name, file_name)
        if bucket_name in self.buckets and self._store.exists_file(path):
            modified = self._store._disk_path(path).stat().st_mtime_ns
            known = file_name in self.objects.get(bucket_name, {})
            if self.extracted.get(path, modified if known else None) != modified:
                self._adopt(bucket_name, file_name, path)
        found: dict[str, Any] = super().get_file_obj(bucket_name, file_name)
        return found

    def _adopt(self, bucket_name: str, file_name: str, path: str) -> None:
        content = measured(self._store._disk_path(path))
        resource = objects._make_object_resource("", bucket_name, file_name, None, str(len(content)))
        self.create_file(bucket_name, file_name, content, objects._checksums(content, resource))
        self.extracted[path] = self._store._disk_path(path).stat().st_mtime_ns

    def get_file(self, bucket_name: str, file_name: str, show_error: bool = True) -> Content:
        """Return an object's content, of which nothing is read yet."""
        known = self.get_file_obj(bucket_name, file_name)
        try:
            path = self._store._disk_path(self._object_path(bucket_name, file_name))
            return Content(path, known["md5Hash"], known["crc32c"])
        except OSError:
            raise NotFound from None

    def demand(self, bucket_name: str, file_name: str, wanted: str | None) -> None:
        """Raise PreconditionFailed unless the live generation is the wanted one ("0": no object)."""
        live = self.objects.get(bucket_name, {}).get(file_name, {}).get("generation", "0")
        if wanted is not None and str(live) != wanted:
            raise PreconditionFailed(f"{file_name}: generation is {live}, not {wanted}")


class Response(server.Response):  # type: ignore[misc]  # the emulator has no types
    """An answer that sends a whole object block by block, after the lock is released."""

    def close(self) -> None:
        content = self._content
        if not isinstance(content, Content):
            super().close()
            return
        self._handler.send_response(self.status.value, self.status.phrase)
        for name, value in self._headers.items():
            self._handler.send_header(name, value)
        self._handler.send_header("Content-Length", str(len(content)))
        self._handler.end_headers()
        for block in content.blocks():
            self._handler.wfile.write(block)


def body(read: Any) -> Any:
    """Wrap the emulator's reader of request bodies."""

    def reading(handler: Any, query: Any) -> Any:
        content_type = handler.headers.get("Content-Type") or ""
        if not content_type.startswith(KIND):
            return read(handler, query)
        return related(content_type, server._decode_raw_data(server._read_raw_data(handler), handler))

    return reading


def checksum(name: str, measure: Any) -> Any:
    """Wrap one of the emulator's checksums, which an object on disk has already."""
    return lambda content: getattr(content, name) if isinstance(content, Content) else measure(content)


def guarded(handler: Any) -> Any:
    """Wrap a handler of the emulator: one at a time, with preconditions checked."""

    def handle(request: Any, response: Any, storage: FastStorage, *args: Any, **kwargs: Any) -> None:
        # Read the body before taking the lock, so that a slow client does not hold up the others.
        _ = request.data if request.method in ("POST", "PUT", "PATCH") else None
        with LOCK:
            try:
                _check(request, storage)
                made = storage.finished.get(request.query.get("upload_id", [""])[0])
                if request.method == "PUT" and made:
                    response.json(made)
                else:
                    handler(request, response, storage, *args, **kwargs)
            except PreconditionFailed as error:
                response.status = HTTPStatus.PRECONDITION_FAILED
                response.json({"error": {"code": 412, "message": str(error)}})
            except RangeNotSatisfiable:
                response.status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            except NotFound:
                response.status = HTTPStatus.NOT_FOUND
                response.json({"error": {"code": 404, "message": "not found"}})
            finally:
                WANTED.generation = None

    return handle


def _check(request: Any, storage: FastStorage) -> None:
    query = {name: values[0] for name, values in request.query.items()}
    bucket, name = request.params.get("bucket_name", ""), request.params.get("object_id")
    if request.method in {"GET", "DELETE"}:
        if name:
            _check_read(storage, bucket, name, query)
            _check_range(request, int(storage.get_file_obj(bucket, name)["size"]))
        return
    WANTED.generation = query.get("ifGenerationMatch")
    pinned = query.get("ifSourceGenerationMatch") or query.get("sourceGeneration")
    if name and pinned:
        storage.demand(bucket, name, pinned)


def _check_read(storage: FastStorage, bucket: str, name: str, query: dict[str, str]) -> None:
    live = storage.get_file_obj(bucket, name)["generation"]
    if query.get("generation", live) != live:
        raise NotFound
    storage.demand(bucket, name, query.get("ifGenerationMatch"))


def _check_range(request: Any, size: int) -> None:
    """Answer as Cloud Storage does for a range past the end, which any range of an empty object is."""
    start = re.match(r"bytes=(\d+)-", request.get_header("range", ""))
    if start and int(start[1]) >= size:
        raise RangeNotSatisfiable


class Server(ThreadingHTTPServer):
    """Lets many clients come at once: of five, as by default, the sixth waits a second for its next try."""

    daemon_threads, request_queue_size = True, 128


def main(data_dir: str, port: int, host: str = "127.0.0.1") -> None:
    """Serve until terminated."""
    storage = FastStorage(data_dir)
    server.HANDLERS = tuple(
        (pattern, {method: guarded(handler) for method, handler in handlers.items()})
        for pattern, handlers in server.HANDLERS
    )
    objects.insert = guarded(objects.insert)
    objects._md5, objects._crc32c = checksum("md5", objects._md5), checksum("crc32c", objects._crc32c)
    server.Response, server._read_data = Response, body(server._read_data)
    httpd = Server((host, port), partial(server.RequestHandler, storage))
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    while not stopping.wait(3):
        storage.save()
    httpd.shutdown()
    storage.save()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
