"""Blocks of lines that Arrow parses say the same as the same lines parsed one by one."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_factory.schema.contract import Contract
from etl_factory.schema.sanitize import clean, plan_cleaning
from etl_factory.schema.types import Field
from etl_factory.schema.wanted import Wanted
from etl_factory.sources.formats import _json_blocks
from etl_factory.sources.formats import json as json_format
from etl_factory.sources.formats._json_blocks import Lines
from etl_factory.sources.formats.json import Json, JsonLines
from etl_factory.sources.specs import JsonLinesFormat

READER = JsonLines(JsonLinesFormat(type="jsonl"))
HELD = (Field("i", "NUMERIC"), Field("n", "BIGNUMERIC"), Field("s", "STRING"), Field("d", "DATE"))
VALUES = {
    "i": ["1", "-0", "9223372036854775807", "1000000000000001", "null"],
    "n": ["1.5", "2", "1e3", "123456789012345678901234567.5", "0.1234567890123", "12345678.12345678", "null"],
    "s": ['"x"', '"é\\n"', '"\\u00e9"', '"\\ud83d\\ude00"', '"5"', "null"],
    "b": ["true", "false", "null"],
    "d": ['"2025-01-31"', '"2025-02-31"', "null"],
    "t": ['"2025-01-31T10:00:00Z"', '"2025-01-31 10:00:00.5+02:00"', "null"],
}
ODD = [
    '{"i":1,"i":2}', '{"i":', '{"i":1} {"i":2}', '{"zz":1}', '{"s":"\\ud800"}', "[1]", "", '  {"i": 3}  ', '{"i":"5"}',
    '{"n":"2.5"}', '{"\\u006e":"2.5"}', '{"i":1.0}', '{"s":5}', '{"n":NaN}', '{"n":1e400}', '{"n":1e30}', '{"b":1}',
    '{"i":18446744073709551616}', '{"s":{"q":1}}', '{"s":"\udcff"}', '{"n":"1.5"}\r', "{}",
]  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_json_blocks, "BLOCK", 400)
    monkeypatch.setattr(json_format, "ONE_BY_ONE", 40)


def loaded(data: bytes, held: tuple[Field, ...] | None, *, one_by_one: bool) -> Any:
    """Return the guess, the clean rows and the bad ones; numbers that are staged as text by their value."""
    schema = Json.infer(READER, io.BytesIO(data)) if one_by_one else READER.infer(io.BytesIO(data))
    if not schema.names:
        return schema, [], []
    cleaning, _ = plan_cleaning(schema, Wanted(), held, Contract("t"), is_file=True, is_text=True)
    big = {field.name for field in cleaning.staged if field.type == "BIGNUMERIC"}
    stream = io.BytesIO(data)
    rows, bad = [], []
    for batch in READER.read(stream) if one_by_one else READER.read_as(stream, cleaning.wanted):
        done = clean(batch, cleaning, "u")
        rows += [
            {name: Decimal(v) if v and name in big else v for name, v in row.items()}
            for row in done.rows.to_pylist()
        ]
        bad += [(of.record, of.column, of.reason, of.value, of.row) for of in (*batch.rejects, *done.rejects)]
    return schema, rows, sorted(bad)


lines = st.fixed_dictionaries({}, optional={key: st.sampled_from(values) for key, values in VALUES.items()})
objects = lines.map(lambda line: "{" + ", ".join(f'"{key}":{value}' for key, value in line.items()) + "}")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(objects, min_size=1, max_size=25),
    st.lists(st.sampled_from(ODD), max_size=2),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([None, HELD]),
    st.randoms(),
)
def test_a_block_says_what_its_lines_say(
    good: list[str], odd: list[str], end: str, held: tuple[Field, ...] | None, random: Any
) -> None:
    texts = good * 4 + odd
    random.shuffle(texts)
    data = end.join(texts).encode(errors="surrogateescape")
    slow, fast = (loaded(data, held, one_by_one=one_by_one) for one_by_one in (True, False))
    assert fast[0].equals(slow[0], check_metadata=True)
    assert fast[1:] == slow[1:]


TYPES = pa.schema([("i", pa.int64()), ("n", pa.decimal128(38, 9)), ("s", pa.string()), ("b", pa.bool_())])


def test_lines_of_the_types_asked_for_are_parsed_as_such() -> None:
    text = '{"i":1,"n":0.10,"s":"ż"}\r\n{"b":true,"s":null}\n{}\n'.encode()
    rows = Lines(1, text).parsed(TYPES)
    assert rows is not None
    assert rows.to_pylist() == [
        {"i": 1, "n": Decimal("0.1"), "s": "ż", "b": None},
        {"i": None, "n": None, "s": None, "b": True},
        {"i": None, "n": None, "s": None, "b": None},
    ]


@pytest.mark.parametrize("line", [line for line in ODD if line not in ('{"n":"2.5"}', '{"n":"1.5"}\r', "{}")])
def test_a_line_of_anything_else_is_not(line: str) -> None:
    if line != '{"\\u006e":"2.5"}':
        text = f'{{"i":1}}\n{line}\n{{"i":2}}\n'.encode(errors="surrogateescape")
        assert Lines(1, text).parsed(TYPES) is None


WRAPPED = [
    "5150691733384155781985955468598", "78955483748735378590043761269314.628", "9343.174773488696796073e30",
    "-9070.60430500e-70", "37870.43e-100",
]  # fmt: skip


@pytest.mark.parametrize("key", ['"n"', '"\\u006e"'])
@pytest.mark.parametrize("number", [*WRAPPED, '"752876710019839689069324875985"'])
def test_a_number_that_wraps_around_in_a_decimal_is_not_taken_for_another(number: str, key: str) -> None:
    text = f'{{"n":1}}\n{{{key} :\t{number}}}\n'.encode()
    assert Lines(1, text).parsed(pa.schema([("n", pa.decimal128(38, 9))])) is None


def test_a_big_number_that_wraps_around_is_not_taken_for_another() -> None:
    wide = pa.schema([('ż"n', pa.decimal256(76, 38))])
    for whole in range(39, 120):
        assert Lines(1, b'{"\xc5\xbc\\"n": %s}' % (b"7" * whole)).parsed(wide) is None
    assert Lines(1, b'{"\xc5\xbc\\"n": %s}' % (b"7" * 38)).parsed(wide) is not None


@pytest.mark.parametrize(
    "text", ['{"n":"2.5"}', '{"n" :\t"2.5"}', '{"\\u006e":"2.5"}', '{"s":"n\\":","n":"5"}']
)
def test_a_number_in_quotes_is_looked_for(text: str) -> None:
    assert Lines(1, f'{{"n":1}}\n{text}\n'.encode()).may_quote("n")
    assert not Lines(1, b'{"n":1,"s":"n\\t"}\n{"n": 2}\n').may_quote("n")


def test_blocks_are_whole_lines_and_number_them() -> None:
    data = b"\xef\xbb\xbf" + b"\n".join(b"x" * (number % 300) for number in range(1000))
    found = list(_json_blocks.blocks(pa.PythonFile(io.BytesIO(data), mode="r")))
    assert b"".join(lines.text for lines in found) == data[3:]
    assert len(found) > 100
    seen = 1
    for lines in found:
        assert lines.number == seen
        seen += lines.text.count(b"\n")
