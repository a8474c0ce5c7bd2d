"""Objects of the landing bucket on a real server: written once, read pinned, and errors by remedy."""

from __future__ import annotations

import base64
import gc
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from google.api_core.exceptions import RetryError, from_http_status
from google.auth.exceptions import RefreshError
from google.cloud import storage
from google.cloud.storage.exceptions import InvalidResponse

from etl_factory.errors import AccessDeniedError, NotFoundError, StaleError, TerminalError, TransientError
from etl_factory.landing import objects
from etl_factory.landing.objects import Landing, landing_errors, split_uri

CHUNK_BYTES = 256 * 1024  # the smallest that Cloud Storage takes
NAME = "acme/shop db/zażółć '`\"/load_id=ld_1/plan.json"


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "CHUNK_BYTES", CHUNK_BYTES)


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("gs://b/a/b", ("b", "a/b")),
        ("gs://b", ("b", "")),
        ("gs://b//a", ("b", "/a")),
        ("gs://b/a?b#c", ("b", "a?b#c")),
    ],
)
def test_an_address_is_bucket_and_name(uri: str, parts: tuple[str, str]) -> None:
    assert split_uri(uri) == parts


@pytest.mark.parametrize("uri", ["s3://b/a", "/b/a", "GS://b/a", ""])
def test_another_scheme_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="is not a gs:// address"):
        split_uri(uri)


def test_text_is_written_once(landing: Landing, bucket: str) -> None:
    uri = f"gs://{bucket}/{NAME}"

    assert landing.read_text(uri) is None
    assert landing.write_text(uri, "first ą")
    assert not landing.write_text(uri, "second")
    assert landing.read_text(uri) == "first ą"
    assert list(landing.list(f"gs://{bucket}/acme/")) == [uri]


def test_a_write_whose_answer_was_lost_counts_as_ours(landing: Landing, bucket: str) -> None:
    uri = f"gs://{bucket}/plan.json"
    landing.write_text(uri, "mine")

    assert landing.write_text(uri, "mine")


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1])
def test_a_stream_becomes_an_object_when_its_block_ends(landing: Landing, bucket: str, size: int) -> None:
    uri, content = f"gs://{bucket}/part", b"x" * size

    with landing.create(uri) as stream:
        stream.write(content)
        assert stream.tell() == size
        stream.flush()
        assert list(landing.list(f"gs://{bucket}/")) == []

    part = landing.stat(uri)
    assert (part.size, part.md5) == (size, base64.b64encode(hashlib.md5(content).digest()).decode())
    with landing.open(part) as stream:
        assert stream.read() == content


@pytest.mark.parametrize("size", [10, CHUNK_BYTES + 10])
def test_an_error_in_the_block_leaves_no_object(landing: Landing, bucket: str, size: int) -> None:
    uri = f"gs://{bucket}/part"

    with pytest.raises(KeyError, match="gone"), landing.create(uri) as stream:
        stream.write(b"x" * size)
        raise KeyError("gone")
    del stream
    gc.collect()

    assert list(landing.list(f"gs://{bucket}/")) == []


def test_closing_the_stream_early_makes_nothing(landing: Landing, bucket: str) -> None:
    with pytest.raises(KeyError), landing.create(f"gs://{bucket}/part") as stream:
        stream.write(b"half")
        stream.close()
        raise KeyError

    assert list(landing.list(f"gs://{bucket}/")) == []


@pytest.mark.parametrize("size", [1, CHUNK_BYTES + 1])
def test_an_object_is_never_overwritten(landing: Landing, bucket: str, size: int) -> None:
    uri = f"gs://{bucket}/part"
    landing.write_text(uri, "first")

    with pytest.raises(StaleError) as raised, landing.create(uri) as stream:
        stream.write(b"x" * size)

    assert str(raised.value) == f"{uri} exists already: another process uses this attempt's name"
    assert landing.read_text(uri) == "first"


@pytest.mark.parametrize("size", [1, CHUNK_BYTES + 1])
def test_a_missing_bucket_is_named(landing: Landing, size: int) -> None:
    message = "landing bucket gs://no-such does not exist: create it, or correct `landing` in tenant.yaml"

    with pytest.raises(NotFoundError) as written:
        landing.write_text("gs://no-such/plan.json", "x")
    with pytest.raises(NotFoundError) as streamed, landing.create("gs://no-such/part") as stream:
        stream.write(b"x" * size)

    assert (str(written.value), str(streamed.value)) == (message, message)


def test_what_failed_is_not_sent_again_when_it_is_collected(
    landing: Landing, client: storage.Client, bucket: str
) -> None:
    uri = f"gs://{bucket}/part"
    landing.write_text(uri, "first")
    with pytest.raises(StaleError), landing.create(uri) as stream:
        stream.write(b"second")
    landing.delete(uri)

    del stream
    gc.collect()

    assert list(landing.list(f"gs://{bucket}/")) == []


def test_the_sources_own_errors_are_not_taken_for_the_buckets(landing: Landing, bucket: str) -> None:
    with pytest.raises(type(from_http_status(404, ""))), landing.create(f"gs://{bucket}/part") as stream:
        stream.write(b"x")
        raise from_http_status(404, "the source's object")


def test_an_object_that_is_gone_says_what_to_do(landing: Landing, bucket: str) -> None:
    uri = f"gs://{bucket}/part"
    with pytest.raises(StaleError) as missing:
        landing.stat(uri)
    landing.write_text(uri, "x")
    part = landing.stat(uri)
    landing.delete(uri)
    landing.delete(uri)

    with pytest.raises(StaleError) as gone:
        landing.open(part)

    assert str(missing.value) == f"landing object {uri} is gone: clear the run from `extract`"
    assert str(gone.value) == str(missing.value)


def test_a_changed_object_is_not_read(landing: Landing, client: storage.Client, bucket: str) -> None:
    uri = f"gs://{bucket}/part"
    landing.write_text(uri, "first")
    part = landing.stat(uri)
    client.bucket(bucket).blob("part").upload_from_string("other")

    now = landing.stat(uri)
    with pytest.raises(StaleError) as raised:
        landing.open(part)

    assert str(raised.value) == (
        f"landing object {uri} was changed: its manifest lists generation {part.generation} with 5 bytes and checksum"
        f" {part.md5}, but it is generation {now.generation} with 5 bytes and checksum {now.md5} now. Nothing was"
        " published; clear the run from `extract`"
    )


def test_an_object_written_again_is_another_one_even_with_the_same_content(
    landing: Landing, client: storage.Client, bucket: str
) -> None:
    uri = f"gs://{bucket}/part"
    landing.write_text(uri, "first")
    part = landing.stat(uri)
    landing.demand(part)
    client.bucket(bucket).blob("part").upload_from_string("first")

    with pytest.raises(
        StaleError, match=f"{uri} was changed: its manifest lists generation {part.generation} "
    ):
        landing.demand(part)


def test_objects_are_listed_with_when_they_were_made(landing: Landing, bucket: str) -> None:
    before = datetime.now(UTC)
    landing.write_text(f"gs://{bucket}/a/part", "x")
    landing.write_text(f"gs://{bucket}/b/part", "x")

    ((uri, made),) = landing.ages(f"gs://{bucket}/a")

    assert uri == f"gs://{bucket}/a/part"
    assert before - timedelta(seconds=1) < made < datetime.now(UTC) + timedelta(seconds=1)


def test_a_checksum_that_the_manifest_does_not_list_is_refused(landing: Landing, bucket: str) -> None:
    uri = f"gs://{bucket}/part"
    landing.write_text(uri, "first")
    part = landing.stat(uri)

    with pytest.raises(StaleError) as raised:
        landing.open(replace(part, md5="AAAA"))

    assert str(raised.value) == (
        f"landing object {uri} has 5 bytes with checksum {part.md5}, but its manifest says 5 bytes with checksum AAAA:"
        " clear the run from `extract`"
    )


def test_a_listing_is_of_its_prefix(landing: Landing, bucket: str) -> None:
    for name in ("a/1", "a/2", "ab/3", "b/4"):
        landing.write_text(f"gs://{bucket}/{name}", "x")

    assert list(landing.list(f"gs://{bucket}/a/")) == [f"gs://{bucket}/a/1", f"gs://{bucket}/a/2"]
    assert list(landing.list(f"gs://{bucket}/none/")) == []


def _answer(code: int) -> Any:
    response = requests.Response()
    response.status_code = code
    response.request = requests.Request("PUT", "https://storage.example/upload").prepare()
    return InvalidResponse(response, "failed")


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (from_http_status(403, "no"), AccessDeniedError),
        (from_http_status(401, "no"), AccessDeniedError),
        (from_http_status(404, "no"), NotFoundError),
        (from_http_status(412, "no"), StaleError),
        (from_http_status(400, "no"), TerminalError),
        (from_http_status(429, "no"), TransientError),
        (from_http_status(503, "no"), TransientError),
        (_answer(403), AccessDeniedError),
        (_answer(412), StaleError),
        (_answer(503), TransientError),
        (requests.exceptions.ConnectionError("no"), TransientError),
        (requests.exceptions.ReadTimeout("no"), TransientError),
        (RetryError("no", None), TransientError),
        (RefreshError("no"), AccessDeniedError),
    ],
    ids=repr,
)
def test_an_error_says_its_remedy_by_its_type(raised: Exception, error: type[Exception]) -> None:
    with pytest.raises(error) as caught, landing_errors("gs://acme-landing/a"):
        raise raised

    assert type(caught.value) is error
    assert "gs://acme-landing" in str(caught.value)


def test_a_denial_says_what_to_grant() -> None:
    with pytest.raises(AccessDeniedError) as caught, landing_errors("gs://acme-landing/a"):
        raise from_http_status(403, "etl-acme does not have storage.objects.create")

    assert str(caught.value) == (
        "landing bucket gs://acme-landing refused gs://acme-landing/a: etl-acme does not have storage.objects.create."
        " Grant the identity of this DAG Storage Object Admin on it"
    )
