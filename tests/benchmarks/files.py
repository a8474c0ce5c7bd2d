"""The files that are converted: CSV, JSON Lines and Parquet of the same rows, made from row numbers alone."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
BLOCK = 50_000  # rows of Parquet that are made; the rest repeats them


def records(rows: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of a price list: integers, decimals, floats, text, booleans, dates, times and NULLs."""
    for i in range(1, rows + 1):
        yield {
            "id": i,
            "sku": f"{i * 7 % 100000:06d}X",
            "name": f"Zażółć gęślą {i % 977}",
            "price": f"{i % 100000 / 100:.2f}",
            "weight": i / 7,
            "stock": i % 500 if i % 11 else None,
            "is_active": i % 3 > 0,
            "category": f"c{i % 40}",
            "comment": f'said "{i}", twice' if i % 5 == 0 else None,
            "valid_from": (BEGIN + timedelta(days=i % 700)).date().isoformat(),
            "updated_at": (BEGIN + timedelta(seconds=i)).isoformat(),
            "supplier": f"supplier {i % 13}",
        }


def write_csv(path: Path, rows: int, *, without: frozenset[str] = frozenset()) -> None:
    """Write the rows as CSV with a header, but for the columns `without`; NULL is an empty field."""
    names = [name for name in next(records(1)) if name not in without]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(records(rows))


def write_jsonl(path: Path, rows: int) -> None:
    """Write the rows as one JSON object per line."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records(rows))


def write_parquet(path: Path, rows: int) -> None:
    """Write the rows, without their text, as Parquet whose names and types are clean already."""
    _write_parquet(path, rows, [_typed(record) for record in records(min(rows, BLOCK))])


def write_parquet_with_text(path: Path, rows: int) -> None:
    """Write the rows as Parquet whose names and types are clean already."""
    made = list(records(min(rows, BLOCK)))
    _write_parquet(path, rows, [record | _typed(record) for record in made])


def _typed(record: dict[str, Any]) -> dict[str, Any]:
    """Return a row's values that are no text, in types of their own."""
    values = {name: record[name] for name in ("id", "weight", "stock", "is_active")}
    values["price"] = Decimal(record["price"])
    values["valid_from"] = date.fromisoformat(record["valid_from"])
    return values | {"updated_at": datetime.fromisoformat(record["updated_at"])}


def _write_parquet(path: Path, rows: int, block: list[dict[str, Any]]) -> None:
    """Write a block of rows again and again, as row groups of the writer's usual size."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(block)
    blocks = [table.slice(0, min(BLOCK, rows - start)) for start in range(0, rows, BLOCK)]
    pq.write_table(pa.concat_tables(blocks), path, compression="zstd")


WRITERS: dict[str, Callable[[Path, int], None]] = {
    "csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet, "text.parquet": write_parquet_with_text,
}  # fmt: skip


def make_files(folder: Path, rows: int) -> None:
    """Make all files that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, write in WRITERS.items():
        for size in (rows, max(rows // 10, 1)):
            path = file_of(folder, kind, size)
            if not path.exists():
                write(path.with_suffix(".part"), size)
                path.with_suffix(".part").rename(path)


def file_of(folder: Path, kind: str, rows: int) -> Path:
    """Return where the file of a format and a number of rows is."""
    return folder / f"prices_{rows}.{kind}"


def blobs(count: int, size: int) -> Iterator[tuple[str, bytes]]:
    """Yield objects by name, whose bytes no compression shortens."""
    noise = random.Random(20250101).randbytes(size + count)
    for number in range(count):
        yield f"drop/{number:05d}.bin", noise[number : number + size]
