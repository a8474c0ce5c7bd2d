"""The landing bucket behind a network that fails: what is written is whole and once, what is read is exact."""

from __future__ import annotations

import base64
import gc
import hashlib
import random
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pytest
from network_cases import FOR_EVER, TERMINAL, TRANSIENT, Wrong, fewer, json_body, pairs

from edge import Edge, edge_of
from etl_factory.errors import AccessDeniedError, StaleError, TerminalError, TransientError
from etl_factory.landing import objects, patience
from etl_factory.landing.manifest import Part
from etl_factory.landing.objects import Landing
from etl_factory.landing.parts import PartWriter
from etl_factory.operators import google
from etl_factory.transfers import streaming
from examples import Write
from fakes import resource_of

pytestmark = [
    pytest.mark.stack,
    # google's own: its client leaves the connection of a failed request to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
CHUNK = 256 * 1024  # the smallest that Cloud Storage takes
CONTENT = random.Random(3).randbytes(3 * CHUNK + 1000)
MD5 = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()


@dataclass
class Bucket:
    """A folder of a landing bucket, reached past the edge (`behind`) and through it (`landing`)."""

    edge: Edge
    behind: Landing
    landing: Landing
    folder: str

    @property
    def uri(self) -> str:
        return f"{self.folder}/part"

    def held(self) -> dict[str, str | None]:
        """Return every visible object's content checksum, by name."""
        return {uri.removeprefix(f"{self.folder}/"): self.behind.stat(uri).md5 for uri in self.listed()}

    def listed(self) -> list[str]:
        return list(self.behind.list(f"{self.folder}/"))

    def put(self) -> Part:
        """Have an object that is there already."""
        with self.behind.create(self.uri) as stream:
            stream.write(CONTENT)
        return self.behind.stat(self.uri)


@pytest.fixture(scope="module")
def name(stack: dict[str, str]) -> Iterator[str]:
    """Make a landing bucket."""
    with pytest.MonkeyPatch.context() as patch:
        for key, value in stack.items():
            patch.setenv(key, value)
        from airflow.providers.google.cloud.hooks.gcs import GCSHook

        client, name = GCSHook().get_conn(), f"faults-landing-{uuid.uuid4().hex[:8]}"
        client.create_bucket(name)
        yield name
        client.close()
    gc.collect()  # what google's client left open is to be found here


@pytest.fixture
def bucket(
    stack: dict[str, str], name: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bucket]:
    """Return a folder behind an edge, which the product is told of as anyone would tell it."""
    for module, constant, value in (
        (objects, "CHUNK_BYTES", CHUNK),
        (patience, "FIRST_WAIT", 0.02),
        (patience, "REPEAT_SECONDS", 20.0),
    ):
        monkeypatch.setattr(module, constant, value)
    resource = resource_of(write, "table: public.orders\nload: catalog")
    behind = google.landing(resource)
    with edge_of(stack["STORAGE_EMULATOR_HOST"]) as edge:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", edge.url)
        made = Bucket(edge, behind, google.landing(resource), f"gs://{name}/{uuid.uuid4().hex[:8]}")
        yield made
        made.landing.client.close()
        behind.client.close()


@dataclass(frozen=True)
class Operation:
    """One use of the bucket: the requests that it makes (`when`, after `skip`), what it does and what it gives."""

    name: str
    when: str
    do: Callable[[Bucket, Part | None], Any]
    gives: Any = None
    skip: int = 0
    begins_with_object: bool = False
    leaves: str | None = MD5


def create(bucket: Bucket, _: Part | None) -> None:
    with bucket.landing.create(bucket.uri) as stream:
        for start in range(0, len(CONTENT), 100_000):
            stream.write(CONTENT[start : start + 100_000])


def read(bucket: Bucket, part: Part | None) -> bool:
    assert part
    with bucket.landing.open(part) as stream:
        return b"".join(iter(lambda: stream.read(70_000), b"")) == CONTENT


def listing(bucket: Bucket, _: Part | None) -> list[str]:
    return [uri.rpartition("/")[2] for uri in bucket.landing.list(f"{bucket.folder}/")]


TEXT_MD5 = base64.b64encode(hashlib.md5(b"text").digest()).decode()
UPLOADS = (
    Operation("small object", "POST /upload", lambda b, _: b.landing.write_text(b.uri, "text"), True,
              leaves=TEXT_MD5),
    Operation("begin of an upload", "POST /upload", create),
    Operation("first chunk", "PUT /", create),
    Operation("middle chunk", "PUT /", create, skip=2),
    Operation("last chunk", "PUT /", create, skip=3),
)  # fmt: skip
READS = (
    Operation("metadata before a read", "/o/", read, True, begins_with_object=True),
    Operation("first block", "alt=media", read, True, begins_with_object=True),
    Operation("middle block", "alt=media", read, True, skip=2, begins_with_object=True),
    Operation("stat", "/o/", lambda b, p: b.landing.stat(b.uri) == p, True, begins_with_object=True),
    Operation("existence", "/o/", lambda b, p: streaming.exists(b.landing, b.uri), True,
              begins_with_object=True),
    Operation("list", "/o?", listing, ["part"], begins_with_object=True),
    Operation("small read", "/o/", lambda b, p: b.landing.read_text(f"{b.folder}/none"), None,
              begins_with_object=True),
)  # fmt: skip
DELETE = Operation("delete", "DELETE /", lambda b, _: b.landing.delete(b.uri), begins_with_object=True,
                   leaves=None)  # fmt: skip
OPERATIONS = (*UPLOADS, *READS, DELETE)


def begin(bucket: Bucket, operation: Operation) -> Part | None:
    part = bucket.put() if operation.begins_with_object else None
    bucket.edge.seen.clear()
    return part


@pytest.mark.parametrize(("operation", "wrong"), pairs(OPERATIONS, TRANSIENT))
def test_what_passes_is_repeated_and_succeeds(
    bucket: Bucket, operation: Operation, wrong: Wrong, monkeypatch: pytest.MonkeyPatch
) -> None:
    if wrong.how in ("hang", "stall"):
        monkeypatch.setattr(patience, "ANSWER_SECONDS", 0.4)
    part = begin(bucket, operation)
    wrong.strike(bucket.edge, operation.when, json_body, skip=operation.skip)

    assert operation.do(bucket, part) == operation.gives
    assert bucket.edge.faults[0].times == 0
    assert bucket.held() == ({"part": operation.leaves} if operation.leaves else {})


@pytest.mark.parametrize(("operation", "wrong"), pairs(OPERATIONS, TERMINAL))
def test_what_will_not_pass_is_asked_once(bucket: Bucket, operation: Operation, wrong: Wrong) -> None:
    part = begin(bucket, operation)
    before = bucket.held()
    wrong.strike(bucket.edge, operation.when, json_body, times=FOR_EVER, skip=operation.skip)
    expected = TerminalError if wrong.status == 400 else AccessDeniedError

    said = "no credentials could be had" if wrong.status == 401 else "made by the test"
    with pytest.raises(expected, match=said) as raised:
        operation.do(bucket, part)

    assert type(raised.value) is expected
    assert bucket.edge.count(operation.when) == operation.skip + 1
    assert bucket.held() == before


LASTING = [wrong for wrong in TRANSIENT if wrong.name in ("503", "reset before", "no answer")]


@pytest.mark.parametrize(("operation", "wrong"), fewer(pairs(OPERATIONS, LASTING)))
def test_what_lasts_is_transient_and_leaves_nothing(
    bucket: Bucket, operation: Operation, wrong: Wrong, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = begin(bucket, operation)
    before = bucket.held()
    monkeypatch.setattr(patience, "REPEAT_SECONDS", 0.5)
    monkeypatch.setattr(patience, "ANSWER_SECONDS", 0.3)
    wrong.strike(bucket.edge, operation.when, json_body, times=FOR_EVER, skip=operation.skip)
    began = time.monotonic()

    with pytest.raises(TransientError, match="Cloud Storage "):
        operation.do(bucket, part)

    assert time.monotonic() - began < 10
    assert bucket.held() == before


def test_the_waits_grow(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "REPEAT_SECONDS", 1.5)
    bucket.edge.answers("/o/", 503, times=FOR_EVER)

    with pytest.raises(TransientError):
        bucket.landing.stat(bucket.uri)

    assert 3 < len(bucket.edge.seen) < 30


def test_a_block_that_ends_early_is_no_end_of_the_object(bucket: Bucket) -> None:
    """An answer that is whole in itself, with fewer bytes than were asked for."""
    part = bucket.put()
    bucket.edge.answers("alt=media", 206, CONTENT[:5], Content_Range=f"bytes 0-4/{len(CONTENT)}")

    assert read(bucket, part)


def test_an_answer_that_is_none_is_transient(bucket: Bucket) -> None:
    """As a gateway's own page with a good status."""
    part = bucket.put()
    bucket.edge.answers("alt=media", 206, b"<html>")

    with pytest.raises(
        TransientError, match=r"Cloud Storage is not available for gs://.*/part at the moment"
    ):
        read(bucket, part)


def test_bytes_that_were_damaged_are_not_believed(bucket: Bucket) -> None:
    part = bucket.put()
    bucket.edge.answers("alt=media", 206, bytes(CHUNK), Content_Range=f"bytes 0-{CHUNK - 1}/{len(CONTENT)}")

    with pytest.raises(TransientError, match=r"part arrived with checksum .*damaged on its way"):
        read(bucket, part)


def test_an_object_replaced_while_it_is_read_is_not_read_on(bucket: Bucket) -> None:
    part = bucket.put()
    with bucket.landing.open(part) as stream:
        got = stream.read(1000)
        bucket.behind.delete(bucket.uri)
        with bucket.behind.create(bucket.uri) as other:
            other.write(CONTENT[::-1])
        with pytest.raises(StaleError, match="is gone or changed: clear the run from `extract`"):
            while block := stream.read(100_000):
                got += block

    assert CONTENT.startswith(got)


def test_a_parquet_part_is_whole_whatever_its_chunks_go_through(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.parquet as pq

    monkeypatch.setattr(patience, "ANSWER_SECONDS", 0.5)

    numbers = [int.from_bytes(CONTENT[i : i + 8], "big") >> 1 for i in range(len(CONTENT) - 8)][:150_000]
    schema = pa.schema([("n", pa.int64())])
    for how in ("reset", "cut", "hang"):
        bucket.edge.fails("PUT /", how, is_done=True, skip=1)
    with PartWriter(bucket.landing, bucket.folder, schema) as writer:
        for start in range(0, len(numbers), 10_000):
            writer.write(pa.record_batch([pa.array(numbers[start : start + 10_000])], schema=schema))
    (part,) = writer.parts
    assert [fault.times for fault in bucket.edge.faults] == [0] * 3
    bucket.edge.fails("alt=media", "reset")
    bucket.edge.fails("alt=media", "cut", is_done=True, skip=1)

    with bucket.landing.open(part) as stream:
        assert pq.read_table(stream)["n"].to_pylist() == numbers
    assert [fault.times for fault in bucket.edge.faults] == [0] * 5


def test_a_damaged_upload_is_noticed(bucket: Bucket) -> None:
    """The server's own checksum of what arrived is compared with what was sent."""
    bucket.edge.fails(
        "PUT /",
        "answer",
        skip=3,
        answer=(200, {"Content-Type": "application/json"}, b'{"crc32c": "AAAAAA=="}'),
    )

    with pytest.raises(TransientError, match="did not match"):
        create(bucket, None)
    assert bucket.held() == {}


def test_a_damaged_object_of_one_request_is_noticed(bucket: Bucket) -> None:
    answer = (200, {"Content-Type": "application/json"}, b'{"crc32c": "AAAAAA=="}')
    bucket.edge.fails("POST /upload", "answer", answer=answer)

    with pytest.raises(TransientError, match="does not have the checksum sent: AAAAAA==, not "):
        bucket.landing.put(bucket.uri, b"sent")


def test_a_part_pins_what_was_read(bucket: Bucket) -> None:
    part = bucket.put()

    with pytest.raises(StaleError, match="checksum"):
        read(bucket, replace(part, md5=TEXT_MD5))
