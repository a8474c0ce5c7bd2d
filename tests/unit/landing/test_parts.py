"""Parquet parts on a real server: bounded, whole or absent, and counted."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl_factory.errors import NotFoundError
from etl_factory.landing import parts
from etl_factory.landing.objects import Landing
from etl_factory.landing.parts import PartWriter

SCHEMA = pa.schema([pa.field("id", pa.int64()), pa.field("text", pa.string())])


def batch(start: int, rows: int, width: int = 10) -> pa.RecordBatch:
    texts = [f"{n:0{width}d}" for n in range(start, start + rows)]
    return pa.record_batch([pa.array(range(start, start + rows), pa.int64()), pa.array(texts)], schema=SCHEMA)


def ids(landing: Landing, writer: PartWriter) -> list[int]:
    found: list[int] = []
    for part in writer.parts:
        with landing.open(part) as stream:
            found += pq.read_table(stream).column("id").to_pylist()
    return found


def test_rows_arrive_in_order_and_are_counted(landing: Landing, bucket: str) -> None:
    with PartWriter(landing, f"gs://{bucket}/load", SCHEMA) as writer:
        writer.write(batch(0, 3))
        writer.write(batch(3, 0))
        writer.write(batch(3, 2))

    (part,) = writer.parts
    assert (part.uri, part.rows) == (f"gs://{bucket}/load/part-00000.parquet", 5)
    assert (part.size > 0, part.generation > 0, len(part.md5)) == (True, True, 24)
    assert ids(landing, writer) == [0, 1, 2, 3, 4]


def test_thousands_of_tiny_batches_are_joined_as_they_come(landing: Landing, bucket: str) -> None:
    with PartWriter(landing, f"gs://{bucket}/load", SCHEMA) as writer:
        for start in range(3 * parts.MOST_PENDING):
            writer.write(batch(start, 1))
            assert len(writer._pending) <= parts.MOST_PENDING

    assert ids(landing, writer) == list(range(3 * parts.MOST_PENDING))


def test_no_rows_are_no_parts(landing: Landing, bucket: str) -> None:
    with PartWriter(landing, f"gs://{bucket}/load", SCHEMA) as writer:
        writer.write(batch(0, 0))

    assert writer.parts == []
    assert list(landing.list(f"gs://{bucket}/")) == []


def test_a_part_that_is_full_is_followed_by_another(
    landing: Landing, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 4096)
    monkeypatch.setattr(parts, "GROUP_ROWS", 1000)
    with PartWriter(landing, f"gs://{bucket}/load", SCHEMA, stem="clean") as writer:
        for start in range(0, 10_000, 500):
            writer.write(batch(start, 500))

    names = [part.uri.rpartition("/")[2] for part in writer.parts]
    assert len(names) > 2
    assert names == [f"clean-{n:05d}.parquet" for n in range(len(names))]
    assert sum(part.rows or 0 for part in writer.parts) == 10_000
    assert ids(landing, writer) == list(range(10_000))


def test_wide_rows_are_flushed_by_their_bytes(
    landing: Landing, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "GROUP_BYTES", 64 * 1024)
    with PartWriter(landing, f"gs://{bucket}/load", SCHEMA) as writer:
        for start in range(0, 100, 10):
            writer.write(batch(start, 10, width=2000))

    with landing.open(writer.parts[0]) as stream:
        file = pq.ParquetFile(stream)
        groups = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    assert (len(groups) > 1, sum(groups)) == (True, 100)


@pytest.mark.parametrize("rows", [10, 300_000])
def test_an_error_in_the_block_leaves_no_part(landing: Landing, bucket: str, rows: int) -> None:
    with pytest.raises(KeyError, match="gone"), PartWriter(landing, f"gs://{bucket}/load", SCHEMA) as writer:
        writer.write(batch(0, rows))
        raise KeyError("gone")
    del writer
    gc.collect()

    assert list(landing.list(f"gs://{bucket}/")) == []


def test_parts_that_were_closed_before_the_error_stay_and_are_not_listed(
    landing: Landing, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 1)
    monkeypatch.setattr(parts, "GROUP_ROWS", 10)
    with pytest.raises(KeyError), PartWriter(landing, f"gs://{bucket}/load", SCHEMA) as writer:
        writer.write(batch(0, 10))
        raise KeyError

    assert list(landing.list(f"gs://{bucket}/")) == [f"gs://{bucket}/load/part-00000.parquet"]


def test_a_batch_of_another_schema_is_refused_and_leaves_no_part(landing: Landing, bucket: str) -> None:
    other = pa.record_batch({"id": pa.array([1], pa.int32()), "text": ["a"]})

    with pytest.raises(pa.ArrowInvalid), PartWriter(landing, f"gs://{bucket}/load", SCHEMA) as writer:
        writer.write(batch(0, 200_000))
        writer.write(other)
    del writer
    gc.collect()

    assert list(landing.list(f"gs://{bucket}/")) == []


def test_a_bucket_that_is_missing_is_named(landing: Landing) -> None:
    missing = pytest.raises(NotFoundError, match="landing bucket gs://no-such does not exist")

    with missing, PartWriter(landing, "gs://no-such/load", SCHEMA) as writer:
        writer.write(batch(0, 1))


def test_an_error_of_the_thread_that_writes_is_raised_and_leaves_no_part(
    landing: Landing, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(parts, "GROUP_ROWS", 10)
    with (
        pytest.raises(OSError, match="no room"),
        PartWriter(landing, f"gs://{bucket}/load", SCHEMA) as writer,
    ):
        writer.write(batch(0, 10))
        monkeypatch.setattr(pq.ParquetWriter, "write_table", refuse)
        writer.write(batch(10, 10))
        writer.write(batch(20, 10))
        pytest.fail("the third group must not begin")

    assert list(landing.list(f"gs://{bucket}/")) == []


def test_the_next_group_is_read_while_one_is_written(
    landing: Landing, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_write = threading.Event(), threading.Event()
    write_table = pq.ParquetWriter.write_table

    def slowly(*arguments: Any, **named: Any) -> None:
        begun.set()
        assert may_write.wait(10)
        write_table(*arguments, **named)

    monkeypatch.setattr(parts, "GROUP_ROWS", 10)
    monkeypatch.setattr(pq.ParquetWriter, "write_table", slowly)
    with PartWriter(landing, f"gs://{bucket}/load", SCHEMA) as writer:
        writer.write(batch(0, 10))
        assert begun.wait(10)
        writer.write(batch(10, 9))
        may_write.set()

    assert ids(landing, writer) == list(range(19))


def test_an_error_in_the_block_ends_the_threads_without_sending_the_rest(
    landing: Landing, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_write, ended = threading.Event(), threading.Event(), []
    write_table = pq.ParquetWriter.write_table

    def slowly(*arguments: Any, **named: Any) -> None:
        begun.set()
        assert may_write.wait(10)
        try:
            write_table(*arguments, **named)
        except InterruptedError:
            ended.append(True)
            raise

    before = threading.active_count()
    monkeypatch.setattr(parts, "GROUP_ROWS", 10)
    monkeypatch.setattr(pq.ParquetWriter, "write_table", slowly)
    with pytest.raises(KeyError, match="gone"), PartWriter(landing, f"gs://{bucket}/load", SCHEMA) as writer:
        writer.write(batch(0, 10))
        assert begun.wait(10)
        threading.Timer(0.2, may_write.set).start()
        raise KeyError("gone")

    assert ended == [True]
    assert threading.active_count() <= before + 1  # the timer's own may still end
    assert list(landing.list(f"gs://{bucket}/")) == []


@pytest.mark.parametrize("at", ["close", "stat"])
def test_a_part_that_cannot_be_finished_by_the_thread_is_told_and_never_listed(
    landing: Landing, bucket: str, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(parts, "GROUP_ROWS", 10)
    monkeypatch.setattr(parts, "PART_BYTES", 1)
    monkeypatch.setattr(pq.ParquetWriter if at == "close" else Landing, at, refuse)
    with (
        pytest.raises(OSError, match="no room"),
        PartWriter(landing, f"gs://{bucket}/load", SCHEMA) as writer,
    ):
        writer.write(batch(0, 10))
        writer.write(batch(10, 10))

    assert writer.parts == []
