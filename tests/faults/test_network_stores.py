"""S3, Azure and Cloud Storage as sources behind a network that fails: what is listed is all, what is read is exact."""

from __future__ import annotations

import gc
import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from network_cases import FOR_EVER, TERMINAL, TRANSIENT, Wrong, fewer, pairs

from edge import Edge, edge_of
from etl_factory.errors import AccessDeniedError, StaleError, TerminalError, TransientError
from etl_factory.landing import objects, patience
from etl_factory.landing.objects import Landing
from etl_factory.sources import _stores, azure_blob, gcs, s3
from etl_factory.sources.base import FileSource, SourceObject
from etl_factory.transfers import streaming
from file_systems import SYSTEMS, FileSystem, gcs_client, in_use, one

pytestmark = [
    pytest.mark.stack,
    # google's own: its client leaves the connection of a failed request to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
BLOCK = 256 * 1024  # the smallest chunk that Cloud Storage takes
CONTENT = random.Random(4).randbytes(3 * BLOCK + 77)
WORDS = {400: "InvalidArgument", 401: "AccessDenied", 403: "AccessDenied", 429: "SlowDown", 500: "InternalError",
         502: "BadGateway", 503: "SlowDown"}  # fmt: skip
LISTS = {"s3": "list-type=2", "gcs": "/o?", "azure_blob": "comp=list"}


@dataclass
class Store:
    """An object store behind an edge, with one object, and a landing bucket to copy it to."""

    system: FileSystem
    edge: Edge
    source: FileSource
    item: SourceObject
    landing: Landing
    folder: str

    @property
    def reads(self) -> str:
        """What the request line of a read contains, and no other."""
        return "alt=media" if self.system.name == "gcs" else self.item.uri.partition("//")[2]

    def read(self) -> bytes:
        with self.source.open(self.item) as stream:
            return b"".join(iter(lambda: stream.read(100_000), b""))

    def list(self) -> list[SourceObject]:
        return list(self.source.objects(self.item.uri))

    def copy(self) -> bytes:
        self.system.copy(self.source)(self.item, f"{self.folder}/copy", self.landing)
        return bytes(self.landing.blob(f"{self.folder}/copy").download_as_bytes())


def body(status: int) -> tuple[dict[str, str], bytes]:
    """Return an error in the form that each of the three reads: by header, as XML and as JSON."""
    word = WORDS.get(status, "")
    headers = {"Content-Type": "application/xml", "x-ms-error-code": word}
    text = f"<?xml version='1.0'?><Error><Code>{word}</Code><Message>made by the test</Message></Error>"
    return headers, text.encode()


@pytest.fixture(scope="module")
def held(stack: object) -> Iterator[dict[type[FileSystem], tuple[FileSystem, SourceObject]]]:
    """Return every store with a bucket, and the object in it."""
    with ExitStack() as opened:
        made = [opened.enter_context(in_use(system())) for system in SYSTEMS]
        yield {type(system): (system, one(system, "in/a.csv", CONTENT)) for system in made}
    gc.collect()  # what google's client left open is to be found here


@pytest.fixture(params=SYSTEMS, ids=lambda system: system.name)
def system(request: pytest.FixtureRequest, held: Any) -> FileSystem:
    made: FileSystem = held[request.param][0]
    return made


@pytest.fixture
def item(system: FileSystem, held: Any) -> SourceObject:
    found: SourceObject = held[type(system)][1]
    return found


@pytest.fixture(scope="module")
def bucket(stack: dict[str, str]) -> Iterator[str]:
    """Make a landing bucket."""
    client, name = gcs_client(stack["STORAGE_EMULATOR_HOST"]), f"faults-stores-{uuid.uuid4().hex[:8]}"
    client.create_bucket(name)
    yield f"gs://{name}"
    client.close()


@pytest.fixture
def store(
    system: FileSystem,
    item: SourceObject,
    bucket: str,
    stack: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Store]:
    """Return the store behind an edge, which the source is told of by its connection."""
    for module, constant, value in (
        (_stores, "BLOCK_BYTES", BLOCK),
        (streaming, "BLOCK_BYTES", BLOCK),
        (objects, "CHUNK_BYTES", BLOCK),
        (patience, "FIRST_WAIT", 0.02),
    ):
        monkeypatch.setattr(module, constant, value)
    impatient(monkeypatch, 3, answer=5)
    client = gcs_client(stack["STORAGE_EMULATOR_HOST"])
    with edge_of(system.endpoint) as edge:
        source = system.source(edge.url)
        yield Store(system, edge, source, item, Landing(client), f"{bucket}/{uuid.uuid4().hex[:8]}")
        system.close()
    client.close()


def impatient(monkeypatch: pytest.MonkeyPatch, tries: int, answer: float) -> None:
    """Make the waits of all three short."""
    monkeypatch.setattr(s3, "ATTEMPTS", tries)
    monkeypatch.setattr(s3, "ANSWER_SECONDS", answer)
    waits = {"initial_backoff": 0, "increment_base": 0, "random_jitter_range": 0}
    monkeypatch.setattr(azure_blob, "OPTIONS", azure_blob.OPTIONS | waits | {"retry_total": tries - 1})
    monkeypatch.setattr(azure_blob, "TRANSPORT", azure_blob.TRANSPORT | {"read_timeout": answer})
    monkeypatch.setattr(gcs, "RETRY_SECONDS", 20.0 if tries > 1 else 0.5)
    monkeypatch.setattr(patience, "REPEAT_SECONDS", 20.0 if tries > 1 else 0.5)
    monkeypatch.setattr(patience, "ANSWER_SECONDS", answer)


@dataclass(frozen=True)
class Operation:
    """One use of a source: which requests it makes, after `skip` others, what it does and what it gives."""

    name: str
    when: Callable[[Store], str]
    do: Callable[[Store], Any]
    gives: Callable[[Store], Any] = lambda store: CONTENT
    skip: int = 0


OPERATIONS = (
    Operation("list", lambda s: LISTS[s.system.name], Store.list, lambda s: [s.item]),
    Operation("first block", lambda s: s.reads, Store.read),
    Operation("middle block", lambda s: s.reads, Store.read, skip=2),
    Operation("last block", lambda s: s.reads, Store.read, skip=3),
)
LASTING = [
    wrong for wrong in TRANSIENT if wrong.name in ("503", "reset before", "cut in the answer", "no answer")
]


PLACED = [
    SimpleNamespace(name=f"{system.name} {operation.name}", system=system, operation=operation)
    for system in SYSTEMS
    for operation in OPERATIONS
]


def everywhere(wrongs: Sequence[Wrong]) -> list[Any]:
    """Return the store, the operation and the fault of every pair that is tried."""
    tried = [(case.id, *case.values) for case in pairs(PLACED, wrongs)]
    return [pytest.param(at.system, at.operation, wrong, id=name) for name, at, wrong in tried]


@pytest.mark.parametrize(("system", "operation", "wrong"), everywhere(TRANSIENT), indirect=["system"])
def test_what_passes_is_repeated_and_succeeds(
    store: Store, operation: Operation, wrong: Wrong, monkeypatch: pytest.MonkeyPatch
) -> None:
    if wrong.status == 429 and store.system.name == "azure_blob":
        pytest.skip("Azure asks to wait by 503; its client leaves a 429 to us, and we to Airflow")
    if wrong.how in ("hang", "stall"):
        impatient(monkeypatch, 3, answer=0.7)
    wrong.strike(store.edge, operation.when(store), body, skip=operation.skip)

    assert operation.do(store) == operation.gives(store)
    assert store.edge.faults[0].times == 0


@pytest.mark.parametrize(("system", "operation", "wrong"), everywhere(TERMINAL), indirect=["system"])
def test_what_will_not_pass_is_asked_once(store: Store, operation: Operation, wrong: Wrong) -> None:
    wrong.strike(store.edge, operation.when(store), body, times=FOR_EVER, skip=operation.skip)
    expected = TerminalError if wrong.status == 400 else AccessDeniedError

    with pytest.raises(expected, match=store.item.uri.rpartition("/in/")[0]) as raised:
        operation.do(store)

    assert type(raised.value) is expected
    assert store.edge.count(operation.when(store)) == operation.skip + 1


@pytest.mark.parametrize(("system", "operation", "wrong"), fewer(everywhere(LASTING)), indirect=["system"])
def test_what_lasts_is_transient(
    store: Store, operation: Operation, wrong: Wrong, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch, 1, answer=0.5)
    wrong.strike(store.edge, operation.when(store), body, times=FOR_EVER, skip=operation.skip)
    began = time.monotonic()

    with pytest.raises(TransientError, match=store.system.title):
        operation.do(store)

    assert time.monotonic() - began < 15


def test_what_a_client_does_not_repeat_is_left_to_airflow(store: Store) -> None:
    store.edge.answers(LISTS[store.system.name], 418, times=FOR_EVER)
    store.edge.answers(store.reads, 429, times=FOR_EVER)
    if store.system.name == "azure_blob":
        with pytest.raises(TransientError, match="Azure does not answer as it should"):
            store.read()
        assert store.edge.count(store.reads) == 1
    with pytest.raises(TerminalError, match=r"refuses the request"):
        store.list()
    assert store.edge.count(LISTS[store.system.name]) == 1


def test_a_page_that_is_no_answer_is_transient(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a gateway gives it, with a good status."""
    impatient(monkeypatch, 1, answer=5)
    store.edge.answers(LISTS[store.system.name], 200, b"<html><p>Be right back", times=FOR_EVER)

    with pytest.raises(TransientError, match=store.system.title):
        store.list()


def test_a_copy_interrupted_in_each_block_is_exact(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    when = "rewriteTo" if store.system.name == "gcs" else store.reads
    impatient(monkeypatch, 5, answer=0.7)
    for how in ("reset", "hang", "stall", "cut"):
        store.edge.fails(when, how, is_done=True)

    assert store.copy() == CONTENT


def test_a_copy_given_up_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    if store.system.name == "gcs":
        pytest.skip("Cloud Storage copies by itself: no byte passes through the worker")
    impatient(monkeypatch, 1, answer=5)
    store.edge.fails(store.reads, "cut", is_done=True, times=FOR_EVER, skip=2)

    with pytest.raises(TransientError):
        store.copy()

    assert list(store.landing.list(f"{store.folder}/")) == []


def test_a_read_goes_on_at_the_pinned_version_only(
    store: Store, system: FileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The object is replaced while a block of it is asked for again."""
    old, new = CONTENT, CONTENT[::-1]
    store.item = one(system, f"pinned/{uuid.uuid4().hex[:8]}", old)
    with store.source.open(store.item) as stream:
        got = stream.read(BLOCK)
        system.put(store.item.uri.removeprefix(system.uri()), new)
        store.edge.fails(store.reads, "reset", is_done=True)
        with pytest.raises(StaleError, match="has changed or gone since it was listed"):
            while block := stream.read(100_000):
                got += block

    assert old.startswith(got)
