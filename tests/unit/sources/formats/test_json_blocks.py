"""Blocks of lines that Arrow parses say the same as the same lines parsed one by one."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
import simplejson
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_factory.errors import SchemaError, TerminalError
from etl_factory.schema.contract import Contract
from etl_factory.schema.rows import Batch
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
OTHERS = (
    Field("i", "STRING"),
    Field("n", "FLOAT64"),
    Field("b", "STRING"),
    Field("t", "STRING"),
    Field("f", "NUMERIC"),
)
DOCUMENTS = (Field("i", "INT64"), Field("f", "JSON"), Field("s", "JSON"))
VALUES = {
    "i": ["1", "-0", "9223372036854775807", "1000000000000001", "null"],
    "n": [
        "1.50",
        "2",
        "1e3",
        "123456789012345678901234567.5",
        "0.1234567890123",
        "12345678.12345678",
        "-0.0",
        "null",
    ],
    "f": [
        "0.30000000000000004",
        "1e-7",
        "-2.5E+2",
        "1e300",
        "-0",
        "0.1000000000000000055511151231257827",
        "null",
    ],
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


def loaded(
    data: bytes, held: tuple[Field, ...] | None, how: str, nested: Any = "json", columns: Any = "evolve"
) -> Any:
    """Return the guess, the clean rows and the bad ones, or what cannot be a table."""
    reader = JsonLines(JsonLinesFormat(type="jsonl", nested=nested))
    seen = list(Json.look(reader, io.BytesIO(data)) if how == "one by one" else reader.look(io.BytesIO(data)))
    schema = seen[-1].shown if seen else pa.schema([])
    if not schema.names:
        return schema, [], []
    try:
        wanted = Wanted(records=nested == "record")
        cleaning, _ = plan_cleaning(
            schema, wanted, held, Contract("t", columns=columns), is_file=True, is_text=True
        )
    except SchemaError as error:
        return schema, str(error), []
    rows, bad = [], []
    looked_at = [of.batch for of in seen] if how == "looked at" else None
    for batch in read(reader, data, cleaning.wanted, how, looked_at):
        done = clean(batch, cleaning, "u")
        rows += done.rows.to_pylist()
        bad += [(of.record, of.column, of.reason, of.value, of.row) for of in (*batch.rejects, *done.rejects)]
    return schema, rows, sorted(bad)


def read(
    reader: JsonLines, data: bytes, wanted: pa.Schema, how: str, looked_at: list[Batch] | None
) -> Iterable[Batch]:
    if how == "one by one":
        return reader.read(io.BytesIO(data))
    taken = [reader.taken_as(batch, wanted) for batch in looked_at or ()]
    return (
        [batch for batch in taken if batch]
        if all(taken) and taken
        else reader.read_as(io.BytesIO(data), wanted)
    )


lines = st.fixed_dictionaries({}, optional={key: st.sampled_from(values) for key, values in VALUES.items()})
objects = lines.map(lambda line: "{" + ", ".join(f'"{key}":{value}' for key, value in line.items()) + "}")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(objects, min_size=1, max_size=25),
    st.lists(st.sampled_from(ODD), max_size=2),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([None, HELD, OTHERS, DOCUMENTS]),
    st.sampled_from(["evolve", "discard_row", "discard_value"]),
    st.randoms(),
)
def test_a_block_says_what_its_lines_say(
    good: list[str], odd: list[str], end: str, held: tuple[Field, ...] | None, mode: str, random: Any
) -> None:
    texts = good * 4 + odd
    random.shuffle(texts)
    data = end.join(texts).encode(errors="surrogateescape")
    slow, *fast = (loaded(data, held, how, columns=mode) for how in ("one by one", "by block", "looked at"))
    for found in fast:
        assert found[0].equals(slow[0], check_metadata=True)
        assert found[1:] == slow[1:]


@pytest.mark.parametrize("mode", ["evolve", "discard_row", "discard_value"])
@pytest.mark.parametrize("held", [(Field("id", "INT64"), Field("s", "STRING")), (Field("n", "JSON"),)])
def test_a_rejected_row_is_shown_as_it_stands_in_the_file(held: tuple[Field, ...], mode: str) -> None:
    lines = [*['{"id":1,"s":"x","n":1.5}'] * 40, '{"id":1,"s":"x"}', '{"n":0.1234567890123456789,"id":2}']
    data = "\n".join(lines).encode()
    slow, *fast = (loaded(data, held, how, columns=mode) for how in ("one by one", "by block", "looked at"))
    assert fast == [slow, slow]


@pytest.mark.parametrize("number", ["7", "7.5"])
def test_digits_inside_a_text_are_no_number(number: str) -> None:
    """Between two texts stands what may be the beginning of a key, if its own spelling has escapes."""
    plain = ['{"q":1.5,"x,":"s"}'] * 3
    data = "\n".join([*plain, f'{{"\\u003a":{number},"x,":":5"}}']).encode()
    slow, *fast = (
        loaded(data, (Field("x_", "STRING"),), how) for how in ("one by one", "by block", "looked at")
    )
    assert fast == [slow, slow]
    assert Decimal(number) in slow[1][-1].values()


numbers = (
    st.integers() | st.floats(allow_nan=True) | st.decimals(allow_nan=False, allow_infinity=False, places=5)
)
texts = st.text(max_size=4) | st.dates().map(str) | st.datetimes().map(str)
plain = st.none() | st.booleans() | numbers | texts
parted = plain | st.lists(plain, max_size=2) | st.dictionaries(texts, plain, max_size=2)
# Few keys and kinds in a file, so that most of its lines are of the types guessed so far.
columns = st.dictionaries(
    st.sampled_from(["a", "ż", 'q"', "\\", "a b", ""]) | st.text(max_size=3),
    st.sampled_from(
        [
            numbers,
            numbers,
            st.integers(-9, 9),
            st.booleans(),
            texts,
            texts,
            st.dates().map(str),
            plain,
            parted,
        ]
    ),
    max_size=4,
)
records = columns.flatmap(
    lambda of: st.lists(
        st.fixed_dictionaries({}, optional={k: v | st.none() for k, v in of.items()}), max_size=12
    )
)


@settings(max_examples=60, deadline=None)
@given(
    records,
    st.booleans(),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", "\r :")]),
    st.sampled_from(["json", "record"]),
)
def test_any_record_says_what_it_says_alone(
    rows: list[dict[str, Any]], ascii_only: bool, separators: tuple[str, str], nested: Any
) -> None:
    spell = simplejson.JSONEncoder(
        ensure_ascii=ascii_only, separators=separators, use_decimal=True, allow_nan=True
    )
    data = "\n".join(map(spell.encode, rows * 3)).encode(errors="surrogatepass")
    slow, *fast = (loaded(data, None, how, nested) for how in ("one by one", "by block", "looked at"))
    for found in fast:
        assert found[0].equals(slow[0], check_metadata=True)
        assert found[1:] == slow[1:]


TYPES = pa.schema([("i", pa.int64()), ("n", pa.float64()), ("s", pa.string()), ("b", pa.bool_())])


def test_lines_of_the_types_asked_for_are_parsed_as_such() -> None:
    text = '{"i":1,"n":0.10,"s":"ż"}\r\n{"b":true,"s":null}\n{}\n'.encode()
    rows = Lines(1, text).parsed(TYPES)
    assert rows is not None
    assert rows.to_pylist() == [
        {"i": 1, "n": "0.10", "s": "ż", "b": None},
        {"i": None, "n": None, "s": None, "b": True},
        {"i": None, "n": None, "s": None, "b": None},
    ]


@pytest.mark.parametrize("line", [line for line in ODD if line not in ('{"n":1e30}', "{}")])
def test_a_line_of_anything_else_is_not(line: str) -> None:
    text = f'{{"i":1}}\n{line}\n{{"i":2}}\n'.encode(errors="surrogateescape")
    assert Lines(1, text).parsed(TYPES) is None


NUMBERS = [
    "5150691733384155781985955468598", "78955483748735378590043761269314.628", "9343.174773488696796073e30",
    "-9070.60430500e-70", "37870.43e-100", "1.50", "0", "-0", "-0.0", "0e5", "1E3", "9" * 300, "0." + "0" * 50 + "1",
]  # fmt: skip


@pytest.mark.parametrize("key", ["n", 'ż"n', "", "a b", "\\", "n.*", "x{, "])
@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_has_the_digits_of_its_line(number: str, key: str) -> None:
    name = json.dumps(key, ensure_ascii=False)
    others = f'"n2":7,"s":"{{{name[1:-1]}\\":8","2n": 9'
    text = (
        f"{{{name}:null,{others}}}\n{{{others}, {name} :\t{number}}}\n{{{others}}}\n{{{name}:7}}\n".encode()
    )
    types = pa.schema([(key, pa.float64()), ("n2", pa.int64()), ("s", pa.string()), ("2n", pa.float64())])
    parsed, slow = Lines(1, text).parsed(types), next(READER.read(io.BytesIO(text)))
    assert parsed is not None
    assert parsed.column(key).to_pylist() == slow.rows.column(key).to_pylist()
    assert parsed.column("2n").to_pylist() == slow.rows.column("2n").to_pylist()


@pytest.mark.parametrize(
    "value", ["NaN", "-Infinity", "1e400", "9" * 5000, '"2.5"', "[1]", "{}", "true", "01"]
)
def test_what_is_no_number_of_digits_is_not_taken_for_one(value: str) -> None:
    text = f'{{"n":1}}\n{{"n":{value}}}\n'.encode()
    assert Lines(1, text).parsed(pa.schema([("n", pa.float64())])) is None


def test_a_number_whose_key_has_escapes_is_not_missed() -> None:
    text = b'{"n":1}\n{"\\u006e":2,"s":"n"}\n'
    assert Lines(1, text).parsed(pa.schema([("n", pa.float64()), ("s", pa.string())])) is None


def test_blocks_are_whole_lines_and_number_them() -> None:
    data = b"\xef\xbb\xbf" + b"\n".join(b"x" * (number % 300) for number in range(1000))
    found = list(_json_blocks.blocks(pa.PythonFile(io.BytesIO(data), mode="r")))
    assert b"".join(lines.text for lines in found) == data[3:]
    assert len(found) > 100
    seen = 1
    for lines in found:
        assert lines.number == seen
        seen += lines.text.count(b"\n")


SEEN = b"".join(
    b'{"i":%d,"n":%d.50,"f":1e-%d,"s":"x%d","d":"2025-01-0%d","z":null}\n' % (n, n, n % 9, n, n % 9 + 1)
    for n in range(200)
)
WANTED = pa.schema(
    {"i": pa.decimal128(38, 9), "n": pa.decimal256(76, 38), "f": pa.float64(), "s": pa.string(), "d": pa.date32(),
     "z": pa.int64()}
)  # fmt: skip


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """The batches of a file of several blocks, looked at."""
    monkeypatch.setattr(_json_blocks, "BLOCK", 4000)
    return [found.batch for found in READER.look(io.BytesIO(SEEN))]


def test_what_was_looked_at_comes_in_the_wanted_types(seen: list[Batch]) -> None:
    batches = [taken for batch in seen if (taken := READER.taken_as(batch, WANTED))]
    typed = [batch for batch in batches if batch.keys is None]
    assert len(typed) > 1
    for batch in typed:
        of = dict(zip(batch.rows.schema.names, batch.rows.schema.types, strict=True))
        assert of == dict(zip(WANTED.names, WANTED.types, strict=True)) | {"n": pa.json_()}
    assert [number for batch in batches for number in batch.records.to_pylist()] == list(range(1, 201))


@pytest.mark.parametrize(
    ("name", "type_", "fits"),
    [
        ("s", pa.int64(), False),
        ("d", pa.json_(), False),
        ("i", pa.list_(pa.int64()), False),
        ("f", pa.decimal128(38, 9), True),
        ("z", pa.json_(), True),
        ("i", pa.string(), True),
    ],
)
def test_what_does_not_fit_or_has_parts_is_read_again(
    seen: list[Batch], name: str, type_: pa.DataType, fits: bool
) -> None:
    wanted = WANTED.set(WANTED.get_field_index(name), pa.field(name, type_))
    assert all(READER.taken_as(batch, wanted) for batch in seen) == fits


@pytest.mark.parametrize("place", [0, 5, 100, 199])
def test_blocks_parsed_at_once_are_seen_in_their_order(monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    """A line that changes a type meets blocks after it that are being parsed by the types before."""
    monkeypatch.setattr(_json_blocks, "BLOCK", 400)
    lines = SEEN.splitlines(keepends=True)
    lines[place] = b'{"i":1.5,"n":"x","f":true,"s":7,"d":1,"z":[1],"new":1}\n'
    found = list(READER.look(io.BytesIO(b"".join(lines))))
    slow = list(Json.look(READER, io.BytesIO(b"".join(lines))))
    assert found[-1].shown.equals(slow[-1].shown, check_metadata=True)
    assert [number for of in found for number in of.batch.records.to_pylist()] == list(range(1, 201))


def test_a_damaged_file_is_told_whichever_thread_finds_it() -> None:
    damaged = gzip.compress(SEEN * 2000)[:-20]
    for read in (READER.look(io.BytesIO(damaged)), READER.read_as(io.BytesIO(damaged), WANTED)):
        with pytest.raises(TerminalError, match="damaged"):
            list(read)


def test_compressed_lines_are_cut_as_others_are() -> None:
    def rows(data: bytes) -> list[Any]:
        return [row for batch in READER.read_as(io.BytesIO(data), WANTED) for row in batch.rows.to_pylist()]

    assert rows(gzip.compress(SEEN)) == rows(SEEN)
