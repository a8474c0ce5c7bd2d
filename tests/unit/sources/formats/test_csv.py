"""Delimited files in all their spellings: every record is a row or a reject, with its number."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_factory.errors import TerminalError
from etl_factory.schema.contract import Contract
from etl_factory.schema.sanitize import clean, plan_cleaning
from etl_factory.schema.wanted import Wanted
from etl_factory.sources.formats import csv as csv_format
from etl_factory.sources.formats._heads import unique_names
from etl_factory.sources.formats.csv import Csv
from etl_factory.sources.specs import CsvFormat


def reader(**options: Any) -> Csv:
    return Csv(CsvFormat(type="csv", **options))


def read(data: bytes, **options: Any) -> tuple[list[tuple[int, dict[str, Any]]], list[tuple[int, str]]]:
    """Return the rows and the rejects, each with its record number."""
    rows, rejects = [], []
    for batch in reader(**options).read(io.BytesIO(data)):
        assert all(type_ == pa.string() for type_ in batch.rows.schema.types)
        rows += zip(batch.records.to_pylist(), batch.rows.to_pylist(), strict=True)
        rejects += [(reject.record, reject.row) for reject in batch.rejects]
    return rows, rejects


def rows_of(data: bytes, **options: Any) -> list[dict[str, Any]]:
    rows, rejects = read(data, **options)
    assert rejects == []
    assert [number for number, _ in rows] == list(range(1, len(rows) + 1))
    return [row for _, row in rows]


def infer(data: bytes, **options: Any) -> dict[str, pa.DataType]:
    schema = reader(**options).infer(io.BytesIO(data))
    return dict(zip(schema.names, schema.types, strict=True))


AB = [{"a": "1", "b": "x"}]
SPELLINGS = [
    (b"a,b\n1,x\n", {}),
    (b"a,b\n1,x", {}),
    (b"a,b\r\n1,x\r\n", {}),
    (b"a,b\r1,x\r", {}),
    (b"\n\na,b\n\n1,x\n\n\n", {}),
    (b"a;b\n1;x\n", {"delimiter": ";"}),
    (b"a\tb\n1\tx\n", {"delimiter": "\t"}),
    (b"a|b\n1|x\n", {"delimiter": "|"}),
    (b"aeb\n1ex\n", {"delimiter": "e"}),
    (b"\x1ea\x1e,b\n1,x\n", {"quote": "\x1e"}),
    (b'"a","b"\n"1","x"\n', {}),
    (b"'a','b'\n'1','x'\n", {"quote": "'"}),
    (b" a , b \n1,x\n", {}),
    (b"\xef\xbb\xbfa,b\n1,x\n", {}),
    (b"\xef\xbb\xbfa,b\n1,x\n", {"encoding": "utf-8-sig"}),
    (b'\xef\xbb\xbf"a",b\n1,x\n', {"encoding": "UTF8"}),
    ("a,b\n1,x\n".encode("utf-16"), {"encoding": "utf-16"}),
    ("a,b\n1,x\n".encode("utf-16-le"), {"encoding": "utf-16-le"}),
    (b"1,x\n", {"header": False, "column_names": ("a", "b")}),
    (b"ignored,too\n1,x\n", {"column_names": ("a", "b")}),
    (b"made by us\n\na,b\n1,x\n", {"skip_rows": 1}),
    (b"made by us\non \x00 Monday\na,b\n1,x\n", {"skip_rows": 2}),
    (gzip.compress(b"a,b\n1,x\n", mtime=0), {}),
    (bz2.compress(b"a,b\n1,x\n"), {"compression": "bz2"}),
    (pa.compress(b"a,b\n1,x\n", codec="zstd", asbytes=True), {"compression": "zstd"}),
    (gzip.compress(b"a,b\n", mtime=0) + gzip.compress(b"1,x\n", mtime=0), {}),
]


@pytest.mark.parametrize(("data", "options"), SPELLINGS)
def test_spellings(data: bytes, options: dict[str, Any]) -> None:
    assert rows_of(data, **options) == AB


VALUES = [
    (b'"x\ny"', {}, "x\ny"),
    (b'"x\r\ny"', {}, "x\r\ny"),
    (b'"x,y"', {}, "x,y"),
    (b'"x""y"', {}, 'x"y'),
    (b'5" pipe', {}, '5" pipe'),
    (b'"x"', {"quote": ""}, '"x"'),
    (b'"x', {"quote": ""}, '"x'),
    (b"'it''s'", {"quote": "'"}, "it's"),
    (b'"x\\"y"', {"escape": "\\"}, 'x"y'),
    (b"x\\,y", {"escape": "\\"}, "x,y"),
    (b"x\x00y", {}, "x\x00y"),
    (b"\x00", {}, "\x00"),
    (b"", {}, None),
    (b'""', {}, ""),
    (b"NULL", {}, "NULL"),
    (b"NULL", {"null_values": ("", "NULL")}, None),
    (b'"NULL"', {"null_values": ("", "NULL")}, "NULL"),
    (b"\\N", {"null_values": ("\\N",)}, None),
    (b"", {"null_values": ("\\N",)}, ""),
    (b" 1 ", {}, " 1 "),
    (b"007", {}, "007"),
    (b"1.50", {}, "1.50"),
    ("zażółć".encode("cp1250"), {"encoding": "windows-1250"}, "zażółć"),
    ("é".encode("latin-1"), {"encoding": "latin-1"}, "é"),
    ("żółć 😀".encode(), {}, "żółć 😀"),
]


@pytest.mark.parametrize(("field", "options", "value"), VALUES)
def test_values(field: bytes, options: dict[str, Any], value: str | None) -> None:
    assert rows_of(b"a,b\n1," + field + b"\n2,z\n", **options) == [
        {"a": "1", "b": value},
        {"a": "2", "b": "z"},
    ]


HEADERS = [
    (b"a,a,A,\n1,2,3,4\n", ["a", "a_2", "A", "column_4"]),
    (b'"a\nb",c\n1,2\n', ["a\nb", "c"]),
    (b'"a,b",c\n1,2\n', ["a,b", "c"]),
    (b'"a""b",c\n1,2\n', ['a"b', "c"]),
    (b"a\x00,\x00b\x00\n1,2\n", ["a\x00", "\x00b\x00"]),
    ("Größe,ł\n1,2\n".encode(), ["Größe", "ł"]),
]


@pytest.mark.parametrize(("data", "names"), HEADERS)
def test_headers(data: bytes, names: list[str]) -> None:
    rows = rows_of(data)
    assert [list(row) for row in rows] == [names]
    assert list(rows[0].values()) == [str(number) for number in range(1, len(names) + 1)]


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (["a", "a", "a_2"], ["a", "a_2", "a_2_2"]),
        (["", "", "column_1"], ["column_1", "column_2", "column_1_2"]),
        ([" a "], ["a"]),
    ],
)
def test_names_are_unique(header: list[str], names: list[str]) -> None:
    assert unique_names(header) == names


def test_columns_without_a_header_are_numbered() -> None:
    assert rows_of(b"1,x\n", header=False) == [{"column_1": "1", "column_2": "x"}]


@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n\n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)])
def test_an_empty_file_has_no_columns(data: bytes) -> None:
    assert read(data) == ([], [])
    assert infer(data) == {}


@pytest.mark.parametrize("data", [b"a,b\n", b"a,b", b"a,b\r\n", b"\xef\xbb\xbfa,b\n\n"])
def test_a_header_alone_gives_columns_without_rows(data: bytes) -> None:
    assert read(data) == ([], [])
    assert infer(data) == {"a": pa.null(), "b": pa.null()}


RAGGED = [
    (b"a,b\n1,2\n3\n4,5,6\n7,8\n", {}, [1, 4], [(2, "3"), (3, "4,5,6")]),
    (b"a,b\n3\n", {}, [], [(1, "3")]),
    (b"a,b\n1,2\n3", {}, [1], [(2, "3")]),
    (b'a,b\n1,"x\ny"\n3\n\n4,5\n', {}, [1, 3], [(2, "3")]),
    (b"\n\na,b\n\n1,2\n\n3\n4,5\n", {}, [1, 3], [(2, "3")]),
    (b"x\ny\na,b\n1,2\n3\n4,5\n", {"skip_rows": 2}, [1, 3], [(2, "3")]),
    (b"x\n\na,b\n1,2\n3\n4,5\n", {"skip_rows": 1}, [1, 3], [(2, "3")]),
    (b"1,2\n3\n4,5\n", {"header": False}, [1, 3], [(2, "3")]),
    (b"\n1,2\n\n3\n4,5\n", {"header": False}, [1, 3], [(2, "3")]),
    (b"x\n1,2\n3\n4,5\n", {"header": False, "skip_rows": 1}, [1, 3], [(2, "3")]),
    ("a,b\n1,2\nż\n".encode("cp1250"), {"encoding": "windows-1250"}, [1], [(2, "ż")]),
]


@pytest.mark.parametrize(("data", "options", "good", "bad"), RAGGED)
def test_ragged_rows_are_rejects_with_their_record_number(
    data: bytes, options: dict[str, Any], good: list[int], bad: list[tuple[int, str]]
) -> None:
    rows, rejects = read(data, **options)
    assert [number for number, _ in rows] == good
    assert rejects == bad


def test_a_reject_says_why() -> None:
    batches = list(reader().read(io.BytesIO(b"a,b\n1,2,3\n")))
    (reject,) = [reject for batch in batches for reject in batch.rejects]
    assert (reject.reason, reject.line, reject.column) == ("3 fields where 2 were expected", 2, "")


def test_records_keep_their_numbers_over_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_format, "BLOCK_BYTES", 512)
    lines = [f"{number},{'x' * (number % 50)}" if number % 7 else f"{number}" for number in range(1, 2001)]
    rows, rejects = read("\n".join(["a,b", *lines]).encode())
    assert [number for number, row in rows if int(row["a"]) != number] == []
    assert [number for number, row in rejects if int(row) != number] == []
    assert sorted([number for number, _ in rows] + [number for number, _ in rejects]) == list(range(1, 2001))


def test_a_first_record_that_fills_blocks_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that is put above the records may be alone in its block, which is no reason to leave one out."""
    monkeypatch.setattr(csv_format, "BLOCK_BYTES", 512)
    rows, rejects = read(b"a,b\n1," + b"x" * 600 + b"\n2,3\n")
    assert ([row["a"] for _, row in rows], rejects) == (["1", "2"], [])


def test_a_line_break_in_a_value_stays_whole_between_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow takes a line feed that begins a block, after a carriage return, for the rest of a line's end."""
    monkeypatch.setattr(csv_format, "BLOCK_BYTES", 100)
    for length in range(120):
        value = "x" * length + "\r\nz"
        rows, rejects = read(f'a,b\r\n0,0\r\n1,"{value}"\r\n'.encode())
        assert ([row["b"] for _, row in rows], rejects) == (["0", value], [])


PIECES = [b"a", b'"a"', b'"a\r\nb"', b'"a""b\n"', b'""', b'"\n\n,"', b'"', b",", b"\r\n", b"\n", b"\r"]
lines = st.lists(st.sampled_from(PIECES)).map(b",".join) | st.lists(st.sampled_from(PIECES)).map(b"".join)


@settings(max_examples=300, deadline=None)
@given(st.lists(lines, max_size=12).map(b"\n".join), st.integers(18, 80))
def test_blocks_of_any_size_read_the_same_or_refuse(data: bytes, size: int) -> None:
    whole = _read_or_refused(b"a,b\n" + data, 2**20)
    assert _read_or_refused(b"a,b\n" + data, size) in (whole, None)


def _read_or_refused(data: bytes, size: int) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_format, "BLOCK_BYTES", size)
        try:
            return read(data)
        except TerminalError:
            return None


def test_memory_is_a_matter_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_format, "BLOCK_BYTES", 4096)
    data = b"a,b\n" + b"1,x\n" * 20_000
    sizes = [batch.rows.num_rows for batch in reader().read(io.BytesIO(data))]
    assert sum(sizes) == 20_000
    assert max(sizes) <= 4096 / 4


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (b'a,b\n1,"x\n2,y\n3,z\n', {}),
        (b'a,b\n1,x\n2,"y', {}),
        (b'a\n"x\ny\n', {}),
        (b'a,b\n"1,x\n2,y\n', {}),
        (b"a,b\n1,'x\n2,y\n", {"quote": "'"}),
        (b"a,b\n1,x\\", {"escape": "\\"}),
    ],
)
def test_a_quote_that_is_never_closed_swallows_no_record(data: bytes, options: dict[str, Any]) -> None:
    with pytest.raises(TerminalError, match=r"that is never closed.*Nothing of it was loaded"):
        read(data, **options)


def test_an_empty_line_of_a_single_column_is_a_null() -> None:
    assert rows_of(b"a\n1\n\n3\n") == [{"a": "1"}, {"a": None}, {"a": "3"}]
    assert rows_of(b"a\n1") == rows_of(b"a\n1\n") == [{"a": "1"}]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (b"a,b\n1,2\n", {"column_names": ("x",)}, "gives 1 names, but the first record has 2 fields"),
        (b"a,b\n1,2\n", {"delimiter": "§"}, "format.delimiter is '§', but"),
        ("a,ż\n1,2\n".encode("cp1250"), {}, "the header is not utf-8 text.*Set format.encoding"),
        (
            gzip.compress(b"a,b\n" + b"1,2\n" * 999, mtime=0)[:-9],
            {},
            "damaged.*repair it, or correct `format`",
        ),
        (b'"' + b"x" * 200_000, {}, 'the first record is longer.*or opens a " that is never closed'),
    ],
)
def test_files_that_cannot_be_read(data: bytes, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TerminalError, match=message):
        read(data, **options)


@pytest.mark.parametrize(
    ("data", "encoding", "bad"),
    [
        (b"a,b\n1,x\n2,\xff\n3,z\n", "utf-8", "\\xff"),
        (b"a,b\n1,x\n2,\x81\n3,z\n", "windows-1250", "\\x81"),
        (b"a,b\n1,x\n2,\xfd\n3,z\n", "shift_jis", "\\xff"),
        ("a,b\n1,x\n2,\udc12\n3,z\n".encode("utf-16", "surrogatepass"), "utf-16", "\\xff"),
    ],
)
def test_a_row_that_is_not_of_the_encoding_is_bad_alone(data: bytes, encoding: str, bad: str) -> None:
    schema = reader(encoding=encoding).infer(io.BytesIO(data))
    assert schema.types == [pa.int64(), pa.string()]
    cleaning, _ = plan_cleaning(schema, Wanted(), None, Contract("t"), is_file=True, is_text=True)
    done = [clean(batch, cleaning, "u") for batch in reader(encoding=encoding).read(io.BytesIO(data))]
    assert [row["a"] for part in done for row in part.rows.to_pylist()] == [1, 3]
    assert [(r.record, r.line, r.value) for part in done for r in part.rejects] == [(2, 3, bad)]


INFERRED = [
    (b"1\n-5\n9223372036854775807", pa.int64()),
    (b"007\n1", pa.string()),
    (b"1.50\n2", pa.decimal128(38, 9)),
    (b"1\nx", pa.string()),
    (b"true\nFALSE", pa.bool_()),
    (b"2025-01-31\n2024-02-29", pa.date32()),
    (b"2025-02-31", pa.string()),
    (b'""\n1', pa.string()),
]


@pytest.mark.parametrize(("column", "type_"), INFERRED)
def test_types_are_guessed_from_all_rows(column: bytes, type_: pa.DataType) -> None:
    lines = b"\n".join(b"0," + value for value in column.split(b"\n"))
    assert infer(b"n,a\n" + lines + b"\n0,\n")["a"] == type_


def test_a_guess_looks_at_every_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_format, "BLOCK_BYTES", 1024)
    assert infer(b"n,a\n" + b"1,5\n" * 2000 + b"1,x\n") == {"n": pa.int64(), "a": pa.string()}


fields = st.text(st.characters(exclude_categories=("Cs",)), max_size=5) | st.sampled_from(
    ['"', ",", "\r\n", "\n\n", "\x00", "#", "'", "; ", "\\"]
)
DIALECTS = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from(",;\t|"),
        "quotechar": st.sampled_from("\"'"),
        "lineterminator": st.sampled_from(["\n", "\r\n", "\r"]),
        "escapechar": st.sampled_from([None, "\\"]),
    }
)


@settings(deadline=None)
@given(
    st.lists(st.lists(fields, min_size=2, max_size=4), min_size=1, max_size=6),
    DIALECTS,
    st.sampled_from(["", "#"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_python_writes_is_read_whole(
    records: list[list[str]], dialect: dict[str, Any], comment: str, encoding: str
) -> None:
    """Rows of the header's width come back as they were; the others are rejects; none is missing."""
    text = io.StringIO(newline="")
    escape = dialect["escapechar"]
    table = [["a", "b"], *records]
    csv.writer(text, **dialect, quoting=csv.QUOTE_ALL, doublequote=not escape).writerows(table)
    options = {"delimiter": dialect["delimiter"], "quote": dialect["quotechar"], "escape": escape or ""}
    rows, rejects = read(text.getvalue().encode(encoding), **options, comment=comment)
    found = {number: list(row.values()) for number, row in rows}
    if all(len(record) == 3 and not record[-1] for record in records):
        assert [values[:2] for values in found.values()] == [record[:2] for record in records]
        return
    width = len(next(iter(found.values()), "ab"))
    assert found == {number: record for number, record in enumerate(records, 1) if len(record) == width}
    assert [number for number, _ in rejects] == [n for n, r in enumerate(records, 1) if len(r) != width]
