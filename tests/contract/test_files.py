"""One behaviour suite over every file source and its transfer's copy, on the local stack's own stores."""

from __future__ import annotations

import base64
import gc
import gzip
import hashlib
import os
import random
import socket
import tracemalloc
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import IO, Any

import pytest

from edge import Edge, edge_of
from etl_factory.errors import (
    AccessDeniedError,
    EtlFactoryError,
    NotFoundError,
    StaleError,
    TransientError,
)
from etl_factory.landing import objects as landing_objects
from etl_factory.landing.objects import Landing
from etl_factory.sources import SOURCES, _stores, azure_blob
from etl_factory.sources.base import FileSource, SourceObject
from etl_factory.transfers import streaming
from etl_factory.transfers.streaming import stream_copy
from file_systems import (
    CANARY,
    CONN_ID,
    ODD_NAMES,
    SYSTEMS,
    FileSystem,
    denied,
    gcs_client,
    in_use,
    listed,
    names,
    one,
    read,
    whole_story,
)  # fmt: skip

pytestmark = [
    pytest.mark.stack,
    # google's own: its client leaves the connection of a failed download to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

SMALL_BLOCK = 256 * 1024  # the smallest chunk that Cloud Storage takes
MANY, BIG_MB = {"s3": 1_100}, 64  # S3 lists a thousand at a time, whatever is asked for


@pytest.fixture(scope="module", params=SYSTEMS, ids=lambda system: system.name)
def system(request: pytest.FixtureRequest, stack: object) -> Iterator[FileSystem]:
    """Return an object store with an empty bucket."""
    with in_use(request.param()) as made:
        yield made


@pytest.fixture(autouse=True)
def closed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Close what a test has opened."""
    yield
    if "system" in request.fixturenames:
        request.getfixturevalue("system").close()
    if "edge" in request.fixturenames:
        gc.collect()


@pytest.fixture
def edge(system: FileSystem) -> Iterator[Edge]:
    """Return a server in front of the store, which can refuse and cut off."""
    with edge_of(system.endpoint) as served:
        yield served


@pytest.fixture
def folder(system: FileSystem) -> str:
    """Return a folder of the test's own."""
    return uuid.uuid4().hex[:8]


@pytest.fixture(scope="module")
def bucket(stack: dict[str, str]) -> Iterator[str]:
    """Return a landing bucket's address; every test writes to a folder of its own in it."""
    client, name = gcs_client(stack["STORAGE_EMULATOR_HOST"]), "etl-contract-landing"
    if not client.lookup_bucket(name):  # the emulator keeps one that still waits for an upload given up
        client.create_bucket(name)
    yield f"gs://{name}"
    for blob in list(client.list_blobs(name)):
        blob.delete()
    client.close()


@pytest.fixture
def landing(stack: dict[str, str]) -> Iterator[Landing]:
    client = gcs_client(stack["STORAGE_EMULATOR_HOST"])
    yield Landing(client)
    client.close()


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> int:
    """Read and write by small blocks, so that a small object takes several."""
    for module, name in (
        (_stores, "BLOCK_BYTES"),
        (streaming, "BLOCK_BYTES"),
        (landing_objects, "CHUNK_BYTES"),
    ):
        monkeypatch.setattr(module, name, SMALL_BLOCK)
    return SMALL_BLOCK


def content(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def rewritten(system: FileSystem, name: str, body: bytes, than: SourceObject) -> SourceObject:
    """Write an object until the store's clock has moved on from an earlier version's second."""
    deadline = datetime.now(UTC) + timedelta(seconds=10)
    while datetime.now(UTC) < deadline:
        fresh = one(system, name, body)
        if fresh.modified.replace(microsecond=0) > than.modified.replace(microsecond=0):
            return fresh
    raise AssertionError("the store's clock stands still")


def test_every_file_source_is_in_the_suite() -> None:
    files = {source.type for source in SOURCES if issubclass(source, FileSource)}
    assert files == {system.source_class.type for system in SYSTEMS}


@pytest.fixture(scope="module")
def tree(system: FileSystem) -> list[str]:
    """Objects of every odd name, in folders, with the empty objects that stand for folders."""
    placed = [
        *ODD_NAMES,
        "a.csv",
        "b.csv",
        "b.csv.gz",
        "in/a.csv",
        "in/2024/a.csv",
        "in/2024/05/b.csv",
        "inn/a.csv",
    ]
    for name in placed:
        system.put(f"tree/{name}", name.encode())
    system.put("tree/empty.csv", b"")
    for placeholder in system.placeholders:
        system.put(f"tree/{placeholder}", b"")
    return sorted(f"tree/{name}" for name in (*placed, "empty.csv"))


class TestListing:
    def test_everything_but_placeholders_sorted(self, system: FileSystem, tree: list[str]) -> None:
        assert names(system, "tree/**") == tree

    @pytest.mark.parametrize(
        ("pattern", "found"),
        [
            ("tree/a.csv", ["tree/a.csv"]),
            ("tree/?.csv", ["tree/a.csv", "tree/b.csv"]),
            ("tree/[ab].csv*", ["tree/a.csv", "tree/b.csv", "tree/b.csv.gz"]),
            ("tree/in/*", ["tree/in/a.csv"]),
            ("tree/in/*/*", ["tree/in/2024/a.csv"]),
            ("tree/in/**/a.csv", ["tree/in/2024/a.csv", "tree/in/a.csv"]),
            ("**/05/*.csv", ["tree/in/2024/05/b.csv"]),
            ("tree/vacant/**", []),
            ("tree/vacant*", []),
            ("tree/A.csv", []),
            ("tree/a.cs", []),
            ("tree/[[]1] (2) {3}.csv", ["tree/[1] (2) {3}.csv"]),
            ("tree/who[?]#*.csv", ["tree/who?#1.csv"]),
            ("tree/100%25*", ["tree/100%25 'x'.csv"]),
            ("tree/za*🐘.csv", ["tree/zażółć 🐘.csv"]),
        ],
    )
    def test_pattern(self, system: FileSystem, tree: list[str], pattern: str, found: list[str]) -> None:
        assert names(system, pattern) == found

    def test_what_is_listed_is_what_is_there(self, system: FileSystem, tree: list[str]) -> None:
        for item in listed(system, "tree/**"):
            name = item.uri.removeprefix(system.uri("tree/"))
            assert read(system.source(), item) == (b"" if name == "empty.csv" else name.encode())
            assert item.size == (0 if name == "empty.csv" else len(name.encode()))
            assert item.version
            assert abs(item.modified - datetime.now(UTC)) < timedelta(minutes=10)

    def test_thousands_of_objects(
        self, system: FileSystem, folder: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(azure_blob, "PAGE", 50)
        placed = [f"{folder}/{number:05d}.csv" for number in range(MANY.get(system.name, 120))]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: system.put(name, b"x"), placed))

        assert names(system, f"{folder}/*.csv") == placed

    def test_missing_bucket(self, system: FileSystem) -> None:
        address = f"{system.scheme}://etl-contract-absent"
        with pytest.raises(NotFoundError, match=f"{address} does not exist: correct `path`, or create it"):
            list(system.source().objects(f"{address}/*.csv"))


class TestVersions:
    def test_a_version_lasts_until_it_is_overwritten(self, system: FileSystem, folder: str) -> None:
        first = one(system, f"{folder}/a", b"first")

        assert listed(system, f"{folder}/a") == [first]
        assert rewritten(system, f"{folder}/a", b"other", first).version != first.version

    def test_the_same_content_written_again_is_a_new_version(self, system: FileSystem, folder: str) -> None:
        first = one(system, f"{folder}/a", b"same")

        assert rewritten(system, f"{folder}/a", b"same", first).version != first.version

    def test_old_content_that_comes_back_is_a_new_version(self, system: FileSystem, folder: str) -> None:
        """Else a file that is put back to what it was would never be read again."""
        first = one(system, f"{folder}/a", b"right")
        second = rewritten(system, f"{folder}/a", b"wrong", first)

        assert rewritten(system, f"{folder}/a", b"right", second).version not in (
            first.version,
            second.version,
        )


class TestReading:
    @pytest.mark.parametrize("size", [0, 1, SMALL_BLOCK - 1, SMALL_BLOCK, SMALL_BLOCK + 1, 3 * SMALL_BLOCK])
    def test_every_byte(self, system: FileSystem, folder: str, small_blocks: int, size: int) -> None:
        item = one(system, f"{folder}/a", content(size))

        assert read(system.source(), item) == content(size)

    @pytest.mark.parametrize("step", [1000, SMALL_BLOCK, SMALL_BLOCK + 7, 10 * SMALL_BLOCK])
    def test_steps_of_any_size(self, system: FileSystem, folder: str, small_blocks: int, step: int) -> None:
        item = one(system, f"{folder}/a", content(2 * small_blocks + 5))
        with system.source().open(item) as stream:
            steps = list(iter(lambda: stream.read(step), b""))

        assert b"".join(steps) == content(2 * small_blocks + 5)
        assert {len(each) for each in steps[:-1]} <= {step}

    def test_content_is_not_decompressed(self, system: FileSystem, folder: str) -> None:
        packed = gzip.compress(b"id,name\n1,x\n" * 100)
        system.put(f"{folder}/a.csv.gz", packed, encoding="gzip")
        (item,) = listed(system, f"{folder}/*")

        assert item.size == len(packed)
        assert read(system.source(), item) == packed

    def test_deleted_since_it_was_listed(self, system: FileSystem, folder: str) -> None:
        item = one(system, f"{folder}/a", b"here")
        system.delete(f"{folder}/a")

        with pytest.raises(StaleError, match="has changed or gone since it was listed"):
            system.source().open(item)

    def test_overwritten_since_it_was_listed(self, system: FileSystem, folder: str) -> None:
        item = one(system, f"{folder}/a", b"first")
        system.put(f"{folder}/a", b"other")

        with pytest.raises(StaleError, match=f"{folder}/a has changed or gone since it was listed"):
            system.source().open(item)

    def test_same_content_written_again_since(self, system: FileSystem, folder: str) -> None:
        item = one(system, f"{folder}/a", b"same")
        system.put(f"{folder}/a", b"same")

        if system.notices_same_content:
            with pytest.raises(StaleError):
                system.source().open(item)
        else:
            assert read(system.source(), item) == b"same"

    @pytest.mark.parametrize("change", ["overwritten", "deleted"])
    def test_changed_while_it_is_read(
        self, system: FileSystem, folder: str, small_blocks: int, change: str
    ) -> None:
        old, new = content(4 * small_blocks, 1), content(4 * small_blocks, 2)
        item = one(system, f"{folder}/a", old)
        with system.source().open(item) as stream:
            got = stream.read(100)
            system.put(f"{folder}/a", new) if change == "overwritten" else system.delete(f"{folder}/a")
            with pytest.raises(StaleError, match="has changed or gone"):
                while block := stream.read(1000):
                    got += block

        assert got == old[: len(got)]
        assert len(got) < len(old)

    def test_memory_does_not_grow_with_the_object(
        self, system: FileSystem, folder: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Azure's client reserves, but never fills, eight bytes for each byte of a block."""
        monkeypatch.setattr(_stores, "BLOCK_BYTES", 2**20)
        item = one(system, f"{folder}/big", content(2**20) * BIG_MB)
        source, checksum = system.source(), hashlib.md5()
        tracemalloc.start()
        with source.open(item) as stream:
            while block := stream.read(_stores.BLOCK_BYTES):
                checksum.update(block)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        system.delete(f"{folder}/big")

        assert checksum.digest() == hashlib.md5(content(2**20) * BIG_MB).digest()
        assert peak < 16 * 2**20


class TestFaults:
    """What the network does, seen from in front of the store."""

    def test_a_refused_read_is_repeated(
        self, system: FileSystem, edge: Edge, folder: str, small_blocks: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        system.patient_for(monkeypatch, 2)
        item = one(system, f"{folder}/a", content(3 * small_blocks))
        edge.answers(system.read_line, 503, system.busy)

        assert read(system.source(edge.url), item) == content(3 * small_blocks)
        assert edge.faults[0].times == 0

    def test_an_answer_that_is_cut_off_is_repeated(
        self, system: FileSystem, edge: Edge, folder: str, small_blocks: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        system.patient_for(monkeypatch, 2)
        item = one(system, f"{folder}/a", content(3 * small_blocks))
        edge.cuts_off(system.read_line)

        assert read(system.source(edge.url), item) == content(3 * small_blocks)
        assert edge.faults[0].times == 0

    @pytest.mark.parametrize("fault", ["refused", "cut off"])
    def test_a_fault_that_lasts_is_transient(
        self, system: FileSystem, edge: Edge, folder: str, fault: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        system.patient_for(monkeypatch, 1)
        item = one(system, f"{folder}/a", content(5000))
        if fault == "refused":
            edge.answers(system.read_line, 503, system.busy, times=1000)
        else:
            edge.cuts_off(system.read_line, times=1000)

        with pytest.raises(TransientError, match=f"{folder}/a: {system.title} "):
            read(system.source(edge.url), item)

    def test_unreachable(self, system: FileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
        system.patient_for(monkeypatch, 1)
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            at = f"127.0.0.1:{closed.getsockname()[1]}"
        source = system.stranger(f"http://{at}")
        item = SourceObject(system.uri("a"), "1", 1, datetime.now(UTC))

        for ask in (source.check, lambda: list(source.objects(system.uri("*"))), lambda: source.open(item)):
            with pytest.raises(TransientError, match=f"{system.title} at {at} cannot be reached") as caught:
                ask()
            assert CANARY not in str(caught.value)

    def test_denied_names_the_grant(self, system: FileSystem, edge: Edge) -> None:
        source = system.source(edge.url)
        item = SourceObject(system.uri("a"), "1", 1, datetime.now(UTC))
        with denied(edge, system):
            for ask in (lambda: list(source.objects(system.uri("*"))), lambda: source.open(item)):
                with pytest.raises(AccessDeniedError, match=f"refuses {CONN_ID} .*; .*{system.grant}"):
                    ask()

    def test_a_login_for_one_bucket_alone_passes_the_check(self, system: FileSystem, edge: Edge) -> None:
        with denied(edge, system):
            assert "may not list" in system.source(edge.url).check()
            with pytest.raises(AccessDeniedError, match=r"; (.*; )?grant "):
                list(system.source(edge.url).discover())

    def test_no_credential_is_shown(self, system: FileSystem, edge: Edge) -> None:
        source = system.stranger(edge.url)
        encoded = base64.b64encode(CANARY.encode()).decode()
        stories = [
            repr(source),
            repr(source.connection),
            repr(source.client),
            str(vars(source.connection).keys()),
        ]
        with denied(edge, system):
            for ask in (lambda: list(source.objects(system.uri("*"))), lambda: list(source.discover())):
                with pytest.raises(EtlFactoryError) as caught:
                    ask()
                stories.append(whole_story(caught.value))

        assert not [story for story in stories if CANARY in story or encoded in story]


class TestDiscovery:
    def test_check_names_the_system(self, system: FileSystem) -> None:
        assert (
            system.source()
            .check()
            .startswith(
                {
                    "s3": "Amazon S3, ",
                    "gcs": "Google Cloud Storage as project acme-",
                    "azure_blob": "Azure Blob Storage, ",
                }[system.name]
            )
        )

    def test_discover_lists_the_bucket(self, system: FileSystem) -> None:
        assert system.uri() in {found.name for found in system.source().discover()}


class _Altered(FileSource):
    """A source that delivers something else than what the store holds."""

    type, title, transfer, conn_types = "altered", "", "", ()

    def __init__(self, source: FileSource, alter: Any) -> None:
        super().__init__(source.connection)
        self.source, self.alter = source, alter

    def check(self) -> str:
        return ""

    def discover(self) -> Iterator[Any]:
        return iter(())

    def objects(self, path: str) -> Iterator[SourceObject]:
        return self.source.objects(path)

    def open(self, source_object: SourceObject) -> IO[bytes]:
        stream: IO[bytes] = self.alter(self.source.open(source_object))
        return stream


class TestCopy:
    @pytest.mark.parametrize("size", [0, 1, SMALL_BLOCK, 3 * SMALL_BLOCK + 1])
    def test_exactly_the_bytes(
        self, system: FileSystem, landing: Landing, bucket: str, folder: str, small_blocks: int, size: int
    ) -> None:
        item, uri = one(system, f"{folder}/a b%20[ż].csv", content(size)), f"{bucket}/{folder}/{size}"
        system.copy(system.source())(item, uri, landing)

        part = landing.stat(uri)
        assert part.size == size
        with landing.open(part) as stream:
            assert stream.read() == content(size)

    def test_compressed_content_stays_as_it_is(
        self, system: FileSystem, landing: Landing, bucket: str, folder: str
    ) -> None:
        packed, uri = gzip.compress(b"id,name\n1,x\n" * 100), f"{bucket}/{folder}"
        system.put(f"{folder}/a.csv.gz", packed, encoding="gzip")
        system.copy(system.source())(listed(system, f"{folder}/*")[0], uri, landing)

        with landing.open(landing.stat(uri)) as stream:
            assert stream.read() == packed

    @pytest.mark.parametrize("change", ["overwritten", "deleted"])
    def test_a_stale_object_leaves_nothing(
        self, system: FileSystem, landing: Landing, bucket: str, folder: str, change: str
    ) -> None:
        item = one(system, f"{folder}/a", b"first")
        system.put(f"{folder}/a", b"other") if change == "overwritten" else system.delete(f"{folder}/a")

        with pytest.raises(StaleError, match=f"{folder}/a has changed or gone since it was listed"):
            system.copy(system.source())(item, f"{bucket}/{folder}/copy", landing)
        assert list(landing.list(f"{bucket}/{folder}/")) == []

    def test_a_name_that_is_taken_is_never_overwritten(
        self, system: FileSystem, landing: Landing, bucket: str, folder: str
    ) -> None:
        uri = f"{bucket}/{folder}"
        landing.write_text(uri, "another attempt's")
        item = one(system, f"{folder}/a", b"mine")

        with pytest.raises(
            TransientError, match="was written by another process; a retry writes under a name of"
        ):
            system.copy(system.source())(item, uri, landing)
        assert landing.read_text(uri) == "another attempt's"

    def test_missing_landing_bucket_is_not_the_sources_fault(
        self, system: FileSystem, landing: Landing, folder: str
    ) -> None:
        item = one(system, f"{folder}/a", b"mine")

        with pytest.raises(NotFoundError, match="landing bucket gs://etl-contract-absent does not exist"):
            system.copy(system.source())(item, "gs://etl-contract-absent/a", landing)

    def test_denied_source(
        self, system: FileSystem, edge: Edge, landing: Landing, bucket: str, folder: str
    ) -> None:
        item = one(system, f"{folder}/a", b"mine")
        with denied(edge, system), pytest.raises(AccessDeniedError, match=system.grant):
            system.copy(system.source(edge.url))(item, f"{bucket}/{folder}/copy", landing)
        assert list(landing.list(f"{bucket}/{folder}/")) == []

    def test_a_write_that_is_refused_once_is_repeated(
        self, system: FileSystem, landing: Landing, bucket: str, folder: str, small_blocks: int
    ) -> None:
        item, uri = one(system, f"{folder}/a", content(3 * small_blocks + 1)), f"{bucket}/{folder}"
        with edge_of(os.environ["STORAGE_EMULATOR_HOST"]) as front:
            front.answers("rewriteTo" if system.name == "gcs" else "PUT /", 503)
            client = gcs_client(front.url)
            system.copy(system.source())(item, uri, Landing(client))
            client.close()

            assert front.faults[0].times == 0
        assert landing.blob(uri).download_as_bytes() == content(3 * small_blocks + 1)


class TestStreamCopy:
    """The copy that passes through the worker, whatever the source."""

    def test_fewer_bytes_than_listed(
        self, system: FileSystem, landing: Landing, bucket: str, folder: str
    ) -> None:
        item = one(system, f"{folder}/a", b"twelve bytes")
        short = _Altered(system.source(), lambda stream: _Short(stream.read(5)))

        with pytest.raises(TransientError, match=f"{folder}/a: 5 bytes came of the 12 listed"):
            stream_copy(short)(item, f"{bucket}/{folder}/copy", landing)
        assert list(landing.list(f"{bucket}/{folder}/")) == []

    def test_a_block_that_comes_short(self, system: FileSystem, folder: str) -> None:
        item = one(system, f"{folder}/a", b"twelve bytes")

        with pytest.raises(EtlFactoryError, match=rf"{folder}/a"):
            read(system.source(), replace(item, size=20))

    def test_other_bytes_than_sent(
        self,
        system: FileSystem,
        landing: Landing,
        bucket: str,
        folder: str,
        small_blocks: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        item, uri, stat = (
            one(system, f"{folder}/a", content(3 * small_blocks)),
            f"{bucket}/{folder}",
            landing.stat,
        )
        monkeypatch.setattr(landing, "stat", lambda uri: replace(stat(uri), md5="damaged"))

        with pytest.raises(TransientError, match="does not have the checksum sent"):
            stream_copy(system.source())(item, uri, landing)

    def test_a_zombie_that_ends_late_changes_nothing(
        self, system: FileSystem, landing: Landing, bucket: str, folder: str, small_blocks: int
    ) -> None:
        body, uri = content(3 * small_blocks), f"{bucket}/{folder}"
        item = one(system, f"{folder}/a", body)
        other = one(system, f"{folder}/b", b"the other attempt's")

        def overtaken(stream: IO[bytes]) -> IO[bytes]:
            stream_copy(system.source())(other, uri, landing)
            return stream

        with pytest.raises(TransientError, match="was written by another process"):
            stream_copy(_Altered(system.source(), overtaken))(item, uri, landing)
        assert landing.read_text(uri) == "the other attempt's"

    def test_a_zombie_overtaken_in_the_middle_changes_nothing(
        self, system: FileSystem, landing: Landing, bucket: str, folder: str, small_blocks: int
    ) -> None:
        body, uri = content(4 * small_blocks), f"{bucket}/{folder}"
        item = one(system, f"{folder}/a", body)
        overtaking = _Altered(
            system.source(),
            lambda stream: _Interrupted(stream, 3, lambda: landing.write_text(uri, "the other attempt's")),
        )

        with pytest.raises(TransientError, match="was written by another process"):
            stream_copy(overtaking)(item, uri, landing)
        assert landing.read_text(uri) == "the other attempt's"

    def test_memory_does_not_grow_with_the_object(
        self, system: FileSystem, landing: Landing, bucket: str, folder: str, small_blocks: int
    ) -> None:
        item = one(system, f"{folder}/big", content(2**20) * 16)
        copy = stream_copy(system.source())
        copy(one(system, f"{folder}/small", b"x"), f"{bucket}/{folder}-small", landing)  # what it loads once
        tracemalloc.start()
        copy(item, f"{bucket}/{folder}", landing)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

        assert landing.stat(f"{bucket}/{folder}").size == 16 * 2**20
        assert peak < 6 * 2**20


class _Short:
    """A stream that ends early."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def read(self, size: int = -1) -> bytes:
        body, self.body = self.body, b""
        return body

    def close(self) -> None:
        self.body = b""


class _Interrupted:
    """A stream during whose nth read something else happens."""

    def __init__(self, stream: IO[bytes], nth: int, happens: Any) -> None:
        self.stream, self.left, self.happens = stream, nth, happens

    def read(self, size: int = -1) -> bytes:
        self.left -= 1
        if not self.left:
            self.happens()
        return self.stream.read(size)

    def close(self) -> None:
        self.stream.close()
