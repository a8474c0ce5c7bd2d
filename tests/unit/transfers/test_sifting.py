"""A file with columns to hide is parsed as it comes: the same rows, types and records, and nothing hidden kept."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl_factory.errors import EtlFactoryError, SchemaError, StaleError, TerminalError
from etl_factory.landing.manifest import Manifest, PlannedObject
from etl_factory.operators.sanitizing import Sanitizer
from etl_factory.sources.base import SourceObject
from etl_factory.transfers import sifting
from etl_factory.transfers.sifting import sift_copy
from examples import Write
from fakes import MORNING, FakeLanding, manifest_of, resource_of

SECRET = "5ecret-canary"
Load = Callable[..., Manifest]


class Shelf:
    """A source of one object."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def open(self, source_object: SourceObject) -> io.BytesIO:
        return io.BytesIO(self.data)


def parquet(**columns: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, use_deprecated_int96_timestamps=True)
    return stream.getvalue()


@pytest.fixture
def landing() -> FakeLanding:
    return FakeLanding()


@pytest.fixture
def load(write: Write, landing: FakeLanding) -> Load:
    """Return a function that extracts and sanitizes one file."""

    def run(data: bytes, format_: str, columns: str, limit: int | None = None, more: str = "") -> Manifest:
        text = f"path: s3://drops/*\nformat: {format_}\nload: catalog\nmax_bad_rows: 100%\ncolumns: {columns}\n{more}"
        resource = resource_of(write, text, type_="s3")
        modified = datetime.fromisoformat(MORNING)
        if not resource.spec.columns.hides_values:
            part = landing.put_file("a", data)
            manifest = manifest_of(resource, parts=(part,))
        else:
            item, uri = (
                SourceObject("s3://drops/a", "etag-a", len(data), modified),
                "gs://acme-landing/parsed/a",
            )
            sift_copy(Shelf(data), resource, limit)(item, uri, landing)  # type: ignore[arg-type]  # opens alike
            of = PlannedObject("s3://drops/a", "etag-a", len(data), MORNING)
            manifest = manifest_of(
                resource, parts=(replace(landing.stat(uri), source=of),), extra={"parsed": True}
            )
        manifest = replace(manifest, plan=replace(manifest.plan, row_limit=limit))
        return Sanitizer(resource, landing, manifest, "sanitize-1").run(None)

    return run


FILES: dict[str, bytes] = {
    "csv": (
        b"id,n,day,at,flag,note,zip\n1,1.50,2024-06-01,2024-06-01T10:00:00Z,true,,007\n"
        b'2,,2024-06-02,2024-06-01 10:00:00+02,false,"",010\n3,4\n\n4,2,2024-06-03,,true,"a ""b"",\nc",1\n'
        b"5,1,2024-06-03,,true,\xff,1\n"
    ),
    "jsonl": (
        b'{"id":1,"n":1.50,"day":"2024-06-01","o":{"a":[1]},"mix":"1"}\n\nno json\n{"id":2,"n":null,"mix":1}\n'
        b'{}\n[1]\n{"id":3,"day":"2024-06-02","s":"\\u017c\\n"}\n{"id":4,"id":5}\n'
    ),
    "json": b'[{"id":1,"n":12345678901234567890.5},{},{"id":2,"l":[1]},7]',
    "parquet": parquet(
        id=[1, 2], n=[Decimal("1.50"), None], at=pa.array([0, 1], pa.timestamp("ns", "UTC")),
        l=[[1], None], c=pa.array(["a", "b"]).dictionary_encode(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("limit", [None, 2, 100])
def test_what_was_detected_is_told_of_a_few_rows_as_well(load: Load, limit: int | None) -> None:
    data = b"a;b\n" + "żółw;x\n".encode() * 30
    done = load(data, "{ type: csv, encoding: auto, delimiter: auto }", "{ mask: { b: redact } }", limit)
    assert done.rows_staged == min(limit or 30, 30)
    assert sorted(note.split()[0] for note in done.notes) == ["delimiter", "encoding"]


@pytest.mark.parametrize("format_", FILES)
def test_what_is_kept_is_just_what_a_copy_gives(load: Load, landing: FakeLanding, format_: str) -> None:
    copied = load(FILES[format_], format_, "{}")
    rows, aside = landing.rows(copied.parts), landing.rows(copied.quarantine)
    landing.objects.clear()

    sifted = load(FILES[format_], format_, "{exclude: [no_such_column]}")

    assert sifted.fields == copied.fields
    assert landing.rows(sifted.parts) == rows
    counts = [(m.rows_read, m.rows_staged, m.rows_quarantined) for m in (sifted, copied)]
    assert counts[0] == counts[1]
    places = [
        [
            (r["file"], r["record"], r["line"], r["column"], r["reason"].split(":")[0].split(";")[0])
            for r in rows
        ]
        for rows in (landing.rows(sifted.quarantine), aside)
    ]
    assert places[0] == places[1]


@pytest.mark.parametrize("format_", ["csv", "jsonl", "json"])
def test_a_row_limit_holds(load: Load, landing: FakeLanding, format_: str) -> None:
    done = load(FILES[format_], format_, "{exclude: [n]}", limit=2)

    assert done.rows_read == 2
    assert "n" not in {field["name"] for field in done.fields}


HIDDEN = {
    "csv": f"id,a,b\n1,{SECRET},{SECRET}\n2,{SECRET}\n",
    "jsonl": f'{{"id":1,"a":"{SECRET}","b":"{SECRET}"}}\n{{"a":"{SECRET}",\n{{"a":"{SECRET}"}} x\n["{SECRET}"]\n',
    "json": f'[{{"id":1,"a":"{SECRET}","b":"{SECRET}"}},"{SECRET}"]',
}


@pytest.mark.parametrize(
    "columns", ["{exclude: [a, b]}", "{include: [id]}", "{exclude: [a], mask: {b: redact}}"]
)
@pytest.mark.parametrize("format_", HIDDEN)
def test_nothing_hidden_is_written(load: Load, landing: FakeLanding, format_: str, columns: str) -> None:
    done = load(HIDDEN[format_].encode(), format_, columns)

    assert landing.rows(done.parts)[0]["id"] == 1
    assert all(row["row"] == "" and "withheld" in row["reason"] for row in landing.rows(done.quarantine))
    assert SECRET not in str([landing.rows(done.parts), landing.rows(done.quarantine)])
    assert done.rows_quarantined >= 1


@pytest.mark.parametrize("mask", ["sha256", "last4", "redact"])
def test_what_is_masked_is_text_whatever_it_looks_like(load: Load, landing: FakeLanding, mask: str) -> None:
    done = load(b"id,pin\n1,1234\n2,\n", "csv", f"{{mask: {{pin: {mask}}}}}")

    assert {field["name"]: field["type"] for field in done.fields}["pin"] == "STRING"
    assert landing.rows(done.parts)[1]["pin"] is None


def test_a_date_stays_one_and_what_is_none_is_set_aside_unseen(load: Load, landing: FakeLanding) -> None:
    data = f"id,born\n1,1987-06-15\n2,{SECRET}\n3,\n".encode()

    done = load(data, "csv", "{mask: {born: date_trunc(year)}}")

    assert {field["name"]: field["type"] for field in done.fields}["born"] == "DATE"
    assert [str(row["born"]) for row in landing.rows(done.parts)] == ["1987-01-01", "None"]
    (reject,) = landing.rows(done.quarantine)
    assert (reject["record"], reject["column"], reject["value"], reject["row"]) == (2, "born", "", "")


REFUSED = {
    "a mask without its column": ("csv", b"id,mail\n1,x\n", "{mask: {email: sha256}}", "mask names 'email'"),
    "a mask of a similar name": ("jsonl", b'{"Email": "x"}', "{mask: {email: sha256}}", "did you mean 'Email'"),
    "a similar name that is excluded": ("csv", b"id,E Mail\n1,x\n", "{exclude: [e_mail]}", "exclude names 'e_mail'"),
    "another spelling beside it": (
        "jsonl", b'{"email": "x"}\n{"Email": "y"}', "{mask: {email: sha256}}", "also has 'Email', which nothing hides",
    ),
    "another spelling beside an excluded one": (
        "jsonl", b'{"email": "x"}\n{"Email": "y"}', "{exclude: [email]}", "also has 'Email', which nothing hides",
    ),
    "a cut of text": ("parquet", parquet(id=["x"]), "{mask: {id: date_trunc(year)}}", "date_trunc, but it is STRING"),
    "no Parquet": ("parquet", b"id", "{exclude: [x]}", "damaged or not of the declared format"),
}  # fmt: skip


@pytest.mark.parametrize(("format_", "data", "columns", "message"), REFUSED.values(), ids=REFUSED)
def test_what_might_let_a_value_through_is_refused(
    load: Load, landing: FakeLanding, format_: str, data: bytes, columns: str, message: str
) -> None:
    with pytest.raises((SchemaError, TerminalError), match=message) as raised:
        load(data, format_, columns)

    assert str(raised.value).startswith("s3://drops/a: ")
    assert landing.objects == {}


def test_a_name_both_excluded_and_kept_in_another_case_is_no_mistake(
    load: Load, landing: FakeLanding
) -> None:
    done = load(b"id,Email,email\n1,x,y\n", "csv", "{exclude: [Email]}")

    assert landing.rows(done.parts)[0]["email"] == "y"


@pytest.mark.parametrize("columns", ["{exclude: [email]", "{mask: {email: sha256}"])
def test_a_similar_name_that_is_renamed_is_another_column(
    load: Load, landing: FakeLanding, columns: str
) -> None:
    done = load(b'{"Email": "y"}\n', "jsonl", f"{columns}, rename: {{Email: contact}}}}")

    assert landing.rows(done.parts)[0]["contact"] == "y"


def test_a_file_without_its_header_shows_none_of_its_first_row(load: Load) -> None:
    with pytest.raises(SchemaError, match="the file may have no header") as raised:
        load(b"1,eve@x.example\n2,bob@x.example\n", "csv", "{mask: {email: sha256}}")

    assert "example" not in str(raised.value)


def test_a_part_that_is_cut_off_is_noticed(
    load: Load, landing: FakeLanding, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sifting.write_parsed

    def cut(stream: Any, declared: pa.Schema, batches: Any, reader: Any) -> None:
        whole = io.BytesIO()
        real(whole, declared, batches, reader)
        stream.write(whole.getvalue()[:-200])

    monkeypatch.setattr(sifting, "write_parsed", cut)
    with pytest.raises(EtlFactoryError, match="not whole"):
        load(FILES["csv"], "csv", "{exclude: [n]}")


def test_a_version_that_is_gone_is_left_to_the_next_run(
    write: Write, landing: FakeLanding, monkeypatch: Any
) -> None:
    class Gone(Shelf):
        def open(self, source_object: SourceObject) -> io.BytesIO:
            raise StaleError("gone")

    resource = resource_of(
        write, "path: s3://drops/*\nformat: csv\nload: catalog\ncolumns: {exclude: [a]}", type_="s3"
    )
    monkeypatch.setattr(sifting, "exists", lambda landing, uri: False)
    copy = sift_copy(Gone(b""), resource, None)  # type: ignore[arg-type]  # opens alike
    with pytest.raises(StaleError):
        copy(SourceObject("s3://drops/a", "1", 1, datetime(2025, 1, 1, tzinfo=UTC)), "gs://x/a", landing)  # type: ignore[arg-type]  # alike
