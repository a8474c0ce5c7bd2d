"""What was cleaned before all was seen counts only if it would be cleaned so again, and else leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from etl_factory.errors import SchemaError, TerminalError
from etl_factory.landing.parts import PartWriter
from etl_factory.operators import trial
from etl_factory.operators.sanitizing import Sanitizer
from etl_factory.sources.formats import _json_blocks, csv
from etl_factory.sources.formats.base import Spelt
from examples import Write
from fakes import FakeLanding, manifest_of, resource_of

SAME = b"id,at\n" + b"".join(b"%d,2025-01-31\n" % number for number in range(400))
OTHER = SAME + b"x,2025-01-31\n"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have files of several batches, the first of which decides."""
    monkeypatch.setattr(csv, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(_json_blocks, "BLOCK", 1000)
    monkeypatch.setattr(trial, "HELD_BYTES", 0)


@pytest.fixture
def cleaned(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many rows each writer of clean parts was given."""
    counts: list[int] = []
    begin, write = PartWriter.__init__, PartWriter.write

    def begun(self: PartWriter, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        self.counted = len(counts)  # type: ignore[attr-defined]  # ours
        counts.append(0)

    def written(self: PartWriter, batch: Any) -> None:
        counts[self.counted] += batch.num_rows  # type: ignore[attr-defined]  # ours
        write(self, batch)

    monkeypatch.setattr(PartWriter, "__init__", begun)
    monkeypatch.setattr(PartWriter, "write", written)
    yield counts


def run(write: Write, data: bytes, format_: str = "csv", more: str = "") -> tuple[FakeLanding, Any]:
    landing = FakeLanding()
    resource = resource_of(
        write, f"path: s3://drops/**\nformat: {format_}\nload: transactional\n{more}", type_="s3"
    )
    manifest = manifest_of(resource, parts=(landing.put_file("a", data),))
    return landing, Sanitizer(resource, landing, manifest, "sanitize-1").run(None)


def clean_parts(landing: FakeLanding) -> list[str]:
    return [uri for uri in landing.objects if "/part-" in uri]


def test_rows_are_cleaned_while_others_are_being_looked_at(write: Write, cleaned: list[int]) -> None:
    landing, done = run(write, SAME)
    assert (done.rows_staged, cleaned) == (400, [400, 0])
    assert clean_parts(landing) == [part.uri for part in done.parts]


def test_what_was_cleaned_by_another_schema_leaves_nothing_behind(write: Write, cleaned: list[int]) -> None:
    landing, done = run(write, OTHER)
    assert done.rows_staged == 401
    assert cleaned[0] > 0
    assert cleaned[2:] == [401, 0]
    assert clean_parts(landing) == [part.uri for part in done.parts]
    assert [row["id"] for row in landing.rows(done.parts)] == [*map(str, range(400)), "x"]


def test_a_schema_that_is_refused_at_last_leaves_nothing_behind(write: Write) -> None:
    landing = FakeLanding()
    resource = resource_of(
        write,
        "path: s3://drops/**\nformat: csv\nload: transactional\ncolumns: { include: [gone] }",
        type_="s3",
    )
    manifest = manifest_of(resource, parts=(landing.put_file("a", SAME),))
    with pytest.raises(SchemaError, match="gone"):
        Sanitizer(resource, landing, manifest, "sanitize-1").run(None)
    assert clean_parts(landing) == []


def test_a_file_that_is_damaged_further_on_leaves_nothing_behind(write: Write, cleaned: list[int]) -> None:
    landing = FakeLanding()
    resource = resource_of(write, "path: s3://drops/**\nformat: csv\nload: transactional", type_="s3")
    part = landing.put_file("a", SAME + b'401,"never closed\n')
    with pytest.raises(TerminalError, match="never closed"):
        Sanitizer(resource, landing, manifest_of(resource, parts=(part,)), "sanitize-1").run(None)
    assert cleaned[0] > 0
    assert clean_parts(landing) == []


def test_values_that_have_to_be_read_for_their_type_are_read_again(
    write: Write, cleaned: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text that is wanted as JSON has to be shown as its file spells it, which parsing has not kept."""
    data = b"".join(b'{"id": %d, "s": "x"}\n' % number for number in range(400))
    landing, done = run(write, data, "jsonl", "columns: { types: { s: JSON } }")
    assert {row["s"] for row in landing.rows(done.parts)} == {'"x"'}
    assert (done.rows_staged, cleaned[2:]) == (400, [400, 0])


def test_what_was_held_is_not_read_again(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "HELD_BYTES", 2**20)
    looks: list[None] = []
    read_as = Spelt.read_as
    monkeypatch.setattr(Spelt, "read_as", lambda *args: looks.append(None) or read_as(*args))
    landing, done = run(write, OTHER)
    assert (done.rows_staged, looks) == (401, [])
    assert clean_parts(landing) == [part.uri for part in done.parts]
