"""JSON Lines and JSON arrays: exact values, and every broken record counted where it stands."""

from __future__ import annotations

import bz2
import gzip
import io
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_factory.errors import TerminalError
from etl_factory.schema.contract import Contract
from etl_factory.schema.sanitize import clean, plan_cleaning
from etl_factory.schema.types import Field
from etl_factory.schema.wanted import Wanted
from etl_factory.sources.formats import _json_batches, _json_text
from etl_factory.sources.formats.json import Json, JsonLines, JsonObjects
from etl_factory.sources.specs import JsonFormat, JsonLinesFormat


def lines(**options: Any) -> JsonLines:
    return JsonLines(JsonLinesFormat(type="jsonl", **options))


def array(**options: Any) -> JsonObjects:
    return JsonObjects(JsonFormat(type="json", **options))


def rows_of(reader: Json, data: bytes) -> list[dict[str, Any]]:
    batches = list(reader.read(io.BytesIO(data)))
    assert [reject for batch in batches for reject in batch.rejects] == []
    return [row for batch in batches for row in batch.rows.to_pylist()]


def counted(reader: Json, data: bytes) -> tuple[list[int], list[tuple[int, int | None, str]]]:
    batches = list(reader.read(io.BytesIO(data)))
    assert all(batch.rows.num_rows == len(batch.records) for batch in batches)
    rejects = [(r.record, r.line, r.reason) for batch in batches for r in batch.rejects]
    return [number for batch in batches for number in batch.records.to_pylist()], rejects


def infer(reader: Json, data: bytes) -> dict[str, pa.DataType]:
    schema = reader.infer(io.BytesIO(data))
    return dict(zip(schema.names, schema.types, strict=True))


A, B = {"a": "1", "b": '"x"'}, {"a": None, "b": '"ż"'}
LINES = [
    ('{"a":1,"b":"x"}\n{"b":"ż"}\n'.encode(), {}),
    ('{"a":1,"b":"x"}\r\n{"b":"ż"}'.encode(), {}),
    ('\n{"a": 1, "b": "x"}\n   \n\n{"a":null,"b":"ż"}\n\n'.encode(), {}),
    ('\ufeff{"a":1,"b":"x"}\n{"b":"ż"}'.encode(), {}),
    ('\ufeff{"a":1,"b":"x"}\n{"b":"ż"}'.encode(), {"encoding": "UTF8"}),
    ('{"a":1,"b":"x"}\n{"b":"ż"}'.encode("cp1250"), {"encoding": "windows-1250"}),
    ('{"a":1,"b":"x"}\n{"b":"ż"}'.encode("utf-16"), {"encoding": "utf-16"}),
    (gzip.compress('{"a":1,"b":"x"}\n{"b":"ż"}'.encode(), mtime=0), {}),
    (bz2.compress('{"a":1,"b":"x"}\n{"b":"ż"}'.encode()), {}),
    (pa.compress('{"a":1,"b":"x"}\n{"b":"ż"}'.encode(), codec="zstd", asbytes=True), {"compression": "zstd"}),
]


@pytest.mark.parametrize(("data", "options"), LINES)
def test_lines(data: bytes, options: dict[str, Any]) -> None:
    assert rows_of(lines(**options), data) == [A, B]


ARRAYS = [
    ('[{"a":1,"b":"x"},{"b":"ż"}]'.encode(), {}),
    ('\r\n [ {"a" : 1,\n"b":"x"} ,\t{"b":"ż"} ] \n'.encode(), {}),
    (b" " * 1000 + '[{"a":1,"b":"x"},{"b":"ż"}]'.encode(), {}),
    ('\ufeff[{"a":1,"b":"x"},{"b":"ż"}]'.encode(), {}),
    ('[{"a":1,"b":"x"},{"b":"ż"}]'.encode("cp1250"), {"encoding": "windows-1250"}),
    ('[{"a":1,"b":"x"},{"b":"ż"}]'.encode("utf-16"), {"encoding": "utf-16"}),
    (gzip.compress('[{"a":1,"b":"x"},{"b":"ż"}]'.encode(), mtime=0), {}),
    (
        pa.compress('[{"a":1,"b":"x"},{"b":"ż"}]'.encode(), codec="zstd", asbytes=True),
        {"compression": "zstd"},
    ),
    # One after the other, with anything blank between, or nothing.
    ('{"a":1,"b":"x"}{"b":"ż"}'.encode(), {}),
    ('\ufeff{"a":1,"b":"x"}\n{"b":"ż"}\n'.encode(), {}),
    ('\n{\n  "a": 1,\n  "b": "x"\n}\r\n\t {\n  "b":\n"ż"\n}\n\n'.encode(), {}),
    (gzip.compress('{"a":1,"b":"x"} {"b":"ż"}'.encode(), mtime=0), {}),
]


@pytest.mark.parametrize(("data", "options"), ARRAYS)
def test_arrays(data: bytes, options: dict[str, Any]) -> None:
    assert rows_of(array(**options), data) == [A, B]


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)])
@pytest.mark.parametrize("reader", [lines(), array()], ids=["jsonl", "json"])
def test_an_empty_file_has_no_columns(reader: Json, data: bytes) -> None:
    assert rows_of(reader, data) == []
    assert infer(reader, data) == {}


@pytest.mark.parametrize("data", [b"[]", b" [ \n ] "])
def test_an_empty_array(data: bytes) -> None:
    assert rows_of(array(), data) == []


@pytest.mark.parametrize(
    ("reader", "data"), [(lines(), b"{}\n{}\n"), (array(), b"[{},{}]")], ids=["jsonl", "json"]
)
def test_empty_objects_are_records(reader: Json, data: bytes) -> None:
    assert rows_of(reader, data) == [{}, {}]
    assert counted(reader, data) == ([1, 2], [])


VALUES = [
    ("5", "5"),
    ("-0", "0"),
    ("1.50", "1.50"),
    ("1e3", "1000"),
    ("1E-7", "0.0000001"),
    ("1e400", "1E+400"),
    ("123456789012345678901234567890", "123456789012345678901234567890"),
    ("0.1234567890123456789012345678901234567", "0.1234567890123456789012345678901234567"),
    ("9" * 4000, "9" * 4000),
    ("true", "true"),
    ("null", None),
    ('"5"', '"5"'),
    ('""', '""'),
    ('"a\\u00e9\\n\\"\\\\"', '"aé\\n\\"\\\\"'),
    ('"\\ud83d\\ude00"', '"😀"'),
    ('{"x": [1, 2.50, null, 12345678901234567890123]}', '{"x":[1,2.50,null,12345678901234567890123]}'),
    ("[]", "[]"),
    ("[1e400]", "[1E+400]"),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_values_keep_every_digit(text: str, value: str | None) -> None:
    record = f'{{"a": {text}, "b": 0}}'
    for reader, data in ((lines(), record + "\n"), (array(), f"[{record}]")):
        (row,) = rows_of(reader, data.encode())
        assert row["a"] == value
        assert value is None or json.loads(value, parse_int=str, parse_float=float) is not None


BROKEN = [
    (b'{"a":', "not JSON: Expecting value at character 6"),
    (b'{"a":1} {"a":2}', "text after the object"),
    (b'{"a":1},', "text after the object"),
    (b'{"a":NaN}', "not JSON: Expecting value at character 6"),
    (b'{"a":Infinity}', "not JSON: Expecting value at character 6"),
    (b"{'a':1}", "not JSON"),
    (b'{"a":"x\ty"}', "not JSON"),
    (b"hello", "not JSON: Expecting value at character 1"),
    (b"[1]", "an array where an object was expected"),
    (b"5", "a number where an object was expected"),
    (b"1.5", "a number where an object was expected"),
    (b'"x"', "a string where an object was expected"),
    (b"true", "a boolean where an object was expected"),
    (b"null", "null where an object was expected"),
    (b'{"a":1,"a":2}', "a key stands twice in one object"),
    (b'{"a":{"b":1,"b":1}}', "a key stands twice in one object"),
    (b'{"a":"\\ud800"}', "bytes or escapes that are no Unicode text"),
    (b'{"\\udc00":1}', "bytes or escapes that are no Unicode text"),
    (b'{"a":{"b":["\\ud800"]}}', "bytes or escapes that are no Unicode text"),
    (b'{"a":"\xff"}', "bytes or escapes that are no Unicode text"),
    (b'{"a":' + b"9" * 5000 + b"}", "a number of more digits, or of a greater exponent, than can be read"),
    (b'{"a":[{"b":-' + b"9" * 5000 + b"}]}", "a number of more digits, or of a greater"),
    (b'{"a":1e-99999999999999999999}', "a number of more digits, or of a greater"),
    (b'{"a":[0e99999999999999999999]}', "a number of more digits, or of a greater"),
    (b"[" * 100_000, "nested too deeply"),
    (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
]


@pytest.mark.parametrize(("line", "reason"), BROKEN)
def test_a_broken_line_is_a_reject_with_its_number(line: bytes, reason: str) -> None:
    data = b'{"a":1}\n\n' + line + b'\n{"a":2}\n'
    records, rejects = counted(lines(), data)
    assert records == [1, 4]
    ((record, number, why),) = rejects
    assert (record, number) == (3, 3)
    assert why.startswith(reason)
    assert infer(lines(), data) == {"a": pa.int64()}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'  {"a": tru}\n', "not JSON: Expecting value at character 9"),
        (b'\t{"a": 1} ,\r\n', "text after the object at character 10"),
        (
            '{"ż": "😀", }'.encode(),
            "not JSON: Illegal trailing comma before end of object at character 10",
        ),
    ],
)
def test_a_broken_line_says_at_which_character(line: bytes, reason: str) -> None:
    assert counted(lines(), b'{"a":1}\n' + line)[1] == [(2, 2, reason)]


def test_one_object_is_a_file_too() -> None:
    assert rows_of(array(), b'{\n"a": 1\n}') == [{"a": "1"}]


def test_a_reject_keeps_the_line_in_a_form_that_can_be_stored() -> None:
    (batch,) = lines().read(io.BytesIO(b'{"a":"\xff"}\n{"a":\n'))
    assert [reject.row for reject in batch.rejects] == ['{"a":"\\udcff"}', '{"a":']
    assert pa.array([reject.row + reject.reason for reject in batch.rejects]).null_count == 0


def test_broken_elements_of_an_array_are_rejects_too() -> None:
    data = (
        b'[{"a":1},5,null,"x",[1,{"a":2}],{"a":1,"a":2},{"a":"\\ud800"},{"a":' + b"9" * 5000 + b'},{"a":2}]'
    )
    records, rejects = counted(array(), data)
    assert records == [1, 9]
    assert [record for record, _, _ in rejects] == [2, 3, 4, 5, 6, 7, 8]
    assert {line for _, line, _ in rejects} == {1}


@pytest.mark.parametrize("cut", ['[{0},\n\n5,\n{0},[\n1],\n"x"]', '{0}\n\n5\n{0}[\n1]\n"x"'])
@pytest.mark.parametrize("stretch", [1, 7, 65536])
def test_an_element_that_is_no_object_is_a_reject_with_its_line(
    cut: str, stretch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_json_text, "STRETCH", stretch)
    text = cut.replace("{0}", '{"a":\n1}')
    records, rejects = counted(array(), text.encode())
    assert records == [1, 3]
    assert [(record, line) for record, line, _ in rejects] == [(2, 4), (4, 6), (5, 8)]


NO_ARRAYS = [
    (b"x", "the file begins with 'x', not with the \\[ of a JSON array or the { of an object.*format: jsonl"),
    (b'{"a":1}\n\n{"a":\n', "after element 1 \\(line 3\\): Expecting value"),
    (b'{"a":1},{"a":2}', "after element 1 \\(line 1\\): Expecting value"),
    (b'{"a":1}]', "after element 1 .*: Expecting value"),
    (b'{"a":1} {"a":tru}', "after element 1 .*: Expecting value"),
    (b'{"a":1', "after element 0 .*"),
    (b"5", "the file begins with '5'"),
    (b"\xff\xfe", "the file begins with"),
    (b'[{"a":1}', "after element 1 .*: the file ends"),
    (b'[{"a":1},', "after element 1 .*: Expecting value"),
    (b'[{"a":1},]', "after element 1 .*: Expecting value"),
    (b"[,]", "after element 0 .*: Expecting value"),
    (b'[{"a":1},{"a":', "after element 1 .*: "),
    (b'[{"a":1} {"a":2}]', "after element 1 .*: '{' where , or ] was expected"),
    (b'[{"a":1}]]', "after element 1 .*: ']' after the end of the array"),
    (b'[{"a":1}][{"a":2}]', "after element 1 .*: '\\[' after the end of the array"),
    (b'[{"a":1}]\x00', "after element 1 .*: .* after the end of the array"),
    (b'[{"a":NaN}]', "after element 0 .*: Expecting value"),
    (b'[{"a":1} /* x */]', "after element 1 .*: '/' where"),
    (
        b'[{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
        "after element 0 .*: the next element is nested too deeply",
    ),
    (b"[" * 100_000, "after element 0 .*: the next element is nested too deeply"),
    (b"[", "after element 0 .*: Expecting value"),
]


@pytest.mark.parametrize(("data", "message"), NO_ARRAYS)
def test_text_that_is_no_array_ends_the_run(data: bytes, message: str) -> None:
    for act in (lambda: counted(array(), data), lambda: infer(array(), data)):
        with pytest.raises(TerminalError, match=message):
            act()


@pytest.mark.parametrize("reader", [lines(), array()], ids=["jsonl", "json"])
def test_a_cut_file_is_no_short_file(reader: Json) -> None:
    text = ",\n".join(f'{{"a":{number * 7919 % 1000003}}}' for number in range(50_000))
    data = gzip.compress(
        f"[{text}]".encode() if isinstance(reader, JsonObjects) else text.replace(",\n", "\n").encode()
    )
    assert len(counted(reader, data)[0]) == 50_000
    with pytest.raises(TerminalError, match="damaged"):
        counted(reader, data[: len(data) // 2])


INFERRED = [
    (["1", "9223372036854775807"], pa.int64()),
    (["1", "2.5"], pa.decimal128(38, 9)),
    (["1", "1e-20"], pa.decimal256(76, 38)),
    (["1.5", "1e-50"], pa.float64()),
    (["1e-50", "0.12345678901234567890123"], pa.string()),
    (["9" * 50], pa.string()),
    (["true", "null"], pa.bool_()),
    (['"2025-01-31"', "null"], pa.date32()),
    (['"2025-01-31T10:00:00Z"'], pa.timestamp("us", "UTC")),
    (['"5"'], pa.string()),
    (['"true"'], pa.string()),
    (["1", '"1"'], pa.string()),
    (["true", "1"], pa.string()),
    (["{}", "1"], pa.json_()),
    (['"x"', "[1]"], pa.json_()),
    (["null", "null"], pa.null()),
]


@pytest.mark.parametrize(("values", "type_"), INFERRED)
@pytest.mark.parametrize("chunk", [1, 20_000])
def test_a_guess_is_the_same_however_records_are_cut(
    values: list[str], type_: pa.DataType, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_json_batches, "BATCH_ROWS", chunk)
    for order in (values, values[::-1]):
        data = "\n".join(f'{{"a": {value}}}' for value in order).encode()
        assert infer(lines(), data) == {"a": type_}


def staged(data: bytes, published: str | None = None) -> list[Any]:
    reader = lines()
    held = (Field("a", published),) if published else None
    schema = reader.infer(io.BytesIO(data))
    cleaning, _ = plan_cleaning(schema, Wanted(), held, Contract("t"), is_file=True, is_text=True)
    done = [clean(batch, cleaning, "u") for batch in reader.read(io.BytesIO(data))]
    assert not any(part.rejects for part in done)
    return [row["a"] for part in done for row in part.rows.to_pylist()]


def test_a_string_stays_a_string_where_a_column_is_json() -> None:
    data = b'{"a":"5"}\n{"a":5}\n{"a":{"x":"y"}}\n{"a":"z"}\n{"a":null}\n'
    assert staged(data) == ['"5"', "5", '{"x":"y"}', '"z"', None]
    assert staged(b'{"a":"5"}\n', published="JSON") == ['"5"']


def test_a_string_is_its_own_text_in_any_other_column() -> None:
    assert staged(b'{"a":"x\\"y"}\n{"a":"2025-01-31"}\n') == ['x"y', "2025-01-31"]
    assert staged(b'{"a":"5"}\n', published="INT64") == [5]


def test_chunks_are_bounded_by_characters_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_json_batches, "BATCH_CHARACTERS", 1000)
    data = b"".join(b'{"a":"' + b"x" * 300 + b'"}\n' for _ in range(20))
    sizes = [batch.rows.num_rows for batch in lines().read(io.BytesIO(data))]
    assert sum(sizes) == 20
    assert max(sizes) <= 4


def test_elements_longer_than_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_json_text, "STRETCH", 3)
    values = [{"a": 12345, "b": "x" * 50}, {"a": -1, "b": "[]{}"}, {}]
    rows = rows_of(array(), json.dumps(values, indent=3).encode())
    assert rows == [{"a": "12345", "b": f'"{"x" * 50}"'}, {"a": "-1", "b": '"[]{}"'}, {"a": None, "b": None}]


def test_numbers_cut_by_the_window_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_json_text, "STRETCH", 1)
    assert counted(array(), b"[12345,67]")[1] == [
        (1, 1, "a number where an object was expected"),
        (2, 1, "a number where an object was expected"),
    ]


def test_an_element_without_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_json_text, "LONGEST_ELEMENT", 1000)
    data = io.BytesIO(b'[{"a":"' + b"x" * 1_000_000)
    with pytest.raises(TerminalError, match=r"after element 0 .*: Unterminated string"):
        list(array().read(data))
    assert data.tell() < 500_000


keys = st.text(st.characters(exclude_categories=("Cs",)), max_size=3)
scalars = st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=("Cs",)))
nested = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)
)


@given(st.lists(st.dictionaries(keys, nested, max_size=3), max_size=5), st.booleans())
def test_what_python_writes_comes_back(records: list[dict[str, Any]], ascii_only: bool) -> None:
    texts = [json.dumps(record, ensure_ascii=ascii_only) for record in records]
    for reader, text in ((lines(), "\n".join(texts)), (array(), f"[{','.join(texts)}]")):
        rows = rows_of(reader, text.encode())
        found = [{key: json.loads(value) for key, value in row.items() if value is not None} for row in rows]
        assert found == [
            {key: value for key, value in record.items() if value is not None} for record in records
        ]
