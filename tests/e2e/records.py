"""The rows that every e2e source holds, before and after a change, and each file format's spelling of them."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True)
class Record:
    """One row; `amount` does not survive a float, `note` is NULL, empty and quoted in turn."""

    id: int
    name: str
    amount: Decimal
    moment: datetime
    note: str | None


NOTES = (None, 'said "no"; left', "O'Hara | two\nlines")
RECORDS = tuple(
    Record(
        i,
        f"Zażółć {i}",
        Decimal("0.1") * i + Decimal("12345678901234567.000000001"),
        datetime(2025, 3, 29, 23, i, 7, 123456, tzinfo=UTC),
        NOTES[i % 3],
    )
    for i in range(1, 10)
)
CHANGED = replace(RECORDS[0], amount=Decimal("-0.000000001"), note="changed")
A, B = RECORDS[:3], RECORDS[3:6]
A_CHANGED, C = (CHANGED, *RECORDS[1:3], RECORDS[6]), RECORDS[7:9]
Content = tuple[Record, ...]


def delimited(rows: Content, delimiter: str = ",", quote: str = '"', *, header: bool = True) -> str:
    """Spell rows as delimited text."""
    target = io.StringIO()
    writer = csv.writer(target, delimiter=delimiter, quotechar=quote, lineterminator="\n")
    if header:
        writer.writerow(Record.__dataclass_fields__)
    for row in rows:
        values = asdict(row) | {"moment": row.moment.isoformat(), "note": row.note or ""}
        writer.writerow(values.values())
    return target.getvalue()


def spoilt(text: str) -> str:
    """Append a row whose amount is no number."""
    return text + "99;Zepsuty;dwa złote;2025-01-01T00:00:00+00:00;\n"


def objects(rows: Content) -> list[str]:
    """Spell each row as a JSON object; a Decimal keeps all its digits."""
    return [
        json.dumps(asdict(row) | {"amount": "AMOUNT", "moment": row.moment.isoformat()}, ensure_ascii=False)
        .replace('"AMOUNT"', str(row.amount))
        for row in rows
    ]  # fmt: skip


def jsonl(rows: Content) -> str:
    """Spell rows as JSON lines."""
    return "".join(f"{line}\n" for line in objects(rows))


def array(rows: Content) -> str:
    """Spell rows as one JSON array."""
    return "[" + ",\n".join(objects(rows)) + "]"


def parquet(rows: Content) -> bytes:
    """Write rows as Parquet with exact types."""
    schema = pa.schema(
        [
            ("id", pa.int64()),
            ("name", pa.string()),
            ("amount", pa.decimal128(38, 9)),
            ("moment", pa.timestamp("us", "UTC")),
            ("note", pa.string()),
        ]
    )
    target = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([asdict(row) for row in rows], schema), target)
    return target.getvalue()


def zstd(raw: bytes) -> bytes:
    """Compress as one zstd frame."""
    packed: bytes = pa.compress(raw, codec="zstd", asbytes=True)
    return packed


@dataclass(frozen=True)
class FileSet:
    """How one file resource's objects are written: where, and as which bytes."""

    resource: str
    name: str
    encode: Callable[[Content], bytes]
    last_only: bool = False

    def first(self) -> dict[str, bytes]:
        """Return the objects of the first load, in order of age."""
        return self._named({"a": A, "b": B})

    def second(self) -> dict[str, bytes]:
        """Return what the change uploads, in order of age."""
        return self._named({"a": A_CHANGED, "c": C})

    def _named(self, contents: dict[str, Content]) -> dict[str, bytes]:
        return {self.name.format(key): self.encode(rows) for key, rows in contents.items()}

    def expected(self) -> tuple[Content, Content]:
        """Return the published rows after the first and the second load."""
        return (B, C) if self.last_only else ((*A, *B), (*A_CHANGED, *B, *C))


S3 = (
    FileSet(
        "csv_keyed",
        "csv/2025/{} x.csv.gz",
        lambda rows: (
            gzip.compress(spoilt(delimited(rows, ";")).encode("windows-1250"))
            if rows is B
            else gzip.compress(delimited(rows, ";").encode("windows-1250"))
        ),
    ),
    FileSet("parquet_latest", "parquet/{}.parquet", parquet, last_only=True),
    FileSet("jsonl_new", "jsonl/{}.jsonl.zst", lambda rows: zstd(jsonl(rows).encode())),
)
GCS = (
    FileSet("json_new", "json/{}.json.gz", lambda rows: gzip.compress(array(rows).encode())),
    FileSet("csv_all", "csv/{}.txt", lambda rows: delimited(rows, "|", "'", header=False).encode()),
    FileSet("parquet_keyed", "parquet/{}/x.parquet", parquet),
)
AZURE = (
    FileSet("jsonl_all", "jsonl/{}.jsonl.bz2", lambda rows: bz2.compress(jsonl(rows).encode())),
    FileSet("csv_new", "csv/{}.csv.zst", lambda rows: zstd(delimited(rows).encode())),
    FileSet("json_latest", "json/{}.json", lambda rows: array(rows).encode(), last_only=True),
)


def comparable(rows: Iterable[Record | dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return rows as sorted tuples; an empty note is NULL, as a CSV file cannot tell them apart."""
    tuples = [tuple((asdict(row) if isinstance(row, Record) else row).values()) for row in rows]
    return sorted(tuples, key=repr)
