"""Sanitize counts every row, sets bad ones aside, and stages only what shows its type."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl_factory.errors import (
    AccountingError,
    NothingToLoad,
    QuarantineError,
    SchemaError,
    StaleError,
    TerminalError,
)
from etl_factory.landing.manifest import FileTally, Manifest, Mode, Part, Plan
from etl_factory.operators.sanitizing import Sanitizer
from etl_factory.schema.raw import unpack
from etl_factory.schema.types import Field
from examples import Write
from fakes import LOAD_ID, MORNING, FakeLanding, manifest_of, resource_of

TABLE = "acme-analytics.raw.shop__orders"
PREFIX = f"gs://acme-landing/acme/shop/orders/load_id={LOAD_ID}/sanitize-1"
OWN = ("_etl_source_uri", "_etl_record")
Clean = Callable[..., Manifest]


@pytest.fixture
def landing() -> FakeLanding:
    return FakeLanding()


@pytest.fixture
def files(write: Write, landing: FakeLanding) -> Clean:
    """Return a function that cleans files, given by name and content, as the resource's YAML says."""

    def run(
        contents: dict[str, bytes],
        spec: str = "",
        published: tuple[Field, ...] | None = None,
        **settings: str,
    ) -> Manifest:
        shape = {"format": "csv", "load": "transactional", **settings}
        lines = "\n".join(f"{key}: {value}" for key, value in shape.items())
        resource = resource_of(write, f"path: s3://drops/**\n{lines}\n{spec}", type_="s3")
        parts = tuple(landing.put_file(name, data) for name, data in contents.items())
        manifest = manifest_of(resource, parts=parts)
        return Sanitizer(resource, landing, manifest, "sanitize-1").run(published)

    return run


@pytest.fixture
def table(write: Write, landing: FakeLanding) -> Clean:
    """Return a function that cleans the parts of a table, declared by the first one's schema unless given."""

    def run(
        *parts: Part | pa.Table, spec: str = "", published: tuple[Field, ...] | None = None,
        declared: pa.Schema | None = None, rows_read: int | None = None,
    ) -> Manifest:  # fmt: skip
        resource = resource_of(write, f"table: public.orders\nload: catalog\n{spec}")
        put = [p if isinstance(p, Part) else landing.put_table(f"part-{n}", p) for n, p in enumerate(parts)]
        schema = declared if declared is not None else parts[0].schema
        manifest = manifest_of(
            resource,
            parts=tuple(put),
            rows_read=sum(part.rows or 0 for part in put) if rows_read is None else rows_read,
            schema=base64.b64encode(schema.serialize()).decode(),
        )
        return Sanitizer(resource, landing, manifest, "sanitize-1").run(published)

    return run


def names(manifest: Manifest) -> list[str]:
    return [field["name"] for field in manifest.fields if field["name"] not in OWN]


def types(manifest: Manifest) -> dict[str, str]:
    return {field["name"]: field["type"] for field in manifest.fields if field["name"] not in OWN}


def without_own(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in OWN} for row in rows]


def parquet(**columns: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


# Columns without a value

NOTE = (
    f"column note holds no value yet: left out of {TABLE} until a value shows its type, or columns.types does"
)
NULLS = {
    "csv": b"id,note\n1,\n2,\n",
    "jsonl": b'{"id": 1, "note": null}\n{"id": 2}\n',
    "json": b'[{"id": 1, "note": null}, {"id": 2}]',
    "parquet": parquet(id=[1, 2], note=pa.nulls(2)),
}
CATEGORIES = pa.DictionaryArray.from_arrays(pa.array([None, None], pa.int8()), pa.array([], pa.null()))


@pytest.mark.parametrize("format_", NULLS)
def test_a_column_of_nulls_is_left_out_and_noted(files: Clean, landing: FakeLanding, format_: str) -> None:
    done = files({"a": NULLS[format_]}, format=format_)

    assert types(done) == {"id": "INT64"}
    assert [field["name"] for field in done.ddl[0]["fields"]] == ["id"]
    assert done.notes == (NOTE,)
    assert without_own(landing.rows(done.parts)) == [{"id": 1}, {"id": 2}]


def test_categories_without_a_value_are_left_out(files: Clean) -> None:
    done = files({"a": parquet(id=[1, 2], note=CATEGORIES)}, format="parquet")

    assert (names(done), done.notes) == (["id"], (NOTE,))


def test_a_declared_type_needs_no_value(files: Clean) -> None:
    done = files({"a": parquet(id=[1, 2], note=pa.nulls(2, pa.float64()))}, format="parquet")

    assert (types(done), done.notes) == ({"id": "INT64", "note": "FLOAT64"}, ())


def test_a_type_of_configuration_needs_no_value(files: Clean) -> None:
    done = files({"a": NULLS["csv"]}, "columns: { types: { note: DATE } }")

    assert (types(done), done.notes) == ({"id": "INT64", "note": "DATE"}, ())


def test_a_value_in_any_file_shows_the_type(files: Clean) -> None:
    done = files({"a": NULLS["csv"], "b": b"id,note\n3,2.5\n"})

    assert (types(done), done.notes) == ({"id": "INT64", "note": "NUMERIC"}, ())


@pytest.mark.parametrize("mode", ["evolve", "freeze", "discard_row", "discard_value"])
def test_a_new_column_of_nulls_is_no_change_of_the_table(files: Clean, mode: str) -> None:
    published = (Field("id", "INT64"),)
    done = files({"a": NULLS["csv"]}, f"schema_contract: {{ columns: {mode} }}", published)

    assert (names(done), done.ddl, done.notes, done.rows_staged) == (["id"], (), (NOTE,), 2)


def test_the_first_value_brings_the_column_with_its_own_type(files: Clean) -> None:
    done = files({"a": b"id,note\n3,7\n"}, published=(Field("id", "INT64"),))

    assert types(done) == {"id": "INT64", "note": "INT64"}
    assert done.ddl == ({"op": "add", "field": Field("note", "INT64").to_json()},)


@pytest.mark.parametrize("content", [NULLS["csv"], b"id,note\n"])
def test_a_published_column_keeps_its_type(files: Clean, content: bytes) -> None:
    done = files({"a": content}, published=(Field("id", "NUMERIC"), Field("Note", "TIMESTAMP")))

    assert (types(done), done.ddl, done.notes) == ({"id": "NUMERIC", "Note": "TIMESTAMP"}, (), ())


@pytest.mark.parametrize("spec", ["primary_key: [note]", "partition_by: note", "cluster_by: [id, note]"])
@pytest.mark.parametrize("published", [None, (Field("id", "INT64"),)])
def test_a_column_that_is_needed_cannot_be_left_out(
    files: Clean, spec: str, published: tuple[Field, ...] | None
) -> None:
    key = spec.partition(":")[0]
    with pytest.raises(
        SchemaError, match=rf"{key} 'note' of {TABLE} has no value yet.*give it under columns\.types"
    ):
        files({"a": NULLS["csv"]}, spec, published)


def test_a_value_that_is_no_text_is_not_lost_with_its_column(files: Clean, landing: FakeLanding) -> None:
    done = files({"a": b"id,note\n1,\xff\n2,\n"}, max_bad_rows="1")

    assert (done.rows_read, done.rows_staged, done.rows_quarantined) == (2, 1, 1)
    (row,) = landing.rows(done.quarantine)
    assert (row["column"], row["reason"]) == ("note", "no value of this column shows its type")


@pytest.mark.parametrize(
    ("format_", "content"),
    [
        ("csv", b""), ("csv", b"id,note\n"), ("csv", b"id\n\n\n"), ("jsonl", b""), ("jsonl", b"{}\n{}\n"),
        ("jsonl", b'{"id": null}\n'), ("json", b"[]"), ("parquet", parquet(id=pa.nulls(3))),
    ],
)  # fmt: skip
@pytest.mark.parametrize("spec", ["", "primary_key: [id]\npartition_by: id"])
@pytest.mark.parametrize("load", ["transactional", "catalog"])
def test_without_a_value_there_is_nothing_to_make_a_table_of(
    files: Clean, format_: str, content: bytes, spec: str, load: str
) -> None:
    with pytest.raises(NothingToLoad) as skipped:
        files({"a": content}, spec, format=format_, load=load)
    assert str(skipped.value) == (
        f"acme__shop.orders: no file holds a record with a value, so {TABLE} cannot be made: s3://drops/a."
        " Nothing was published; the next run reads them again"
    )


def test_bad_rows_are_never_skipped_with_the_table_that_cannot_be_made(files: Clean) -> None:
    with pytest.raises(
        QuarantineError, match=rf"1 of 2 rows are bad, and no other shows.*{TABLE}.*text after the object"
    ):
        files({"a": b'{}\n{"id": 1}}\n'}, format="jsonl", max_bad_rows="100%")


# Files that name no column, for a table that is there

PUBLISHED = (Field("id", "INT64"), Field("at", "TIMESTAMP", "REQUIRED"), Field("tags", "STRING", "REPEATED"))


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_an_empty_file_of_a_known_table_counts_as_loaded(files: Clean, content: bytes) -> None:
    done = files({"a": content}, "primary_key: [id]\npartition_by: at", PUBLISHED, format="jsonl")

    assert types(done) == {"id": "INT64", "at": "TIMESTAMP"}
    assert (done.parts, done.rows_read) == ((), 0)
    assert done.files == (FileTally("s3://drops/a", "etag-a", MORNING, len(content), 0, 0),)


def test_empty_objects_are_rows_of_nulls(files: Clean, landing: FakeLanding) -> None:
    done = files({"a": b"{}\n{}\n"}, published=PUBLISHED, format="jsonl")

    assert (done.rows_read, done.rows_staged) == (2, 2)
    assert without_own(landing.rows(done.parts)) == [{"id": None, "at": None}] * 2
    assert {"op": "relax", "name": "at"} in done.ddl


def test_lines_that_are_all_bad_are_counted(files: Clean, landing: FakeLanding) -> None:
    with pytest.raises(QuarantineError, match="2 of 2 rows are bad, more than max_bad_rows allows"):
        files({"a": b"[1]\n{\n"}, published=PUBLISHED, format="jsonl")

    landing.objects.clear()
    done = files({"a": b"[1]\n{\n"}, published=PUBLISHED, format="jsonl", max_bad_rows="2")
    assert (done.rows_read, done.rows_staged, done.rows_quarantined) == (2, 0, 2)
    assert [row["line"] for row in landing.rows(done.quarantine)] == [1, 2]


def test_a_file_of_another_kind_is_refused(files: Clean) -> None:
    with pytest.raises(SchemaError, match=f"none of the columns a, b can be loaded into {TABLE}"):
        files({"x": b"a,b\n1,2\n"}, "schema_contract: { columns: discard_value }", (Field("id", "INT64"),))


def test_data_without_the_column_of_a_tables_partitions(files: Clean) -> None:
    done = files({"a": b'{"id": 1}'}, "partition_by: at", PUBLISHED, format="jsonl")
    assert done.rows_staged == 1

    with pytest.raises(SchemaError, match=f"partition_by 'at' of {TABLE} is not among the columns id"):
        files({"a": b'{"id": 1}'}, "partition_by: at", format="jsonl")


def test_partitions_are_days(files: Clean) -> None:
    assert files({"a": b"id,at\n1,2025-01-31\n"}, "partition_by: at\ncluster_by: [id]").ddl[0] == {
        "op": "create",
        "fields": [Field("id", "INT64").to_json(), Field("at", "DATE").to_json()],
        "partition_by": "at",
        "cluster_by": ["id"],
    }
    with pytest.raises(SchemaError, match=f"partition_by 'id' of {TABLE} is INT64: partition by a DATE"):
        files({"b": b"id\n1\n"}, "partition_by: id")


# Accounting

MESSY = b"id,amount\n1,1.5\n2,x\n3\n4,2.5\n"


def test_every_row_is_staged_or_quarantined(files: Clean, landing: FakeLanding) -> None:
    done = files({"a.csv": MESSY}, "columns: { types: { amount: NUMERIC } }", max_bad_rows="2")

    assert (done.step, done.attempt) == ("sanitize", "sanitize-1")
    assert (done.rows_read, done.rows_staged, done.rows_quarantined) == (4, 2, 2)
    assert landing.rows(done.parts) == [
        {"id": 1, "amount": Decimal("1.5"), "_etl_source_uri": "s3://drops/a.csv", "_etl_record": 1},
        {"id": 4, "amount": Decimal("2.5"), "_etl_source_uri": "s3://drops/a.csv", "_etl_record": 4},
    ]
    assert [part.uri for part in (*done.parts, *done.quarantine)] == [
        f"{PREFIX}/part-00000.parquet",
        f"{PREFIX}/quarantine-00000.parquet",
    ]


def test_a_quarantined_row_says_where_it_stood_and_why(files: Clean, landing: FakeLanding) -> None:
    before = datetime.now(UTC)
    done = files({"a.csv": MESSY}, "columns: { types: { amount: NUMERIC } }", max_bad_rows="2")

    rows = sorted(landing.rows(done.quarantine), key=lambda row: row["record"])
    assert all(before <= row.pop("quarantined_at") <= datetime.now(UTC) for row in rows)
    assert json.loads(rows[0].pop("row")) == {"id": "2", "amount": "x"}
    where = {"resource": "orders", "load_id": LOAD_ID, "file": "s3://drops/a.csv"}
    where |= {"key": None, "kind": "row", "raw": None}
    assert rows == [
        {**where, "record": 2, "line": 3, "column": "amount", "value": "x",
         "reason": "not a NUMERIC that BigQuery can hold exactly"},
        {**where, "record": 3, "line": 4, "column": "", "value": "",
         "reason": "1 fields where 2 were expected", "row": "3"},
    ]  # fmt: skip


def test_a_quarantined_row_names_its_key_and_keeps_its_values(table: Clean, landing: FakeLanding) -> None:
    read = pa.table({"id": [7, 8], "on": ["2025-01-01", "infinity"]})
    declared = pa.schema([("id", pa.int64()), ("on", pa.date32())])
    done = table(read, declared=declared, spec="primary_key: [id]\nmax_bad_rows: 1")

    (row,) = landing.rows(done.quarantine)
    assert (row["key"], row["column"], row["value"], row["kind"]) == ('{"id": 8}', "on", "infinity", "row")
    kept, types = unpack(row["raw"])
    assert (kept.to_pylist(), types) == ([{"id": 8, "on": "infinity"}], declared)


def test_a_discarded_value_is_set_aside_and_its_row_stays(files: Clean, landing: FakeLanding) -> None:
    done = files({"a": b"id\n1\nx\n"}, "schema_contract: { types: discard_value }", (Field("id", "INT64"),))

    assert (done.rows_read, done.rows_staged, done.rows_quarantined) == (2, 2, 0)
    assert [row["value"] for row in landing.rows(done.quarantine)] == ["x"]


def test_a_discarded_column_is_set_aside_value_by_value(files: Clean, landing: FakeLanding) -> None:
    done = files(
        {"a": b"id,new\n1,x\n2,\n"}, "schema_contract: { columns: discard_value }", (Field("id", "INT64"),)
    )

    assert (names(done), done.rows_staged, done.rows_quarantined) == (["id"], 2, 0)
    (row,) = landing.rows(done.quarantine)
    assert (row["column"], row["value"], row["reason"]) == ("new", "x", "the contract allows no new columns")


def test_too_many_bad_rows(files: Clean) -> None:
    content = b"id,amount\n" + b"".join(b"%d,bad%d\n" % (n, n) for n in range(1, 8))
    with pytest.raises(QuarantineError) as refused:
        files({"a.csv": content}, "columns: { types: { amount: NUMERIC } }", max_bad_rows="6")

    message = str(refused.value)
    assert message.startswith(
        "acme__shop.orders: 7 of 7 rows are bad, more than max_bad_rows allows. Nothing was published."
        f" All bad rows: {PREFIX}/quarantine-00000.parquet. The first: s3://drops/a.csv, record 1 (line 2),"
        " column 'amount': 'bad1' not a NUMERIC that BigQuery can hold exactly; s3://drops/a.csv, record 2 (line 3),"
    )
    assert "'bad5'" in message
    assert "'bad6'" not in message
    assert "raise max_bad_rows" in message


def test_files_of_different_schemas_are_one_table(files: Clean, landing: FakeLanding) -> None:
    done = files({"a": b"id,old\n1,x\n", "b": b"new,id\n2.5,2\n", "empty": b"", "header": b"id,old\n"})

    assert types(done) == {"id": "INT64", "old": "STRING", "new": "NUMERIC"}
    assert without_own(landing.rows(done.parts)) == [
        {"id": 1, "old": "x", "new": None},
        {"id": 2, "old": None, "new": Decimal("2.5")},
    ]


def test_every_object_has_its_tally(files: Clean) -> None:
    contents = {"a": b"id\n1\n2\n", "bad": b"id,x\n1,2\n3\n", "empty": b"", "header": b"id\n"}
    done = files(contents, max_bad_rows="1")

    assert done.files == tuple(
        FileTally(f"s3://drops/{name}", f"etag-{name}", MORNING, len(data), rows, bad)
        for (name, data), (rows, bad) in zip(contents.items(), [(2, 0), (2, 1), (0, 0), (0, 0)], strict=True)
    )
    assert done.rows_read == sum(of.rows for of in done.files) == done.rows_staged + done.rows_quarantined


def test_a_damaged_object_is_named(files: Clean) -> None:
    with pytest.raises(TerminalError, match=r"^s3://drops/b: record 1 opens a"):
        files({"a": b"id\n1\n", "b": b'id\n"1\n'})


# Tables: extract's own parts, where they are what staging needs

EXACT = pa.table(
    {
        "id": pa.array([1, 2], pa.int64()), "ok": [True, None], "x": [0.5, float("nan")], "raw": [b"\xff", None],
        "amount": pa.array([Decimal(1), None], pa.decimal128(38, 9)), "note": ["é", None],
        "at": pa.array([0, 1], pa.timestamp("us", "UTC")), "seen": pa.array([0, 1], pa.timestamp("us")),
        "day": pa.array([0, 1], pa.date32()), "clock": pa.array([0, 1], pa.time64("us")),
    }
)  # fmt: skip
NUMBERS = pa.table({"id": pa.array([1, 2], pa.int64()), "x": [0.5, float("nan")]})


@pytest.mark.parametrize("rows", [EXACT, NUMBERS, EXACT.slice(0, 0)], ids=["all", "numbers", "none"])
def test_parts_that_need_no_change_are_reused(table: Clean, landing: FakeLanding, rows: pa.Table) -> None:
    done = table(rows, rows)

    assert [part.uri for part in done.parts] == [
        "gs://acme-landing/part-0.parquet",
        "gs://acme-landing/part-1.parquet",
    ]
    assert (done.rows_read, done.rows_staged, done.rows_quarantined) == (2 * len(rows),) * 2 + (0,)
    assert len(landing.objects) == 2
    assert [field["name"] for field in done.fields] == rows.column_names


def test_a_published_type_decides_what_staging_needs(table: Clean) -> None:
    assert (
        table(NUMBERS, published=(Field("id", "INT64"), Field("x", "FLOAT64")))
        .parts[0]
        .uri.endswith("part-0.parquet")
    )
    assert (
        table(NUMBERS, published=(Field("id", "NUMERIC"), Field("x", "FLOAT64")))
        .parts[0]
        .uri.startswith(PREFIX)
    )


TEXT = pa.array(["é"])
CHANGED = {
    "a name": (pa.table({"Order No": [1]}), ""),
    "a rename": (pa.table({"a": [1], "b": [2]}), "columns: { rename: { a: b, b: a } }"),
    "a type of configuration": (pa.table({"a": [1]}), "columns: { types: { a: STRING } }"),
    "a narrower number": (pa.table({"a": pa.array([1], pa.int32())}), ""),
    "a scale": (pa.table({"a": pa.array([Decimal(1)], pa.decimal128(10, 2))}), ""),
    "another unit": (pa.table({"a": pa.array([1], pa.timestamp("ms"))}), ""),
    "long text": (pa.table({"a": TEXT.cast(pa.large_string())}), ""),
    "a uuid": (pa.table({"a": pa.array([b"0123456789abcdef"], pa.uuid())}), ""),
}


@pytest.mark.parametrize(("rows", "spec"), CHANGED.values(), ids=CHANGED)
def test_what_has_to_change_is_rewritten(table: Clean, rows: pa.Table, spec: str) -> None:
    done = table(rows, spec=spec)

    assert [part.uri for part in done.parts] == [f"{PREFIX}/part-00000.parquet"]
    assert (done.rows_read, done.rows_staged) == (1, 1)


def test_columns_that_swap_names_are_not_taken_for_each_other(table: Clean, landing: FakeLanding) -> None:
    part = landing.put_table("part-0", pa.table({"b": [2], "a": [1]}))
    done = table(
        part,
        spec="columns: { rename: { a: b, b: a } }",
        declared=pa.schema([("a", pa.int64()), ("b", pa.int64())]),
    )

    assert landing.rows(done.parts) == [{"b": 1, "a": 2}]


def test_text_that_spells_another_type_is_rewritten(table: Clean, landing: FakeLanding) -> None:
    done = table(pa.table({"a": ["1.5"]}), declared=pa.schema([("a", pa.decimal128(38, 9))]))

    assert landing.rows(done.parts) == [{"a": Decimal("1.5")}]


BAD = {
    "a date after 9999": pa.array([0, 2932897], pa.date32()),
    "a moment after 9999": pa.array([0, 2**60], pa.timestamp("us", "UTC")),
    "a time of 24:00": pa.array([0, 86_400_000_000], pa.int64()).view(pa.time64("us")),
    "text that is not UTF-8": pa.array([b"a", b"\xff"]).view(pa.string()),
}


@pytest.mark.parametrize("values", BAD.values(), ids=BAD)
def test_one_bad_value_in_any_part_has_all_rewritten(
    table: Clean, landing: FakeLanding, values: pa.Array
) -> None:
    good, bad = pa.table({"a": values.slice(0, 1)}), pa.table({"a": values.slice(1)})
    done = table(good, bad, spec="max_bad_rows: 1")

    assert [part.uri for part in done.parts] == [f"{PREFIX}/part-00000.parquet"]
    assert (done.rows_read, done.rows_staged, done.rows_quarantined) == (2, 1, 1)
    assert len(landing.rows(done.parts)) == 1


def test_json_is_kept_as_it_is_read(table: Clean) -> None:
    text = pa.table({"a": ['{"a": 1}']})
    spec = "columns: { types: { a: JSON } }"
    assert table(text, spec=spec).parts[0].uri.endswith("part-0.parquet")

    inexact = pa.table({"a": ['{"a": 1, "a": 2}']})
    with pytest.raises(QuarantineError, match="not a JSON that BigQuery can hold exactly"):
        table(inexact, spec=spec)


@pytest.mark.parametrize("rows", [NUMBERS, CHANGED["a scale"][0]], ids=["reused", "rewritten"])
def test_a_part_that_lost_rows_is_found(table: Clean, landing: FakeLanding, rows: pa.Table) -> None:
    part = landing.put_table("part-0", rows, rows=3)
    with pytest.raises(AccountingError, match=rf"part-0.parquet holds {len(rows)} rows, extract wrote 3"):
        table(part, declared=rows.schema)


def test_parts_that_are_not_all_that_was_read(table: Clean) -> None:
    with pytest.raises(AccountingError, match="5 rows read, but 2 staged and 0 quarantined"):
        table(NUMBERS, rows_read=5)


def test_a_part_that_is_gone(table: Clean, landing: FakeLanding) -> None:
    part = landing.put_table("part-0", NUMBERS)
    with pytest.raises(StaleError, match=r"part-9.* is gone or changed: clear the run"):
        table(replace(part, uri="gs://acme-landing/part-9.parquet"), declared=NUMBERS.schema)


def test_an_empty_table_is_made_all_the_same(table: Clean) -> None:
    done = table(declared=NUMBERS.schema)

    assert (done.parts, done.rows_staged, types(done)) == ((), 0, {"id": "INT64", "x": "FLOAT64"})
    assert done.ddl[0]["op"] == "create"


def test_a_table_without_columns(table: Clean) -> None:
    with pytest.raises(SchemaError, match=f"no column is there to be loaded into {TABLE}"):
        table(declared=pa.schema([]))


# Keys of the source, where deletes are looked for

KEYED = "table: public.orders\nload: transactional\ncursor: a\nprimary_key: [b, id]\ndeletes: remove"
ROWS = pa.table({"id": ["1", "2"], "a": [1, 2], "b": ["x", "y"], "c": [None, "z"]})


@pytest.fixture
def keyed(write: Write, landing: FakeLanding) -> Clean:
    """Return a function that cleans a table's rows and keys, and the resource's YAML says how."""

    def run(*keys: Part | pa.Table, spec: str = "", mode: Mode = "live", rows: pa.Table = ROWS) -> Manifest:
        resource = resource_of(write, f"{KEYED}\n{spec}")
        put = [p if isinstance(p, Part) else landing.put_table(f"keys-{n}", p) for n, p in enumerate(keys)]
        manifest = manifest_of(
            resource,
            plan=Plan(LOAD_ID, mode, 0, None),
            parts=(landing.put_table("part-0", rows),),
            keys=tuple(put),
            rows_read=len(rows),
            schema=base64.b64encode(rows.schema.serialize()).decode(),
        )
        return Sanitizer(resource, landing, manifest, "sanitize-1").run(None)

    return run


def test_keys_that_are_clean_are_taken_as_they_are(keyed: Clean, landing: FakeLanding) -> None:
    done = keyed(ROWS.select(["id", "b"]), pa.table({"id": ["3"], "b": ["z"]}))

    assert [part.uri for part in done.keys] == [
        "gs://acme-landing/keys-0.parquet",
        "gs://acme-landing/keys-1.parquet",
    ]
    assert [(field["name"], field["type"]) for field in done.key_fields] == [
        ("id", "STRING"),
        ("b", "STRING"),
    ]


def test_keys_are_named_and_cast_as_the_rows_are(keyed: Clean, landing: FakeLanding) -> None:
    """What cannot be cast is no published row's key, and costs no bad row: its row is counted with the rows."""
    spec = "columns: { rename: { b: part_no }, types: { id: INT64 } }"
    keys = pa.table({"id": ["1", "2", "none", None], "b": ["x", "y", "z", "w"]})
    done = keyed(keys, spec=spec)

    assert [part.uri for part in done.keys] == [f"{PREFIX}/keys-00000.parquet"]
    assert landing.rows(done.keys) == [
        {"id": 1, "part_no": "x"},
        {"id": 2, "part_no": "y"},
        {"id": None, "part_no": "w"},
    ]
    assert set(landing.rows(done.parts)[0]) == {"id", "a", "part_no", "c"}
    assert [(field["name"], field["type"]) for field in done.key_fields] == [
        ("id", "INT64"),
        ("part_no", "STRING"),
    ]
    assert done.rows_quarantined == 0


def test_an_empty_source_has_no_keys_and_says_so(keyed: Clean) -> None:
    done = keyed(rows=ROWS.slice(0, 0))

    assert (done.keys, done.rows_staged) == ((), 0)
    assert [field["name"] for field in done.key_fields] == ["id", "b"]


@pytest.mark.parametrize("mode", ["backfill", "full_refresh"])
def test_only_a_live_run_has_keys(keyed: Clean, mode: Mode) -> None:
    assert keyed(mode=mode).key_fields == ()


@pytest.mark.parametrize("spec", ["", "columns: { types: { id: INT64 } }"], ids=["reused", "rewritten"])
def test_keys_that_were_lost_are_found(keyed: Clean, landing: FakeLanding, spec: str) -> None:
    part = landing.put_table("keys-0", ROWS.select(["id", "b"]), rows=3)

    with pytest.raises(AccountingError, match=r"keys-0.parquet holds 2 rows, extract wrote 3.*clear the run"):
        keyed(part, spec=spec)


ODD = pa.table({"id": ["1", "2"], "at": ["2025-01-01 00:00:00+00", "infinity"]})
MOMENTS = pa.schema([("id", pa.int64()), ("at", pa.timestamp("us", "UTC"))])


@pytest.mark.parametrize(
    ("said", "type_", "staged", "bad"),
    [
        ("null", "TIMESTAMP", [datetime(2025, 1, 1, tzinfo=UTC), None], ["infinity"]),
        ("text", "STRING", ["2025-01-01 00:00:00+00", "infinity"], []),
    ],
)
def test_values_that_cannot_be_held_go_as_config_says(
    table: Clean, landing: FakeLanding, said: str, type_: str, staged: list[Any], bad: list[str]
) -> None:
    for spec in (f"on_unrepresentable: {said}", f"columns: {{on_unrepresentable: {{at: {said}}}}}"):
        landing.objects.clear()
        done = table(ODD, spec=spec, declared=MOMENTS)

        assert [field["type"] for field in done.fields] == ["INT64", type_]
        assert [row["at"] for row in landing.rows(done.parts)] == staged
        assert [row["value"] for row in landing.rows(done.quarantine)] == bad
        assert (done.rows_staged, done.rows_quarantined) == (2, 0)


def test_a_key_that_cannot_be_held_is_quarantined_whatever_config_says(table: Clean) -> None:
    spec = "on_unrepresentable: null\nprimary_key: [at]\nmax_bad_rows: 1"
    done = table(ODD, spec=spec, declared=MOMENTS)

    assert (done.rows_staged, done.rows_quarantined) == (1, 1)


def test_what_was_detected_in_which_files_is_noted(files: Clean) -> None:
    names = [f"{number}.csv" for number in range(5)]
    done = files(dict.fromkeys(names, b"id;note\n1;x\n"), format="{ type: csv, delimiter: auto }")

    assert done.rows_staged == 5
    assert [note for note in done.notes if "delimiter" in note] == [
        "delimiter detected as ';': s3://drops/0.csv, s3://drops/1.csv, s3://drops/2.csv and 2 more files"
    ]


def test_numbers_and_dates_are_read_as_config_spells_them_and_quarantined_with_their_line(
    files: Clean, landing: FakeLanding
) -> None:
    done = files(
        {"1.csv": b"day;amount;text\n31.01.2025;1.234,5;1.234\n31.02.2025;1;x\n"},
        "max_bad_rows: 1",
        format='{ type: csv, delimiter: ";", decimal: ",", thousands: ".", dates: { day: "%d.%m.%Y" } }',
    )

    assert (done.rows_staged, done.rows_quarantined) == (1, 1)
    types = {field["name"]: field["type"] for field in done.fields}
    assert (types["day"], types["amount"], types["text"]) == ("DATE", "NUMERIC", "STRING")
    (bad,) = landing.rows(done.quarantine)
    assert (bad["record"], bad["line"], bad["column"], bad["value"]) == (2, 3, "day", "31.02.2025")
