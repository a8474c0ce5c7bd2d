"""Files of later loads are read once, and that makes no difference to what is loaded."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import pytest

from etl_factory.config.resource import Resource
from etl_factory.errors import EtlFactoryError
from etl_factory.landing.manifest import Manifest, Part, Plan, dumps, load_manifest
from etl_factory.operators import trial
from etl_factory.operators.drafting import Draft
from etl_factory.operators.sanitizing import Sanitizer
from etl_factory.operators.trial import Trial
from etl_factory.schema.types import Field
from examples import Write
from fakes import LOAD_ID, FakeLanding, manifest_of, resource_of

Published = tuple[Field, ...] | None


@dataclass
class CountingLanding(FakeLanding):
    """A landing bucket that counts how often an object is read."""

    opened: Counter[str] = field(default_factory=Counter)

    def open(self, part: Part) -> IO[bytes]:
        self.opened[part.uri] += 1
        return super().open(part)


@dataclass
class Load:
    """One load of some files, its rows as they would be published, and how often each file was read."""

    manifest: Manifest
    rows: list[dict[str, Any]]
    aside: list[dict[str, Any]]
    reads: set[int]

    @property
    def told(self) -> dict[str, Any]:
        """All that must be the same, however often the files were read."""
        done = self.manifest
        fields = {of["name"]: of["type"] for of in done.fields if of["name"] not in done.extra["unseen"]}
        counts = (done.rows_read, done.rows_staged, done.rows_quarantined)
        return {"fields": fields, "rows": [repr(row) for row in self.rows], "aside": self.aside,
                "ddl": sorted(map(str, done.ddl)), "notes": sorted(done.notes), "counts": counts,
                "files": done.files}  # fmt: skip


def load(
    resource: Resource, contents: dict[str, bytes], published: Published, recorded: str = "", **plan: Any
) -> Load:
    landing = CountingLanding()
    parts = tuple(landing.put_file(name, data) for name, data in contents.items())
    start = manifest_of(
        resource, parts=parts, recorded=recorded, plan=replace(Plan(LOAD_ID, "live", 0, None), **plan)
    )
    done = Sanitizer(resource, landing, start, "sanitize-1").run(published)
    reads = {landing.opened[part.uri] for part in parts}
    unseen = done.extra["unseen"]
    rows = landing.rows(done.parts)
    assert all(row[name] is None for row in rows for name in unseen)
    kept = [{name: row[name] for name in sorted(row) if name not in unseen} for row in rows]
    aside = landing.rows(done.quarantine)
    return Load(done, kept, [of | {"quarantined_at": None} for of in aside], reads)


def grown(published: Published, done: Manifest) -> Published:
    """Return the table's fields after a publish has applied its DDL."""
    fields = list(published or ())
    for change in done.ddl:
        if change["op"] == "create":
            fields = [Field.from_json(of) for of in change["fields"]]
        elif change["op"] == "add":
            fields.append(Field.from_json(change["field"]))
        elif change["op"] == "widen":
            fields = [replace(of, type=change["type"]) if of.name == change["name"] else of for of in fields]
        else:
            fields = [replace(of, mode="NULLABLE") if of.name == change["name"] else of for of in fields]
    return tuple(of for of in fields if not of.name.startswith("_etl_"))


def files(write: Write, spec: str = "", **settings: str) -> Resource:
    shape = {"format": "csv", "load": "transactional", **settings}
    lines = "\n".join(f"{key}: {value}" for key, value in shape.items())
    return resource_of(write, f"path: s3://drops/**\n{lines}\n{spec}", type_="s3")


FIRST = {"a": b"id,amount,note,empty\n1,2,x,\n"}


@pytest.fixture
def orders(write: Write) -> Resource:
    return files(write, max_bad_rows="100%")


def second(resource: Resource, content: bytes, **plan: Any) -> Load:
    first = load(resource, FIRST, None)
    return load(resource, {"b": content}, grown(None, first.manifest), first.manifest.recorded, **plan)


def test_all_loads_read_once(orders: Resource) -> None:
    assert load(orders, FIRST, None).reads == {1}
    found = second(orders, b"id,amount,note,empty\n2,3,y,\n")
    assert found.reads == {1}
    assert [(row["id"], row["amount"], row["note"]) for row in found.rows] == [(2, 3, "y")]
    assert found.manifest.ddl == ()


@pytest.mark.parametrize(
    ("more", "reads"),
    [
        (b"id,amount,note\n2,3,y\n", {1}),
        ("id,amount\n2,é\n".encode("utf-16"), {2}),
        (b"id,amount\n2,3.5\n", {2}),
        (b"id,amount,fresh\n2,3,\n", {2}),
        (b"id,empty\n2,x\n", {2}),
        (b'id\n"x\n', None),
    ],
)
def test_a_first_load_reads_again_what_shows_another_schema_than_its_beginning(
    orders: Resource, monkeypatch: pytest.MonkeyPatch, more: bytes, reads: set[int] | None
) -> None:
    contents = {"a": FIRST["a"], "b": b"", "c": more}
    small, loaded = outcome(orders, contents, None)
    monkeypatch.setattr(trial, "HELD_BYTES", 0)
    large, read = outcome(orders, contents, None)
    assert large == small
    if reads:
        assert loaded and read
        assert (loaded.reads, read.reads) == ({1}, reads)
        assert ("again" in read.manifest.parts[0].uri) == (reads == {2})


def test_what_cannot_be_a_table_by_its_beginning_may_be_one(
    orders: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "HELD_BYTES", 0)
    found = load(orders, {"a": b"empty\n,\n", "b": b"id\n1\n"}, None)
    assert [row["id"] for row in found.rows if row["id"]] == [1]


@pytest.mark.parametrize(
    ("content", "ddl"),
    [
        (b"id,amount,note,fresh\n2,3,y,7\n", [("add", "fresh")]),
        (b"id,amount,note,empty\n2,3,y,1\n", [("add", "empty")]),
        (b"id,amount,note\n2,3.5,y\n", [("widen", "amount")]),
        (b"id,amount,note\n2,99999999999999999999,y\n", [("widen", "amount")]),
        (b"id,amount,note\n2,9223372036854775808,y\n", [("widen", "amount")]),
    ],
)
def test_a_change_has_the_files_read_again(
    orders: Resource, content: bytes, ddl: list[tuple[str, str]]
) -> None:
    found = second(orders, content)
    assert found.reads == {2}
    assert [(op["op"], op.get("name") or op["field"]["name"]) for op in found.manifest.ddl] == ddl
    assert {Path(part.uri).parent.name for part in found.manifest.parts} == {"again"}
    assert (found.manifest.rows_read, found.manifest.rows_staged) == (1, 1)


@pytest.mark.parametrize(
    "number", ["5150691733384155781985955468598", "78955483748735378590043761269314.628"]
)
def test_a_number_beyond_numeric_in_a_later_json_file_is_not_another_number(
    write: Write, number: str
) -> None:
    resource = files(write, format="jsonl")
    first = load(resource, {"a": b'{"n": 1.5}\n'}, None)
    line = f'{{"n": {number}}}\n'.encode()
    found = load(resource, {"b": line}, grown(None, first.manifest), first.manifest.recorded)
    assert [op["op"] for op in found.manifest.ddl] == ["widen"]
    assert [Decimal(row["n"]) for row in found.rows] == [Decimal(number)]


@pytest.mark.parametrize("content", [b"id,amount,note\n2,x,y\n3,4.5,z\n", b"id,amount,note\nx,3,y\n"])
def test_a_value_that_widens_nothing_is_a_bad_row(orders: Resource, content: bytes) -> None:
    found = second(orders, content)
    assert found.reads == {1}
    assert (found.manifest.ddl, found.manifest.rows_read) == ((), content.count(b"\n") - 1)
    assert found.manifest.rows_quarantined == found.manifest.rows_read


def test_a_column_that_no_file_has_is_not_published(orders: Resource) -> None:
    found = second(orders, b"id,amount\n2,3\n")
    assert (found.reads, found.manifest.extra["unseen"]) == ({1}, ("note",))
    assert [note for note in found.manifest.notes if note.startswith("column note of")] == list(
        found.manifest.notes[:1]
    )
    kept = load_manifest(dumps(found.manifest))
    assert [column.field.name for column in Draft(orders, kept).publication(()).columns] == ["id", "amount"]


def test_what_was_recorded_is_joined(orders: Resource) -> None:
    first = load(orders, FIRST, None)
    found = load(orders, {"b": b"fresh,id\n1.5,2\n"}, grown(None, first.manifest), first.manifest.recorded)
    columns = json.loads(found.manifest.recorded)["columns"]
    assert columns == [
        ["id", "int64"], ["amount", "int64"], ["note", "string"], ["empty", "null"], ["fresh", "decimal128(38, 9)"],
    ]  # fmt: skip
    again = load(
        orders,
        {"c": b"id,fresh\n3,1\n"},
        grown(grown(None, first.manifest), found.manifest),
        found.manifest.recorded,
    )
    assert again.reads == {1}
    assert again.manifest.recorded == found.manifest.recorded


@pytest.mark.parametrize("plan", [{"mode": "full_refresh"}, {"row_limit": 5}])
def test_a_full_refresh_starts_anew_and_a_look_records_nothing_of_use(
    orders: Resource, plan: dict[str, Any]
) -> None:
    found = second(orders, b"id,amount\n2,3\n", **plan)
    columns = [name for name, _ in json.loads(found.manifest.recorded)["columns"]]
    assert columns == (["id", "amount"] if "mode" in plan else ["id", "amount", "note", "empty"])


def test_another_format_makes_the_record_void(write: Write, orders: Resource) -> None:
    first = load(orders, FIRST, None)
    other = files(write, format='{ type: csv, delimiter: ";" }', max_bad_rows="100%")
    assert other.format_digest != orders.format_digest
    found = load(other, {"b": b"id;amount\n2;3\n"}, grown(None, first.manifest), first.manifest.recorded)
    assert [name for name, _ in json.loads(found.manifest.recorded)["columns"]] == ["id", "amount"]


@pytest.mark.parametrize("damaged", ["x", "{}", "[]", '{"reads": "", "arrow": "AAAA"}'])
def test_a_record_that_cannot_be_read_is_none(orders: Resource, damaged: str) -> None:
    first = load(orders, FIRST, None)
    damaged = damaged.replace('"reads": ""', f'"reads": "{orders.format_digest}"')
    found = load(orders, {"b": b"id,amount\n2,3\n"}, grown(None, first.manifest), damaged)
    assert [name for name, _ in json.loads(found.manifest.recorded)["columns"]] == ["id", "amount"]


def test_config_wins_over_the_record(write: Write, orders: Resource) -> None:
    first = load(orders, FIRST, None)
    typed = files(write, "columns: { types: { amount: NUMERIC } }")
    found = load(typed, {"b": b"id,amount\n2,3\n"}, grown(None, first.manifest), first.manifest.recorded)
    assert [(op["op"], op["type"]) for op in found.manifest.ddl] == [("widen", "NUMERIC")]
    assert found.reads == {1}


def test_text_of_files_stays_as_it_is_spelt(write: Write) -> None:
    spelt = "2024-06-01T12:00:00+02:00"
    typed = files(write, "columns: { types: { at: STRING } }")
    assert [row["at"] for row in load(typed, {"a": f"at\n{spelt}\n".encode()}, None).rows] == [spelt]


# Random stories: several loads of several files, each read all ways.

POOLS: dict[str, list[str]] = {
    "int": ["0", "7", "-42", "9223372036854775807", "007", "+7", " 7 ", "-0"],
    "wide": ["0.5", "1.0000000000", "1e3", "99999999999999999999", "1" * 35, "0." + "1" * 12, "1" * 40],
    "bool": ["true", "FALSE", "false"],
    "date": ["2024-02-29", "0001-01-01", "2025-02-30"],
    "moment": ["2024-06-01 10:00:00", "2024-06-01T12:00:00+02:00", "2024-06-01T10:00Z"],
    "text": ["x", "żółć", "nan", "inf", "{}", '"q"'],
    "null": [""],
}
SPECS = [
    "", "", "schema_contract: { columns: discard_row }", "schema_contract: { columns: discard_value }",
    "schema_contract: { columns: freeze }", "schema_contract: { types: freeze }",
    "schema_contract: { types: discard_row }",
    "schema_contract: { types: discard_value }", "columns: { types: { b: NUMERIC } }", "columns: { exclude: [c] }",
    "columns: { rename: { a: other } }", "on_unrepresentable: text", "on_unrepresentable: null",
]  # fmt: skip


def content(luck: random.Random, format_: str, kinds: dict[str, str]) -> bytes:
    names = [name for name in kinds if luck.random() < 0.85] or ["a"]
    records = [
        {name: luck.choice(POOLS[kinds[name] if luck.random() < 0.9 else "null"]) for name in names}
        for _ in range(luck.randrange(4))
    ]
    if format_ == "csv":
        quoted = ([value.replace('"', '""') for value in record.values()] for record in records)
        lines = [
            ",".join(names),
            *(",".join(f'"{v}"' if '"' in v else v for v in values) for values in quoted),
        ]
        broken = [b"\xff" + b"," * (len(names) - 1)] if luck.random() < 0.1 else []
        return b"\n".join([*(line.encode() for line in lines if len(names) > 1 or line), *broken, b""])
    return b"".join(
        (json.dumps({n: _json(v) for n, v in record.items() if v or luck.random() < 0.5}) + "\n").encode()
        for record in records
    )


def _json(value: str) -> Any:
    try:
        return json.loads(value) if value else None
    except ValueError:
        return value


def outcome(*given: Any) -> tuple[dict[str, Any] | str, Load | None]:
    try:
        found = load(*given)
    except EtlFactoryError as error:
        return f"{type(error).__name__}: {str(error).replace('/again/', '/')}", None
    return found.told, found


@pytest.mark.parametrize("seed", range(60))
def test_all_ways_give_the_same(write: Write, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    luck = random.Random(seed)
    format_ = luck.choice(["csv", "jsonl"])
    resource = files(write, luck.choice(SPECS), format=format_, max_bad_rows="100%")
    kinds = {name: luck.choice(list(POOLS)) for name in "abcd"}
    published: Published = None
    recorded = ""
    for _ in range(5):
        now = {
            name: kind if luck.random() < 0.8 else luck.choice(list(POOLS)) for name, kind in kinds.items()
        }
        contents = {name: content(luck, format_, now) for name in ("x", "y")}
        by_record, loaded = outcome(resource, contents, published, recorded)
        by_values, _ = outcome(resource, contents, published)
        with monkeypatch.context() as patch:
            patch.setattr(trial, "HELD_BYTES", luck.choice([0, 200]))
            by_the_first, _ = outcome(resource, contents, published)
            patch.setattr(Trial, "written", lambda *_: None)
            twice, _ = outcome(resource, contents, published)
        assert by_record == by_values == by_the_first == twice
        if loaded:
            published, recorded = grown(published, loaded.manifest), loaded.manifest.recorded


@pytest.mark.parametrize("nested", ['{"q":1}', "[1]", '[{"q":[1]}]'])
@pytest.mark.parametrize("held", [0, trial.HELD_BYTES])
def test_a_key_that_is_null_at_first_may_be_nested_further_on(
    write: Write, monkeypatch: pytest.MonkeyPatch, nested: str, held: int
) -> None:
    monkeypatch.setattr(trial, "HELD_BYTES", held)
    resource = files(write, format="{ type: jsonl, nested: record }")
    many = b"".join(b'{"n":%d,"s":"%s","k":null}\n' % (n, b"x" * 40) for n in range(2000))
    found = load(resource, {"a": many, "b": f'{{"n":1,"s":"x","k":{nested}}}\n'.encode()}, None)
    assert (found.manifest.rows_staged, len(found.rows)) == (2001, 2001)
    assert found.rows[-1]["k"] == json.loads(nested)


@pytest.mark.parametrize("held", [0, trial.HELD_BYTES])
def test_a_damaged_file_is_told_before_a_table_that_may_not_be_made(
    write: Write, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    monkeypatch.setattr(trial, "HELD_BYTES", held)
    resource = files(write, "schema_contract: { tables: discard_row }")
    told, _ = outcome(resource, {"a": FIRST["a"], "b": b'id\n"1\n'}, None)
    assert "TerminalError" in str(told)


@pytest.mark.parametrize("format_", ["jsonl", "json"])
def test_small_json_is_read_once_by_a_first_load_too(write: Write, format_: str) -> None:
    resource = resource_of(write, f"path: s3://drops/**\nformat: {format_}\nload: transactional", type_="s3")
    files = {"a": b'{"n": 1, "s": "x"}\n{"n": 2.50}\n', "b": b'{"n": 3, "t": "2025-01-31"}\n'}
    found = load(resource, files, None)
    assert found.reads == {1}
    assert [(row["n"], row["s"], row["t"]) for row in found.rows] == [
        (1, "x", None), (Decimal("2.5"), None, None), (3, None, date(2025, 1, 31)),
    ]  # fmt: skip
