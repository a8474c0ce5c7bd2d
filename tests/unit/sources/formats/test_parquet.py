"""Parquet files: every type comes through sanitize exactly, and files of different schemas join."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl_factory.errors import SchemaError, TerminalError
from etl_factory.schema.contract import Contract
from etl_factory.schema.sanitize import Cleaned, clean, plan_cleaning
from etl_factory.schema.wanted import Wanted
from etl_factory.sources.formats import parquet as parquet_format
from etl_factory.sources.formats.lattice import merge_schemas
from etl_factory.sources.formats.parquet import Parquet
from etl_factory.sources.specs import ParquetFormat

READER = Parquet(ParquetFormat(type="parquet"))


def file_of(store_schema: bool = True, **columns: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, store_schema=store_schema)
    return stream.getvalue()


def sanitized(
    *files: bytes, types: dict[str, str] | None = None
) -> tuple[list[dict[str, Any]], list[Cleaned]]:
    """Return the staged rows of all files, and what clean made of each batch."""
    declared = merge_schemas([READER.infer(io.BytesIO(data)) for data in files])
    wanted = Wanted(types=types or {})
    cleaning, _ = plan_cleaning(declared, wanted, None, Contract("t"), is_file=True, is_text=READER.is_text)
    done = [clean(batch, cleaning, "u") for data in files for batch in READER.read(io.BytesIO(data))]
    rows = [row for part in done for row in part.rows.to_pylist()]
    return [{k: v for k, v in row.items() if not k.startswith("_etl_")} for row in rows], done


COLUMNS = [
    (pa.array([1, None], pa.int8()), [1, None]),
    (pa.array([2**64 - 1, None], pa.uint64()), [Decimal(2**64 - 1), None]),
    (pa.array([0.5, None], pa.float32()), [0.5, None]),
    (pa.array([Decimal("1.50"), None], pa.decimal128(5, 2)), [Decimal("1.50"), None]),
    (pa.array([Decimal("1e-20"), None], pa.decimal256(50, 20)), ["0.00000000000000000001", None]),
    (pa.array(["a", "b", None, "a"]).dictionary_encode(), ["a", "b", None, "a"]),
    (pa.array(["żółć", None], pa.large_string()), ["żółć", None]),
    (pa.array([b"\xff", None]), [b"\xff", None]),
    (pa.array([date(2025, 1, 31), None]), [date(2025, 1, 31), None]),
    (pa.array([1_000, None], pa.timestamp("ns")), [datetime(1970, 1, 1, 0, 0, 0, 1), None]),
    (
        pa.array([1, None], pa.timestamp("ms", "Europe/Warsaw")),
        [datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=UTC), None],
    ),
    (pa.array([[1, None], [], None]), ["[1,null]", "[]", None]),
    (pa.array([{"a": Decimal("1.50"), "b": [{"c": "ż"}]}, None]), ['{"a":1.50,"b":[{"c":"ż"}]}', None]),
    (pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())), ['[["k",1]]', None]),
    (
        pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a":1}', '"5"', None])),
        ['{"a":1}', '"5"', None],
    ),
    (
        pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(range(16)), None], pa.binary(16))),
        ["00010203-0405-0607-0809-0a0b0c0d0e0f", None],
    ),
]


@pytest.mark.parametrize(("array", "values"), COLUMNS, ids=[str(array.type) for array, _ in COLUMNS])
def test_types_come_through_exactly(array: pa.Array, values: list[Any]) -> None:
    rows, done = sanitized(file_of(a=array))
    assert [row["a"] for row in rows] == values
    assert not any(part.rejects for part in done)


def test_records_are_numbered_over_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_format, "BATCH_ROWS", 3)
    batches = list(READER.read(io.BytesIO(file_of(a=list(range(1, 11))))))
    assert [batch.rows.num_rows for batch in batches] == [3, 3, 3, 1]
    assert [n for batch in batches for n in batch.records.to_pylist()] == list(range(1, 11))


def test_json_that_is_none_is_quarantined() -> None:
    column = pa.ExtensionArray.from_storage(pa.json_(), pa.array(["{}", "{", "1e400"]))
    rows, (done,) = sanitized(file_of(a=column))
    assert rows == [{"a": "{}"}]
    assert [reject.record for reject in done.rejects] == [2, 3]


def test_files_of_different_schemas_join() -> None:
    one = file_of(
        id=pa.array([1], pa.int32()), amount=pa.array([Decimal("1.5")], pa.decimal128(5, 1)), gone=["x"]
    )
    other = file_of(
        new=[True], id=pa.array([2**40]), amount=pa.array([7]), at=pa.array([1], pa.timestamp("s"))
    )
    rows, _ = sanitized(one, other)
    assert rows == [
        {"id": 1, "amount": Decimal("1.5"), "gone": "x", "new": None, "at": None},
        {"id": 2**40, "amount": Decimal(7), "gone": None, "new": True, "at": datetime(1970, 1, 1, 0, 0, 1)},
    ]


def test_files_whose_types_have_nothing_in_common_join_as_text() -> None:
    rows, _ = sanitized(
        file_of(a=[2**53 + 1]), file_of(a=[0.1]), file_of(a=["x"]), file_of(a=[date(2025, 1, 31)])
    )
    assert [row["a"] for row in rows] == ["9007199254740993", "0.1", "x", "2025-01-31"]


def test_text_without_its_annotation_can_be_typed() -> None:
    rows, (done,) = sanitized(file_of(a=[b"abc", b"\xff"]), types={"a": "STRING"})
    assert rows == [{"a": "abc"}]
    assert [reject.record for reject in done.rejects] == [2]


def test_a_duration_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"column 'a' has Arrow type duration\[s\]"):
        sanitized(file_of(a=pa.array([1], pa.duration("s"))))


def test_a_file_without_rows_has_its_columns() -> None:
    data = file_of(a=pa.array([], pa.int32()))
    assert READER.infer(io.BytesIO(data)) == pa.schema([("a", pa.int32())])
    assert sum(batch.rows.num_rows for batch in READER.read(io.BytesIO(data))) == 0


@pytest.mark.parametrize("data", [b"", b"PAR1", b"a,b\n1,2\n", file_of(a=[1] * 1000)[:-20]])
def test_a_file_that_is_no_parquet(data: bytes) -> None:
    with pytest.raises(TerminalError, match="damaged or not of the declared format"):
        READER.infer(io.BytesIO(data))
    with pytest.raises(TerminalError, match="damaged or not of the declared format"):
        list(READER.read(io.BytesIO(data)))


def test_a_damaged_page_ends_the_run() -> None:
    data = bytearray(file_of(a=[f"{number * 7919}" for number in range(5000)]))
    data[100:4000] = bytes(3900)
    with pytest.raises(TerminalError, match="damaged"):
        list(READER.read(io.BytesIO(bytes(data))))


MICROS = pa.timestamp("us")


def int96(moments: list[Any], type_: pa.DataType = MICROS) -> bytes:
    """Write moments as Spark and Hive do."""
    stream = io.BytesIO()
    table = pa.table({"a": pa.array(moments, type_), "n": range(len(moments))})
    pq.write_table(table, stream, use_deprecated_int96_timestamps=True, store_schema=False, row_group_size=2)
    return stream.getvalue()


ANCIENT = [
    datetime(1, 1, 1),
    None,
    datetime(9999, 12, 31, 23, 59, 59, 999999),
    datetime(1969, 12, 31, 23, 59, 59, 1),
]


def test_int96_is_an_instant_of_any_year() -> None:
    rows, done = sanitized(int96(ANCIENT))
    assert [row["a"] for row in rows] == [moment and moment.replace(tzinfo=UTC) for moment in ANCIENT]
    assert not any(part.rejects for part in done)


def test_nanoseconds_of_int96_are_quarantined() -> None:
    rows, done = sanitized(int96([1_000, 1_700_000_000_000_000_001, None, -1_000], pa.timestamp("ns")))
    assert [row["n"] for row in rows] == [0, 2, 3]
    assert rows[0]["a"] == datetime(1970, 1, 1, 0, 0, 0, 1, UTC)
    ((reject,),) = (part.rejects for part in done if part.rejects)
    assert reject.value == "2023-11-14 22:13:20.000000001+00:00"


NESTED = [
    (pa.list_(pa.timestamp("us")), lambda moment: [None, moment]),
    (pa.struct([("b", pa.list_(pa.timestamp("us")))]), lambda moment: {"b": [moment]}),
    (pa.map_(pa.string(), pa.timestamp("us")), lambda moment: [("k", moment)]),
]


@pytest.mark.parametrize(("type_", "wrap"), NESTED, ids=[str(type_) for type_, _ in NESTED])
def test_int96_inside_nested_values(type_: pa.DataType, wrap: Any) -> None:
    rows, _ = sanitized(int96([wrap(datetime(1, 1, 1)), None], type_))
    assert "0001-01-01T00:00:00" in rows[0]["a"]
    assert rows[1]["a"] is None


def test_nanoseconds_inside_nested_values_are_refused() -> None:
    data = int96([[1_001]], pa.list_(pa.timestamp("ns")))
    with pytest.raises(TerminalError, match="column 'a' holds INT96 moments finer than a microsecond"):
        sanitized(data)
