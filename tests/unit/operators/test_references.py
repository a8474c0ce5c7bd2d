"""One Parquet file that cleaning would leave as it is goes by reference: by its footer, and no more than its text."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl_factory.errors import TerminalError
from etl_factory.landing.manifest import FileTally, Manifest, Part, Plan
from etl_factory.landing.reading import PinnedBytes
from etl_factory.operators.drafting import Draft
from etl_factory.operators.sanitizing import Sanitizer
from etl_factory.schema.types import Field
from examples import Write
from fakes import LOAD_ID, MORNING, FakeLanding, manifest_of, resource_of

RAW = "gs://acme-landing/raw/a.parquet"
OWN = ("_etl_source_uri", "_etl_record")
CLEAN: dict[str, Any] = {
    "flag": pa.array([True, None, False]),
    "small": pa.array([-128, None, 127], pa.int8()),
    "whole": pa.array([-1, None, 2**31 - 1], pa.int32()),
    "id": pa.array([1, 2, 3]),
    "ratio": pa.array([0.5, None, float("nan")], pa.float32()),
    "weight": pa.array([0.1, None, float("inf")]),
    "price": pa.array([Decimal("-1234567.89"), None, Decimal("0.01")], pa.decimal128(9, 2)),
    "total": pa.array([Decimal("1"), None, Decimal("-0.000000001")], pa.decimal128(38, 9)),
    "body": pa.array([b"\xff", None, b""]),
    "code": pa.array([b"ab", None, b"cd"], pa.binary(2)),
    "day": pa.array([date(1, 1, 1), None, date(9999, 12, 31)]),
    "at": pa.array([time(0), None, time(23, 59, 59, 999999)], pa.time64("us")),
    "local": pa.array([datetime(1, 1, 1), None, datetime(9999, 12, 31, 23)], pa.timestamp("us")),
    "moment": pa.array([datetime(2024, 6, 1, tzinfo=UTC), None, None], pa.timestamp("us", "Europe/Warsaw")),
    "coarse": pa.array([datetime(2024, 6, 1, tzinfo=UTC), None, None], pa.timestamp("ms", "UTC")),
    "nothing": pa.nulls(3, pa.date32()),
}
TEXT: dict[str, Any] = {
    "name": pa.array(["a", None, "zażółć"]),
    "long": pa.array(["", None, "x"], pa.large_string()),
    "kind": pa.array(["x", None, "x"]).dictionary_encode(),
}
NOT_UTF8 = pa.array([b"a", None, b"\xff"]).view(pa.string())
Clean = Callable[..., Manifest]


def parquet(columns: dict[str, Any] | pa.Table, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), stream, **options)
    return stream.getvalue()


@pytest.fixture
def landing() -> FakeLanding:
    return FakeLanding()


@pytest.fixture
def files(write: Write, landing: FakeLanding) -> Clean:
    """Return a function that cleans files of one load."""

    def run(
        *contents: bytes, spec: str = "", published: tuple[Field, ...] | None = None, name: str = "a.parquet",
        load: str = "transactional", format_: str = "parquet", plan: dict[str, Any] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> Manifest:  # fmt: skip
        resource = resource_of(
            write, f"path: s3://drops/**\nformat: {format_}\nload: {load}\n{spec}", type_="s3"
        )
        parts = tuple(landing.put_file(name if not n else f"{n}", data) for n, data in enumerate(contents))
        manifest = manifest_of(resource, parts=parts, extra=extra or {})
        manifest = replace(manifest, plan=replace(manifest.plan, **(plan or {})))
        return Sanitizer(resource, landing, manifest, "sanitize-1").run(published)

    return run


def is_referred(done: Manifest) -> bool:
    """Tell which way was taken, and hold what the manifest says to be of that way."""
    names = [field["name"] for field in done.fields]
    referred = [part.uri for part in done.parts] == [RAW]
    assert (names[-2:] == [*OWN]) is not referred
    return referred


@pytest.mark.parametrize("load", ["transactional", "catalog"])
def test_a_clean_file_is_loaded_itself(files: Clean, landing: FakeLanding, load: str) -> None:
    content = parquet(CLEAN | TEXT)

    done = files(content, load=load)

    assert is_referred(done)
    assert list(landing.objects) == [RAW]
    assert done.parts == (replace(landing.stat(RAW), rows=3, source=done.parts[0].source),)
    assert done.files == (FileTally("s3://drops/a.parquet", "etag-a.parquet", MORNING, len(content), 3, 0),)
    assert (done.rows_read, done.rows_staged, done.rows_quarantined, done.quarantine) == (3, 3, 0, ())


def test_both_ways_give_the_same_fields_notes_and_changes(files: Clean) -> None:
    referred, rewritten = files(parquet(CLEAN)), files(parquet(CLEAN), name="a parquet")

    assert is_referred(referred)
    assert not is_referred(rewritten)
    assert referred.fields == rewritten.fields[:-2]
    assert (referred.ddl, referred.notes, referred.recorded) == (
        rewritten.ddl, rewritten.notes, rewritten.recorded,
    )  # fmt: skip


@pytest.mark.parametrize("column", [*CLEAN, *TEXT])
def test_the_file_holds_what_cleaning_writes(files: Clean, landing: FakeLanding, column: str) -> None:
    content = parquet({"a": [1, 2, 3], column: (CLEAN | TEXT)[column]})

    assert is_referred(files(content))
    rewritten = files(content, name="a parquet")
    (before,) = (pq.read_table(io.BytesIO(content)).column(column),)
    (after,) = (pq.read_table(io.BytesIO(landing.objects[rewritten.parts[0].uri])).column(column),)
    plain = before.cast(after.type) if pa.types.is_dictionary(before.type) else before
    assert str(plain.cast(after.type).to_pylist()) == str(after.to_pylist())


class CountingLanding(FakeLanding):
    """A bucket that reads by ranges, and counts their bytes."""

    read = 0

    def open(self, part: Part) -> IO[bytes]:
        content = self.objects[part.uri]

        def fetch(start: int, size: int) -> bytes:
            self.read += size
            return content[start : start + size]

        return io.BufferedReader(PinnedBytes(part, fetch), 1024)


@pytest.mark.parametrize("rows", [50_000, 500_000])
def test_nothing_but_the_footer_is_read(write: Write, rows: int) -> None:
    landing = CountingLanding()
    resource = resource_of(write, "path: s3://drops/**\nformat: parquet\nload: catalog", type_="s3")
    days = pa.array([n % 9999 for n in range(rows)], pa.int32()).view(pa.date32())
    part = landing.put_file("a.parquet", parquet({"id": range(rows), "day": days}, use_dictionary=False))

    done = Sanitizer(resource, landing, manifest_of(resource, parts=(part,)), "sanitize-1").run(None)

    assert is_referred(done)
    assert part.size > 4 * 65_536
    assert landing.read <= 2 * 66_000  # to infer and to decide; Arrow asks for the last 64 KiB at once


# What each of these changes makes cleaning necessary


@pytest.mark.parametrize(
    "changed",
    [
        {"spec": "primary_key: [id]"},
        {"spec": "columns: { rename: { note: remark } }"},
        {"spec": "columns: { types: { id: NUMERIC } }"},
        {"spec": "columns: { types: { id: STRING } }"},
        {"spec": "on_unrepresentable: text"},
        {"plan": {"row_limit": 2}},
        {"plan": {"mode": "replay"}, "extra": {"replay": {"rows": 0}}},
        {"name": "a*.parquet"},
        {"name": "a//b.parquet"},
        {"name": "a b.parquet"},
        {"published": (Field("id", "NUMERIC"), Field("day", "DATE"))},
        {"published": (Field("ID", "INT64"), Field("day", "DATE"))},
        {"published": (Field("id", "INT64"),), "spec": "schema_contract: { columns: discard_row }"},
        {"published": (Field("id", "INT64"),), "spec": "schema_contract: { columns: discard_value }"},
        {
            "published": (Field("id", "STRING"), Field("day", "DATE")),
            "spec": "schema_contract: { types: discard_value }",
        },
    ],
    ids=str,
)
def test_a_load_that_needs_more_than_the_rows_is_written(files: Clean, changed: dict[str, Any]) -> None:
    day = pa.array([date(2024, 6, 1), None]) if "published" not in changed else pa.nulls(2, pa.date32())
    columns = {"id": [1, 2], "day": day} | ({"note": [1, 2]} if "rename" in changed.get("spec", "") else {})

    assert is_referred(files(parquet(columns)))
    assert not is_referred(files(parquet(columns), **changed))


def test_several_files_are_written(files: Clean, landing: FakeLanding) -> None:
    done = files(parquet({"id": [1]}), parquet({"id": [2]}))

    assert not is_referred(done)
    assert [(row["_etl_source_uri"], row["_etl_record"]) for row in landing.rows(done.parts)] == [
        ("s3://drops/a.parquet", 1), ("s3://drops/1", 1),
    ]  # fmt: skip


def test_a_file_without_rows_is_no_part(files: Clean) -> None:
    assert files(parquet({"id": pa.array([], pa.int64())})).parts == ()


@pytest.mark.parametrize(
    ("published", "spec"),
    [
        ((Field("id", "INT64", "REQUIRED"), Field("gone", "DATE"), Field("_etl_load_id", "STRING")), ""),
        ((Field("id", "INT64"), Field("other", "JSON")), "schema_contract: { columns: discard_row }"),
    ],
)
def test_a_published_table_may_have_more_columns(
    files: Clean, published: tuple[Field, ...], spec: str
) -> None:
    done = files(parquet({"id": [1, None]}), published=published, spec=spec)

    assert is_referred(done)
    assert [field["name"] for field in done.fields] == ["id"]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1], pa.uint8()),
        pa.array([1], pa.uint32()),
        pa.array([1], pa.uint64()),
        pa.array([0.5], pa.float16()),
        pa.array([Decimal("1")], pa.decimal128(38, 0)),
        pa.array([Decimal("1")], pa.decimal128(20, 10)),
        pa.array([time(1)], pa.time32("ms")),
        pa.array([1000], pa.time64("ns")),
        pa.array([1000], pa.timestamp("ns")),
        pa.array([1000], pa.timestamp("ns", "UTC")),
        pa.array([1], pa.timestamp("ms")),
        pa.array([[1]]),
        pa.array([{"a": 1}]),
        pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        pa.ExtensionArray.from_storage(pa.json_(), pa.array(["{}"])),
        pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"x" * 16], pa.binary(16))),
        pa.nulls(1),
    ],
    ids=lambda values: str(values.type),
)
def test_a_type_that_is_not_documented_to_load_the_same_is_written(files: Clean, values: pa.Array) -> None:
    assert not is_referred(files(parquet({"id": [1], "odd": values})))


def test_decimals_may_be_stored_as_integers(files: Clean) -> None:
    prices = {"price": pa.array([Decimal("1.25")], pa.decimal128(9, 2))}

    assert is_referred(files(parquet(prices, store_decimal_as_integer=True)))


def test_int96_is_written(files: Clean) -> None:
    moments = {"at": pa.array([1000], pa.timestamp("ns"))}

    assert not is_referred(files(parquet(moments, use_deprecated_int96_timestamps=True)))


@pytest.mark.parametrize("name", ["Order No", "ID", "a.b", "_table_id", "_etl_record", "größe"])
def test_a_name_that_changes_is_written(files: Clean, name: str) -> None:
    assert not is_referred(files(parquet({name: [1]})))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"compression": "none"}, True),
        ({"compression": "snappy"}, True),
        ({"compression": "gzip"}, True),
        ({"compression": "zstd"}, True),
        ({"compression": "lz4"}, False),
        ({"compression": "brotli"}, False),
        ({"use_dictionary": False, "column_encoding": "DELTA_BINARY_PACKED"}, False),
        ({"use_dictionary": False, "column_encoding": "BYTE_STREAM_SPLIT"}, False),
        ({"version": "1.0"}, True),
        ({"store_schema": False}, True),
        ({"row_group_size": 1}, True),
    ],
    ids=str,
)
def test_a_file_that_bigquery_may_not_read_is_written(
    files: Clean, options: dict[str, Any], expected: bool
) -> None:
    assert is_referred(files(parquet({"id": [1, 2]}, **options))) is expected


@pytest.mark.parametrize(("columns", "expected"), [(100, True), (101, False)])
def test_many_columns_need_smaller_pages(files: Clean, columns: int, expected: bool) -> None:
    assert is_referred(files(parquet({f"c{n}": [n] for n in range(columns)}))) is expected


def test_a_footer_of_other_files_is_refused_as_ever(files: Clean) -> None:
    summary = io.BytesIO()
    whole = pq.ParquetFile(io.BytesIO(parquet({"id": [1]})))
    whole.metadata.set_file_path("part-0.parquet")
    whole.metadata.write_metadata_file(summary)

    with pytest.raises(TerminalError, match="damaged"):
        files(summary.getvalue())


# What the footer proves, and what is looked at

TEN_THOUSAND = 2_932_897


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("day", pa.array([0], pa.date32()), pa.array([TEN_THOUSAND], pa.int32()).view(pa.date32())),
        ("moment", pa.array([0], pa.timestamp("us", "UTC")),
         pa.array([TEN_THOUSAND * 86_400 * 10**6], pa.timestamp("us", "UTC"))),
        ("coarse", pa.array([0], pa.timestamp("ms", "UTC")),
         pa.array([-62_135_596_800_001], pa.timestamp("ms", "UTC"))),
        ("local", pa.array([0], pa.timestamp("us")), pa.array([2**63 - 1], pa.timestamp("us"))),
        ("at", pa.array([0], pa.time64("us")), pa.array([86_400 * 10**6], pa.int64()).view(pa.time64("us"))),
        ("name", pa.array(["a"]), pa.array([b"\xff"]).view(pa.string())),
    ],
)  # fmt: skip
@pytest.mark.parametrize("statistics", [True, False])
def test_a_value_beyond_bigquery_is_set_aside(
    files: Clean, name: str, good: pa.Array, bad: pa.Array, statistics: bool
) -> None:
    def of(*chunks: pa.Array) -> bytes:
        groups = pa.table({name: pa.chunked_array(chunks), "id": range(len(chunks))})
        return parquet(groups, row_group_size=1, write_statistics=statistics)

    assert is_referred(files(of(good, pa.nulls(1, good.type), good)))
    done = files(of(good, pa.nulls(1, good.type), bad), spec="max_bad_rows: 1")
    assert not is_referred(done)
    assert (done.rows_read, done.rows_staged, done.rows_quarantined) == (3, 2, 1)


def test_a_value_set_to_null_by_configuration_is_written(files: Clean, landing: FakeLanding) -> None:
    days = pa.array([0, TEN_THOUSAND], pa.int32()).view(pa.date32())

    done = files(parquet({"day": days}), spec="on_unrepresentable: 'null'")

    assert not is_referred(done)
    assert [row["day"] for row in landing.rows(done.parts)] == [date(1970, 1, 1), None]


@pytest.mark.parametrize("writer", ["parquet-rs version 56.0.0", "Polars", "DuckDB version v1.4.0"])
def test_no_writer_is_trusted_with_text(files: Clean, writer: str) -> None:
    content = parquet({"id": [1, 2, 3], "name": NOT_UTF8})
    (held,) = {pq.ParquetFile(io.BytesIO(content)).metadata.created_by}
    claimed = content.replace(held.encode(), writer.ljust(len(held)).encode()[: len(held)])

    assert not is_referred(files(claimed, spec="max_bad_rows: 1"))


def test_damage_in_a_column_that_is_looked_at_is_an_error(files: Clean) -> None:
    content = parquet({"name": ["some text"] * 100}, compression="zstd")
    damaged = content[:4] + bytes(60) + content[64:]

    with pytest.raises(TerminalError, match=r"s3://drops/a\.parquet.*damaged"):
        files(damaged)


@pytest.mark.parametrize("cut", [1, 8, 100])
def test_a_truncated_file_is_an_error(files: Clean, cut: int) -> None:
    with pytest.raises(TerminalError, match=r"s3://drops/a\.parquet.*damaged"):
        files(parquet({"id": [1, 2]})[:-cut])


# What publish makes of it


@pytest.mark.parametrize(("load", "strategy"), [("transactional", "append_files"), ("catalog", "replace")])
def test_publish_is_told_that_the_rows_are_one_files(
    write: Write, files: Clean, load: str, strategy: str
) -> None:
    resource = resource_of(write, f"path: s3://drops/**\nformat: parquet\nload: {load}", type_="s3")

    referred = Draft(resource, files(parquet({"id": [1]}), load=load)).publication(())
    rewritten = Draft(resource, files(parquet({"id": [1]}), load=load, name="a b")).publication(())

    assert (referred.strategy, referred.is_file, referred.is_one_file) == (strategy, True, True)
    assert replace(referred, is_one_file=False) == rewritten


def test_a_plan_of_any_other_mode_goes_by_reference_too(files: Clean) -> None:
    for mode in ("live", "backfill", "full_refresh"):
        assert is_referred(files(parquet({"id": [1]}), plan=vars(Plan(LOAD_ID, mode, 0, None))))  # type: ignore[arg-type]  # a mode
