"""The local Cloud Storage answers google's own client as the real one does, where the project relies on it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from google.api_core.exceptions import NotFound, PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from devstack import gcs
from devstack.process import Home
from devstack.stack import VENVS

CHUNK = 256 * 1024


@dataclass
class Server:
    """A running server: its home, its address and a client of it."""

    home: Home
    url: str
    client: storage.Client

    @property
    def folder(self) -> Path:
        return self.home.data("gcs") / ".cloudstorage"

    def restart(self) -> None:
        self.home.stop("gcs")
        self.home.start(gcs.process(self.home, VENVS))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = Home(tmp_path_factory.mktemp("gcs"))
    home.start(gcs.process(home, VENVS))
    url = gcs.environment(home)["STORAGE_EMULATOR_HOST"]
    client = storage.Client("acme", AnonymousCredentials(), client_options={"api_endpoint": url})
    yield Server(home, url, client)
    client.close()
    home.stop("gcs")


@pytest.fixture
def bucket(server: Server) -> storage.Bucket:
    return server.client.create_bucket(f"b-{uuid.uuid4().hex[:8]}")


def put(bucket: storage.Bucket, name: str, content: bytes, wanted: int | None = None) -> int:
    """Write an object in one request and return its generation."""
    blob = bucket.blob(name)
    blob.upload_from_string(content, if_generation_match=wanted)
    return int(blob.generation)


def test_every_version_has_a_generation_of_its_own(bucket: storage.Bucket) -> None:
    first, second = put(bucket, "a", b"first"), put(bucket, "a", b"second")

    assert second > first
    assert int(bucket.get_blob("a").generation) == second


def test_a_pinned_read_gives_that_generation_or_nothing(bucket: storage.Bucket) -> None:
    first = put(bucket, "a", b"first")
    assert bucket.blob("a", generation=first).download_as_bytes() == b"first"
    second = put(bucket, "a", b"second")

    with pytest.raises(NotFound):
        bucket.blob("a", generation=first).download_as_bytes()
    with pytest.raises(NotFound):
        bucket.blob("a", generation=first).reload()
    assert bucket.blob("a", generation=second).download_as_bytes() == b"second"
    assert bucket.blob("a").download_as_bytes(if_generation_match=second) == b"second"
    with pytest.raises(PreconditionFailed):
        bucket.blob("a").download_as_bytes(if_generation_match=first)


def test_a_write_obeys_its_precondition(bucket: storage.Bucket) -> None:
    first = put(bucket, "a", b"first", 0)

    with pytest.raises(PreconditionFailed):
        put(bucket, "a", b"again", 0)
    with pytest.raises(PreconditionFailed):
        put(bucket, "a", b"again", first + 1)
    assert bucket.blob("a").download_as_bytes() == b"first"
    put(bucket, "a", b"second", first)
    assert bucket.blob("a").download_as_bytes() == b"second"


def test_of_many_who_create_one_wins(bucket: storage.Bucket) -> None:
    def create(number: int) -> bytes | None:
        content = str(number).encode()
        response = requests.post(
            f"{bucket.client._connection.API_BASE_URL}/upload/storage/v1/b/{bucket.name}/o",
            params={"uploadType": "media", "name": "a", "ifGenerationMatch": "0"},
            data=content,
            timeout=30,
        )
        return content if response.status_code == 200 else None

    with ThreadPoolExecutor(8) as pool:
        won = [content for content in pool.map(create, range(16)) if content]

    assert len(won) == 1
    assert bucket.blob("a").download_as_bytes() == won[0]


def test_a_copy_obeys_both_preconditions(bucket: storage.Bucket) -> None:
    source = put(bucket, "from", b"content")
    target = bucket.blob("to")

    with pytest.raises(PreconditionFailed):
        target.rewrite(bucket.blob("from"), if_source_generation_match=source + 1)
    with pytest.raises((NotFound, PreconditionFailed)):
        target.rewrite(bucket.blob("from", generation=source + 1))
    target.rewrite(bucket.blob("from"), if_source_generation_match=source, if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        target.rewrite(bucket.blob("from"), if_generation_match=0)

    assert target.download_as_bytes() == b"content"


def resumable(server: Server, bucket: storage.Bucket, name: str, wanted: str | None = None) -> str:
    """Begin a resumable upload and return its address."""
    query = {"uploadType": "resumable", "name": name} | ({"ifGenerationMatch": wanted} if wanted else {})
    begun = requests.post(
        f"{server.url}/upload/storage/v1/b/{bucket.name}/o", params=query, json={}, timeout=30
    )
    assert begun.status_code == 200
    return begun.headers["Location"]


def send(address: str, content: bytes, start: int, total: int | str) -> requests.Response:
    content_range = f"bytes {start}-{start + len(content) - 1}/{total}" if content else f"bytes */{total}"
    return requests.put(address, data=content, headers={"Content-Range": content_range}, timeout=30)


def test_a_resumable_upload_exists_once_it_is_whole(server: Server, bucket: storage.Bucket) -> None:
    address = resumable(server, bucket, "a")
    first, second = b"1" * CHUNK, b"2" * 10

    answer = send(address, first, 0, "*")
    assert (answer.status_code, answer.headers["Range"]) == (308, f"bytes=0-{CHUNK - 1}")
    assert bucket.get_blob("a") is None
    assert send(address, second, CHUNK, CHUNK + 10).status_code == 200

    assert bucket.blob("a").download_as_bytes() == first + second
    assert bucket.get_blob("a").size == CHUNK + 10


def test_a_chunk_that_is_sent_again_counts_once(server: Server, bucket: storage.Bucket) -> None:
    address = resumable(server, bucket, "a")
    first, second = b"1" * CHUNK, b"2" * CHUNK

    send(address, first, 0, "*")
    answer = send(address, b"", 0, "*")
    assert (answer.status_code, answer.headers["Range"]) == (308, f"bytes=0-{CHUNK - 1}")
    send(address, first, 0, "*")
    send(address, first[CHUNK // 2 :] + second, CHUNK // 2, "*")
    assert send(address, b"3", 2 * CHUNK, 2 * CHUNK + 1).status_code == 200

    assert bucket.blob("a").download_as_bytes() == first + second + b"3"


def test_a_resumable_upload_obeys_its_precondition_at_its_end(server: Server, bucket: storage.Bucket) -> None:
    address = resumable(server, bucket, "a", "0")
    put(bucket, "a", b"meanwhile")

    assert send(address, b"late", 0, 4).status_code == 412
    assert bucket.blob("a").download_as_bytes() == b"meanwhile"


def test_a_listing_is_of_its_prefix_and_folder(bucket: storage.Bucket) -> None:
    names = ["a/1", "a/b/2", "a/zażółć '`?#%.csv", "ab"]
    for name in names:
        put(bucket, name, b"x")

    assert [blob.name for blob in bucket.list_blobs()] == sorted(names)
    assert [blob.name for blob in bucket.list_blobs(prefix="a/")] == sorted(names[:3])
    folder = bucket.list_blobs(prefix="a/", delimiter="/")
    assert [blob.name for blob in folder] == [names[0], names[2]]
    assert folder.prefixes == {"a/b/"}
    listed = next(iter(bucket.list_blobs(prefix="a/1")))
    assert (listed.generation, listed.size, listed.md5_hash) == (
        bucket.get_blob("a/1").generation, 1, bucket.get_blob("a/1").md5_hash
    )  # fmt: skip


def test_an_empty_object_is_read_as_empty(bucket: storage.Bucket) -> None:
    put(bucket, "a", b"")

    with bucket.blob("a").open("rb") as stream:
        assert stream.read() == b""
    assert bucket.blob("a").download_as_bytes() == b""


@pytest.mark.parametrize(
    ("asked", "status", "content"), [("1-2", 206, b"bc"), ("2-", 206, b"c"), ("3-", 416, b"")]
)
def test_a_range_is_what_was_asked_for(
    server: Server, bucket: storage.Bucket, asked: str, status: int, content: bytes
) -> None:
    put(bucket, "a", b"abc")

    answer = requests.get(
        f"{server.url}/download/storage/v1/b/{bucket.name}/o/a?alt=media",
        headers={"Range": f"bytes={asked}"},
        timeout=30,
    )

    assert (answer.status_code, answer.content) == (status, content)


def test_what_is_not_there_is_not_found(server: Server, bucket: storage.Bucket) -> None:
    for call in (
        lambda: bucket.blob("none").download_as_bytes(),
        lambda: bucket.blob("none").delete(),
        lambda: server.client.bucket("none").blob("a").upload_from_string(b"x"),
        lambda: list(server.client.list_blobs("none")),
    ):
        with pytest.raises(NotFound):
            call()


def test_a_deleted_object_is_gone_and_its_name_is_free(bucket: storage.Bucket) -> None:
    put(bucket, "a", b"first")
    bucket.blob("a").delete()

    assert bucket.get_blob("a") is None
    put(bucket, "a", b"second", 0)
    assert bucket.blob("a").download_as_bytes() == b"second"


def test_the_bigquery_emulator_finds_objects_as_files(server: Server, bucket: storage.Bucket) -> None:
    put(bucket, "load/part.parquet", b"content")

    assert (server.folder / bucket.name / "load/part.parquet").read_bytes() == b"content"


def test_a_file_that_the_bigquery_emulator_wrote_is_an_object(server: Server, bucket: storage.Bucket) -> None:
    put(bucket, "other", b"x")
    file = server.folder / bucket.name / "extract.parquet"
    file.write_bytes(b"extracted")

    assert bucket.blob("extract.parquet").download_as_bytes() == b"extracted"
    assert bucket.get_blob("extract.parquet").size == 9


def test_objects_and_generations_outlive_the_server(server: Server, bucket: storage.Bucket) -> None:
    generation = put(bucket, "a", b"content")

    server.restart()

    assert bucket.blob("a", generation=generation).download_as_bytes() == b"content"
    with pytest.raises(PreconditionFailed):
        put(bucket, "a", b"again", 0)


def test_an_upload_that_is_finished_answers_again(server: Server, bucket: storage.Bucket) -> None:
    """As to a client that has lost the answer: when it sends its last bytes again, or asks how far they came."""
    to = resumable(server, bucket, "a")
    made = requests.put(to, b"hello", headers={"Content-Range": "bytes 0-4/5"}, timeout=10)
    again = requests.put(to, b"hello", headers={"Content-Range": "bytes 0-4/5"}, timeout=10)
    asked = requests.put(to, headers={"Content-Range": "bytes */5"}, timeout=10)

    assert [answer.status_code for answer in (made, again, asked)] == [200] * 3
    assert made.json()["generation"] == again.json()["generation"] == asked.json()["generation"]
    assert int(bucket.get_blob("a").generation) == int(made.json()["generation"])
