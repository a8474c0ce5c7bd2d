"""CSV as people and their tools really write it: detected encodings, comments, foreign spellings, odd files."""

from __future__ import annotations

import bz2
import cProfile
import gzip
import io
import pstats
import time
import tracemalloc
import zipfile
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl_factory.errors import SchemaError, TerminalError
from etl_factory.schema.contract import Contract
from etl_factory.schema.rows import Reject
from etl_factory.schema.sanitize import clean, plan_cleaning
from etl_factory.schema.wanted import Wanted
from etl_factory.sources.formats import csv as csv_format
from etl_factory.sources.formats._numbering import MOST_AHEAD, Blocks
from etl_factory.sources.formats.csv import Csv
from etl_factory.sources.specs import CsvFormat

Row = dict[str, Any]


def reader(**options: Any) -> Csv:
    return Csv(CsvFormat(type="csv", **options))


def rows_of(data: bytes, **options: Any) -> list[Row]:
    """Return the rows as they are spelt; there must be no reject."""
    batches = list(reader(**options).read(io.BytesIO(data)))
    assert [reject for batch in batches for reject in batch.rejects] == []
    return [row for batch in batches for row in batch.rows.to_pylist()]


def loaded(
    data: bytes, types: dict[str, str] | None = None, **options: Any
) -> tuple[list[Row], list[Reject]]:
    """Return the clean rows, without our own columns, and everything that was set aside."""
    csv = reader(**options)
    schema = csv.infer(io.BytesIO(data))
    cleaning, _ = plan_cleaning(
        schema, Wanted(types=types or {}), None, Contract("t"), is_file=True, is_text=True
    )
    cleaning = cleaning.spelt(csv.spelling)
    rows, rejects = [], []
    for batch in csv.read(io.BytesIO(data)):
        done = clean(batch, cleaning, "u")
        rows += [{k: v for k, v in row.items() if k[:5] != "_etl_"} for row in done.rows.to_pylist()]
        rejects += [*batch.rejects, *done.rejects]
    return rows, rejects


def findings(data: bytes, **options: Any) -> tuple[str, ...]:
    csv = reader(**options)
    list(csv.read(io.BytesIO(data)))
    return csv.findings


# Encodings

POLISH = "nazwa,opis\n" + "Łódź,Zażółć gęślą jaźń i śpiewaj głośno\n" * 40
RUSSIAN = "имя,описание\n" + "Москва,Съешь же ещё этих мягких французских булок\n" * 40
FRENCH = "nom,détail\n" + "Orléans,Dès Noël où un zéphyr haï me vêt de glaçons würmiens\n" * 40
MARKED = [
    ("utf-8-sig", "utf-8"),
    ("utf-16-le", "utf-16-le"),
    ("utf-16-be", "utf-16-be"),
    ("utf-32-le", "utf-32-le"),
]
MARKS = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff", "utf-32-le": b"\xff\xfe\x00\x00"}


@pytest.mark.parametrize("declared", ["utf-8", "windows-1250", "auto", "utf-16", "utf-16-le"])
@pytest.mark.parametrize(("encoding", "name"), MARKED)
def test_a_byte_order_mark_wins(encoding: str, name: str, declared: str) -> None:
    data = MARKS.get(encoding, b"") + POLISH.encode(encoding)

    assert rows_of(data, encoding=declared)[39] == {
        "nazwa": "Łódź",
        "opis": "Zażółć gęślą jaźń i śpiewaj głośno",
    }
    said = findings(data, encoding=declared)
    agrees = declared == name or (declared == "utf-16" and name[:6] == "utf-16")
    assert said == (() if agrees else (f"read as {name}, as its byte order mark says",))


DETECTED = [
    (POLISH, "utf-8", "utf-8"),
    (POLISH, "cp1250", "cp1250"),
    (RUSSIAN, "cp1251", "cp1251"),
    (POLISH, "iso8859_2", "iso8859_2"),
    (RUSSIAN, "koi8_r", "koi8_r"),
    (FRENCH, "cp1252", "cp1252"),
    (FRENCH, "latin-1", "cp1252"),
    ("a,b\n1,Müller aus Köln\n", "latin-1", "cp1252"),
    ("a,b\n1,Αθήνα\n", "cp1253", "cp1253"),
    ("a,b\n1,Iğdır çok\n", "cp1254", "cp1254"),
    ("a,b\n1,Žemaitė\n", "cp1257", "cp1257"),
    (POLISH, "utf-16-le", "utf-16-le"),
    (POLISH, "utf-16-be", "utf-16-be"),
    ("a,b\n1,x\n", "ascii", "utf-8"),
]


@pytest.mark.parametrize(("text", "encoding", "found"), DETECTED)
def test_auto_detects_the_encoding_and_says_so(text: str, encoding: str, found: str) -> None:
    data = text.encode(encoding)

    assert "\n".join(",".join(row.values()) for row in rows_of(data, encoding="auto")) in text
    assert findings(data, encoding="auto") == (f"encoding detected as {found}",)


@pytest.mark.parametrize("text", [b"a,b\n1,r\xeaka\n", b"a,b\n1,\x00\xff\xfe\x81\n"])
def test_an_encoding_that_cannot_be_told_is_an_error(text: bytes) -> None:
    with pytest.raises(TerminalError, match=r"the bytes do not tell it.*Set format\.encoding"):
        rows_of(text, encoding="auto")


def test_utf8_with_a_broken_letter_is_not_read_in_another_encoding() -> None:
    whole = "a,b\n1,Nicolò\n2,però\n".encode()
    with pytest.raises(TerminalError, match="may be utf-8 with broken letters or cp1252"):
        rows_of(whole + b"3,Besan\xc3\n", encoding="auto")


def test_what_is_no_utf8_after_a_long_prefix_is_bad_and_not_guessed_at() -> None:
    data = b"a,b\n" + b"1,x\n" * 300_000 + b"2,\xb3\n"
    csv = reader(encoding="auto")
    last = list(csv.read(io.BytesIO(data)))[-1].rows.column(1)[-1:]
    assert last.cast(pa.binary())[0].as_py() == b"\xb3"


def test_declared_encodings_have_no_finding() -> None:
    assert findings(POLISH.encode("cp1250"), encoding="windows-1250") == ()
    assert findings(POLISH.encode()) == ()


WRONG = [
    ("a,b\n1,x\n".encode("utf-16-le"), {}, "looks like utf-16-le, but format.encoding is utf-8"),
    ("a,b\n1,x\n".encode("utf-16-be"), {"encoding": "latin-1"}, "looks like utf-16-be"),
    (b"a,b\n1,x\n", {"encoding": "utf-16"}, "no byte order mark.*utf-16-le or utf-16-be"),
]


@pytest.mark.parametrize(("data", "options", "message"), WRONG)
def test_a_declared_encoding_that_cannot_be_is_refused(data: bytes, options: Row, message: str) -> None:
    with pytest.raises(TerminalError, match=message):
        rows_of(data, **options)


# Delimiters and comments

AB = [{"a": "1", "b": "x, y"}]
DELIMITERS = [
    (b'a,b\n1,"x, y"\n', "','"),
    (b"a;b\n1;x, y\n", "';'"),
    (b"a\tb\n1\tx, y\n", "tab"),
    (b"a|b\n1|x, y\n", "'|'"),
    (b"# a;b,c\na|b\n#|||\n1|x, y\n", "'|'"),
]


@pytest.mark.parametrize(("data", "name"), DELIMITERS)
def test_auto_finds_the_delimiter_and_says_so(data: bytes, name: str) -> None:
    assert rows_of(data, delimiter="auto", comment="#") == AB
    assert findings(data, delimiter="auto", comment="#") == (f"delimiter detected as {name}",)


def test_a_single_column_has_a_delimiter_that_it_does_not_hold() -> None:
    assert rows_of(b"a\n1,5\n2;5\n", delimiter="auto") == [{"a": "1,5"}, {"a": "2;5"}]
    assert rows_of(b"", delimiter="auto") == []


def test_a_ragged_row_does_not_hide_the_delimiter() -> None:
    (batch,) = reader(delimiter="auto").read(io.BytesIO(b"a;b\n" + b"1;2\n" * 30 + b"3\n"))
    assert (batch.rows.num_rows, [reject.row for reject in batch.rejects]) == (30, ["3"])


@pytest.mark.parametrize("data", [b"a;b,c\n1;2,3\n", b"a;b\n1\n2\n3\n"])
def test_an_ambiguous_delimiter_is_an_error(data: bytes) -> None:
    with pytest.raises(TerminalError, match=r"do not tell it: .*Set format.delimiter"):
        rows_of(data, delimiter="auto")


COMMENTS = [
    (b"# made by us\n# a,b\na,b\n#1,2\n1,x\n# that's \"all", [("1", "x")]),
    (b'a,b\n1,"x\n# no comment"\n#y\n2,#z\n', [("1", "x\n# no comment"), ("2", "#z")]),
    (b'a,b\r\n"#1",x\r\n#\r\n', [("#1", "x")]),
    (b'a,b\r# c\r1,5" pipe\r', [("1", '5" pipe')]),
    (b"#\n#", []),
]


@pytest.mark.parametrize(("data", "rows"), COMMENTS)
def test_comment_lines_are_no_records(data: bytes, rows: list[tuple[str, str]]) -> None:
    assert [tuple(row.values()) for row in rows_of(data, comment="#")] == rows


def test_comments_leave_no_empty_record_of_a_single_column() -> None:
    assert rows_of(b"a\n1\n#\n2\n", comment="#") == [{"a": "1"}, {"a": "2"}]


def test_without_the_key_a_comment_is_a_record() -> None:
    assert rows_of(b"a,b\n#1,2\n") == [{"a": "#1", "b": "2"}]


# Headers and the ends of lines

TRAILING = [
    (b"a;b;\n1;2;\n3;4;\n", ["a", "b"]),
    (b"a;b\n1;2;\n3;4;\n", ["a", "b"]),
    (b'a;b;\n1;2;""\n3;4;\n', ["a", "b"]),
    (b"a;b;\n1;2;\n3;4;x\n", ["a", "b", "column_3"]),
]


@pytest.mark.parametrize(("data", "names"), TRAILING)
def test_a_delimiter_at_the_ends_of_lines_is_no_column_until_it_holds_a_value(
    data: bytes, names: list[str]
) -> None:
    rows, rejects = loaded(data, delimiter=";")
    assert [list(row) for row in rows] == [names] * 2
    assert [(row["a"], row["b"]) for row in rows] == [(1, 2), (3, 4)]
    assert rejects == []


def test_a_late_value_after_the_last_delimiter_is_never_lost() -> None:
    data = b"a;b\n" + b"1;2;\n" * 300 + b"3;4;late\n"
    rows, _ = loaded(data, delimiter=";")
    assert rows[-1] == {"a": 3, "b": 4, "column_3": "late"}


def test_more_title_lines_than_a_look_holds_are_skipped() -> None:
    data = b"title\r\n" * 200_000 + b"a,b\r\n1,x\r\n2\r\n"
    csv = list(reader(skip_rows=200_000).read(io.BytesIO(data)))
    assert [row for batch in csv for row in batch.rows.to_pylist()] == [{"a": "1", "b": "x"}]
    assert [reject.line for batch in csv for reject in batch.rejects] == [200_003]


# Numbers and dates

GERMAN = {"delimiter": ";", "decimal": ",", "thousands": "."}
NUMBERS = [
    ("1.234,56\n-7,5", GERMAN, [Decimal("1234.56"), Decimal("-7.5")]),
    ("1.234.567\n1000", GERMAN, [1234567, 1000]),
    ("1.234\n12.34", GERMAN, ["1.234", "12.34"]),
    ("1,5\n1.5", GERMAN, ["1,5", "1.5"]),
    ("1,5\n1.5", {"delimiter": ";", "decimal": ","}, ["1,5", "1.5"]),
    ("007,5\n1,5", GERMAN, ["007,5", "1,5"]),
    ("1 234,5\n2", {"delimiter": ";", "decimal": ",", "thousands": " "}, [Decimal("1234.5"), 2]),
    ("1\u202f234\n2", {"delimiter": ";", "decimal": ",", "thousands": "\u202f"}, [1234, 2]),
    ("1'234.5\n2", {"delimiter": ";", "thousands": "'"}, [Decimal("1234.5"), 2]),
    ("12345678901234567890\n1.234.567.890.123.456.789,5", GERMAN,
     [Decimal("12345678901234567890"), Decimal("1234567890123456789.5")]),
    ("1,5e3\n2", GERMAN, [1500.0, 2.0]),
    ("1..234\n.234", GERMAN, ["1..234", ".234"]),
]  # fmt: skip


@pytest.mark.parametrize(("values", "options", "expected"), NUMBERS)
def test_numbers_in_their_spelling(values: str, options: Row, expected: list[Any]) -> None:
    data = "n;v\n" + "".join(f"0;{value}\n" for value in values.split("\n"))
    rows, rejects = loaded(data.encode(), **options)
    assert ([row["v"] for row in rows], rejects) == (expected, [])


def test_a_number_in_another_spelling_is_a_bad_row_and_shown_as_it_stands() -> None:
    rows, rejects = loaded(b"n;v\n1;1,5\n2;1.5\n3;x\n", {"v": "NUMERIC"}, **GERMAN)
    assert rows == [{"n": 1, "v": Decimal("1.5")}]
    assert [(r.record, r.line, r.value) for r in rejects] == [(2, 3, "1.5"), (3, 4, "x")]


DATES = [
    ("%d.%m.%Y", "31.01.2025|1.2.2025", ["2025-01-31", "2025-02-01"]),
    ("%m/%d/%Y %I:%M %p", "1/31/2025 12:05 AM|12/01/2025 3:05 pm", ["2025-01-31 00:05:00", "2025-12-01 15:05:00"]),
    ("%Y%m%d%H%M%S", "20250131235959|20240229000000", ["2025-01-31 23:59:59", "2024-02-29 00:00:00"]),
    ("%d-%b-%y", "01-Feb-25|31-DEC-99", ["2025-02-01", "1999-12-31"]),
    ("%d %B %Y", "1 March 2025|31 May 2025", ["2025-03-01", "2025-05-31"]),
    ("%Y-%m-%d %H:%M:%S.%f", "2025-01-02 3:04:05.5|2025-01-02 03:04:05.000006",
     ["2025-01-02 03:04:05.500000", "2025-01-02 03:04:05.000006"]),
    ("%d.%m.%Y %H:%M %z", "01.02.2025 10:00 +0200|01.02.2025 10:00 Z",
     ["2025-02-01 08:00:00+00:00", "2025-02-01 10:00:00+00:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("format_", "values", "expected"), DATES)
def test_dates_in_their_format(format_: str, values: str, expected: list[str]) -> None:
    data = "n,d\n" + "".join(f"0,{value}\n" for value in values.split("|")) + "0,\n"
    rows, rejects = loaded(data.encode(), dates={"d": format_})
    assert [str(row["d"]) for row in rows] == [*expected, "None"]
    assert rejects == []


@pytest.mark.parametrize(
    ("format_", "value"),
    [
        ("%d.%m.%Y", "31.02.2025"), ("%d.%m.%Y", "2025-01-31"), ("%d.%m.%Y", "01.02.25"), ("%d.%m.%Y", "1.2.2025x"),
        ("%Y%m%d", "2025131"), ("%d.%m.%Y", '""'), ("%d.%m.%Y %H:%M:%S", "01.02.2025 24:00:00"),
        ("%d.%m.%Y %H:%M:%S", "01.02.2025"), ("%Y-%m-%d %H:%M:%S.%f", "2025-01-01 10:00:00.1234567"),
        ("%d.%m.%Y", "29.02.2023"), ("%I:%M %p %d.%m.%Y", "13:00 PM 01.01.2025"), ("%d-%b-%Y", "01-Foo-2025"),
        ("%d.%m.%Y", "\ufffd"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_its_format_is_a_bad_row(format_: str, value: str) -> None:
    rows, rejects = loaded(f"n,d\n1,{value}\n2,\n".encode(), dates={"d": format_})
    assert rows == [{"n": 2, "d": None}]
    assert [(r.record, r.line, r.column) for r in rejects] == [(1, 2, "d")]


def test_config_wins_over_a_format_of_dates_and_a_wrong_name_is_an_error() -> None:
    assert loaded(b"n,d\n1,31.02.2025\n", {"d": "STRING"}, dates={"d": "%d.%m.%Y"})[0][0]["d"] == "31.02.2025"
    with pytest.raises(SchemaError, match=r"format\.dates names 'day', which the data does not have"):
        loaded(b"n,d\n1,2\n", dates={"day": "%d.%m.%Y"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dates": {"d": "%d.%m"}}, "not the year"),
        ({"dates": {"d": "%d.%m.%Y %d"}}, "the day twice"),
        ({"dates": {"d": "%d.%m.%Y %M"}}, "gives the minute, but not the hour"),
        ({"dates": {"d": "%d.%m.%Y %I"}}, "but not the half"),
        ({"dates": {"d": "%x"}}, "a directive that is not one of"),
        ({"decimal": ",", "thousands": ","}, "thousands must be"),
        ({"thousands": "0"}, "thousands must be"),
        ({"delimiter": ";;"}, "not one character, nor auto"),
        ({"escape": "\\", "null_values": ("", "\\N")}, "would be read as 'N'"),
        ({"comment": '"'}, "comment must begin"),
    ],
)
def test_specs_that_mean_nothing_are_refused(options: Row, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CsvFormat(type="csv", **options)


# Lines

LINES = [
    (b"title\n\na,b\n1,2\n3\n4,5\n6\n", {"skip_rows": 1}, [5, 7]),
    (b'"a\nb",c\r\n1,2\r\n3\r\n', {}, [4]),
    (b"a,b\r1,2\r3\r", {}, [3]),
    (b"# c\n# c\na,b\n1,2\n3\n", {"comment": "#"}, [5]),
    (b'a,b\n1,"x\ny"\n3\n', {}, [None]),
    (b"a,b\n1,2\n\n3\n", {}, [None]),
    (b"a,b\n1,2\n# c\n3\n", {"comment": "#"}, [None]),
]


@pytest.mark.parametrize(("data", "options", "lines"), LINES)
def test_a_bad_row_is_found_by_its_line_where_that_is_certain(
    data: bytes, options: Row, lines: list[int | None]
) -> None:
    batches = reader(**options).read(io.BytesIO(data))
    assert [reject.line for batch in batches for reject in batch.rejects] == lines


def test_lines_are_right_over_many_blocks_until_a_value_holds_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_format, "BLOCK_BYTES", 512)
    good = [f"{n},{'x' * (n % 40)}" if n % 7 else f"{n}" for n in range(2, 900)]
    data = "\n".join(["a,b", *good, '0,"x\ny"', *(["1"] * 300), "1,2"]).encode()
    rejects = [reject for batch in reader().read(io.BytesIO(data)) for reject in batch.rejects]
    known = [reject for reject in rejects if reject.line is not None]
    assert {reject.row == str(reject.line) for reject in known} == {True}
    assert len(known) > 50
    assert {reject.line for reject in rejects[-200:]} == {None}


# Files that are something else, damaged or too much


def _zip(name: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), "a,b\n1,2\n")
    return held.getvalue()


def _parquet() -> bytes:
    held = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), held)
    return held.getvalue()


FOREIGN = [
    (_zip("a.csv"), "a ZIP archive, not CSV: unpack it"),
    (_zip("xl/workbook.xml"), r"an Office document \(such as .xlsx\), not CSV: save it as CSV"),
    (_parquet(), "a Parquet file, not CSV: set format to parquet"),
    (b"\n <!DOCTYPE html><html>no such file</html>", "an HTML or XML page, not CSV"),
    (b"<?xml version='1.0'?><Error/>", "an HTML or XML page"),
    (
        gzip.compress(gzip.compress(b"a,b\n1,2\n", mtime=0), mtime=0),
        "gzip-compressed, not CSV: set format.compression to auto",
    ),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", r"an Office document \(such as .xls\)"),
]


@pytest.mark.parametrize(("data", "message"), FOREIGN)
def test_a_file_of_another_kind_is_named_as_such(data: bytes, message: str) -> None:
    with pytest.raises(TerminalError, match=message):
        reader().infer(io.BytesIO(data))


def test_a_header_that_looks_like_a_magic_number_is_a_header() -> None:
    assert rows_of(b"ORC,PAR1\n1,2\n") == [{"ORC": "1", "PAR1": "2"}]


TEXT = b"a,b\n" + b"".join(b"%d,%d\n" % (n, n * 7919 % 10007) for n in range(500))
COMPRESSED = {
    "gzip": gzip.compress(TEXT, mtime=0),
    "bz2": bz2.compress(TEXT),
    "zstd": pa.compress(TEXT, codec="zstd", asbytes=True),
}


@pytest.mark.parametrize("name", COMPRESSED)
def test_a_truncated_file_is_an_error_wherever_it_ends(name: str) -> None:
    whole = COMPRESSED[name]
    assert len(rows_of(whole)) == 500
    for end in [5, 20, len(whole) // 2, len(whole) - 9, len(whole) - 1]:
        with pytest.raises(TerminalError, match="Nothing of"):
            rows_of(whole[:end])


class Endless:
    """A stream that opens a quote after some records and never closes it, up to so many bytes."""

    def __init__(self, size: int, start: bytes = b'a,b\n1,2\n3\n5,"') -> None:
        self.start, self.left, self.given = start, size, 0

    def read(self, size: int = -1) -> bytes:
        block, self.start = self.start, b""
        block = block or b"x" * min(size, 1 << 20, self.left)
        self.left -= len(block)
        self.given += len(block)
        return block


@pytest.mark.parametrize("options", [{}, {"comment": "#"}])
def test_a_value_that_never_ends_is_refused_in_bounded_memory(
    monkeypatch: pytest.MonkeyPatch, options: Row
) -> None:
    monkeypatch.setattr(csv_format, "BLOCK_BYTES", 1 << 20)
    stream: Any = Endless(2 << 30)
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        with pytest.raises(TerminalError, match=r"record.* longer than .* bytes, or opens a .* never closed"):
            list(reader(**options).read(stream))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak + pa.total_allocated_bytes() - before < 100 << 20
    assert stream.given < 200 << 20


def test_the_record_that_never_ends_is_named_with_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_format, "BLOCK_BYTES", 1 << 20)
    stream: Any = Endless(1 << 30, b'title\na,b\n1,2\n3,4\n5,"')
    with pytest.raises(TerminalError, match="record 3, which begins on line 5, is longer than 1048576 bytes"):
        list(reader(skip_rows=1).read(stream))


# Speed


def _calls(rows: int, **options: Any) -> int:
    data = b"id;price;name;day;at\n" + b"".join(
        b"%d;%d,5;name %d;%02d.01.2025;2025-01-01 10:00:00\n" % (n, n, n, n % 28 + 1) for n in range(rows)
    )
    profile = cProfile.Profile()
    profile.runcall(_measured, data, options)
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]  # typeshed does not know it


def _measured(data: bytes, options: Row) -> None:
    csv = reader(delimiter=";", decimal=",", dates={"day": "%d.%m.%Y"}, **options)
    schema = csv.infer(io.BytesIO(data))
    cleaning, _ = plan_cleaning(schema, Wanted(), None, Contract("t"), is_file=True, is_text=True)
    for batch in csv.read(io.BytesIO(data)):
        clean(batch, cleaning.spelt(csv.spelling), "u")


@pytest.mark.parametrize("options", [{}, {"comment": "#", "encoding": "auto"}])
def test_no_row_costs_a_python_call(options: Row) -> None:
    _calls(10, **options)
    few, many = _calls(1_000, **options), _calls(41_000, **options)
    assert many - few < 500, "calls per 40,000 rows in one block"


def test_arrow_reads_only_a_few_blocks_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a large file would be read into memory as fast as it comes, thirty blocks at a time."""
    monkeypatch.setattr(csv_format, "BLOCK_BYTES", 4096)
    read, given, ahead = Blocks.read, [0], []

    def counted(blocks: Blocks, size: int = -1) -> bytes:
        block = read(blocks, size)
        ahead.append(len(blocks.lines) - 1 - given[0])
        return block

    monkeypatch.setattr(Blocks, "read", counted)
    data = b"a,b\n" + b"1,some text\n" * 20_000
    for batch in reader().read(io.BytesIO(data)):
        time.sleep(0.005)  # Arrow's thread could read all the rest meanwhile
        given[0] += 1
        assert batch.rows.num_rows

    assert len(ahead) > 50
    assert max(ahead) <= MOST_AHEAD + 2  # of those given, one is looked at and one is kept back
