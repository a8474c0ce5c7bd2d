"""The files that are converted: CSV, JSON Lines and Parquet of the same rows, made from row numbers alone."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)


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
    """Write the rows as Parquet whose names and types are clean already."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    block = 50_000
    made = list(records(min(rows, block)))
    table = pa.Table.from_pylist(made)
    with pq.ParquetWriter(path, table.schema, compression="zstd") as writer:
        for start in range(0, rows, block):
            writer.write_table(table.slice(0, min(block, rows - start)))


def make_files(folder: Path, rows: int) -> None:
    """Make all files that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = {"csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet}
    for kind, write in kinds.items():
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
