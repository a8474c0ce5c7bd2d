"""Every case of the run: who does what on which data, how often, in which environment, and for how long at most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.files import file_of
from benchmarks.scale import Scale
from benchmarks.shapes import tables

Place = Literal["project", "bench", "parsing"]
LATER = "ours, later loads"
LIMITS = {"postgres": "limits:postgres_copy", "mysql": "limits:mysql_quick"}


@dataclass(frozen=True)
class Case:
    """One thing that is measured again and again, each time in a process of its own.

    Cases of one `group` do the same on the same data; `who` does it. `place` names the environment of Python.
    """

    group: str
    who: str
    subject: str
    options: Mapping[str, Any] = field(default_factory=dict)
    place: Place = "project"
    rounds: int = 3
    seconds: int = 300


def cases(scale: Scale, work: Path, systems: tuple[str, ...] = ("postgres", "mysql")) -> list[Case]:
    """Return all cases of a scale in the order of one round."""
    found = [case for system in systems for case in _tables(system, scale)]
    found += [*_files(scale, work / "files"), *_objects(scale), *_parsing(scale)]
    found += [*_overhead(scale)] if "postgres" in systems else []
    return found


def _tables(system: str, scale: Scale) -> Iterator[Case]:
    for table in tables(scale.rows):
        on = {"system": system, "table": table.name, "rows": table.rows}
        group = f"{system}/{table.name.removeprefix('bench_')}"
        slow = table.name.endswith("_tenth")
        yield Case(group, "ours", "ours_tables:to_nowhere", on, rounds=scale.rounds)
        if slow:
            yield from _slow_tables(group, on, scale)
            continue
        yield Case(group, "limit", LIMITS[system], on, rounds=scale.rounds)
        yield Case(group, "stock operator", "stock:table", on | {"format": "csv"}, rounds=1)
        yield Case(group, "dlt fastest", "other_tools:dlt_table", on | {"backend": "connectorx"}, "bench",
                   min(scale.rounds, 2))  # fmt: skip
        if table.shape == "mixed":
            yield Case(group, "ours to GCS", "ours_tables:to_gcs", on, rounds=1)
            yield Case(group, "write only", "limits:table_to_parquet", on, rounds=scale.rounds)
            rounds = min(scale.rounds, 2)
            yield Case(group, "DuckDB scanner", "candidates:duckdb_scanner", on, "bench", rounds)
            yield Case(
                group, "DuckDB with casts", "candidates:duckdb_scanner", on | {"casts": True}, "bench", rounds
            )
            yield Case(group, "ConnectorX", "candidates:connectorx_stream", on, "bench", rounds)


def _slow_tables(group: str, on: dict[str, Any], scale: Scale) -> Iterator[Case]:
    rounds = min(scale.rounds, 2)
    yield Case(group, "dlt default", "other_tools:dlt_table", on | {"backend": ""}, "bench", rounds)
    if "mixed" in group:
        yield Case(group, "Sling", "other_tools:sling_table", on, "bench", rounds)
        yield Case(group, "pandas", "other_tools:pandas_table", on, "bench", rounds)


def _files(scale: Scale, folder: Path) -> Iterator[Case]:
    for kind in ("csv", "jsonl"):
        on = {"path": str(file_of(folder, kind, scale.file_rows)), "format": kind, "rows": scale.file_rows}
        csv = {**on, "path": str(file_of(folder, "csv", scale.file_rows)), "format": "csv"}
        yield Case(f"files/{kind}", "ours", "ours_files:sanitize", on, rounds=scale.rounds)
        later = on | {"is_later": True}
        yield Case(f"files/{kind}", LATER, "ours_files:sanitize", later, rounds=scale.rounds)
        yield Case(f"files/{kind}", "pandas", "other_tools:pandas_file", on, "bench", scale.rounds)
        yield Case(f"files/{kind}", "limit", "limits:arrow_csv", csv, rounds=scale.rounds)
        if kind == "jsonl":
            yield Case(f"files/{kind}", "pyarrow.json", "limits:arrow_json", on, rounds=scale.rounds)
        yield Case(f"files/{kind}", "write only", "limits:csv_to_parquet", csv, rounds=scale.rounds)
        yield Case(f"files/{kind}", "sequential read", "limits:sequential_read", on, rounds=scale.rounds)
    for name, kind in (("parquet", "parquet"), ("parquet_text", "text.parquet")):
        for size, rows in (("", scale.file_rows), ("_tenth", max(scale.file_rows // 10, 1))):
            on = {"path": str(file_of(folder, kind, rows)), "format": "parquet", "rows": rows}
            yield Case(f"files/{name}{size}", "ours", "ours_files:sanitize", on, rounds=scale.rounds)


def _objects(scale: Scale) -> Iterator[Case]:
    for store, stock in (("s3", "stock:s3"), ("azure_blob", "stock:azure")):
        for folder, count in scale.folders():
            on = {"store": store, "folder": folder, "objects": count, "rows": count}
            rounds = 1 if folder == "all" else min(scale.rounds, 2)
            yield Case(f"objects/{store}_{folder}", "ours", "ours_objects:copy", on, rounds=rounds)
            if folder == "tenth":
                far = {**on, "is_far": True}
                yield Case(f"objects/{store}_{folder}", "stock operator", stock, on, rounds=rounds)
                yield Case(f"objects/{store}_far", "ours", "ours_objects:copy", far, rounds=rounds)
                yield Case(f"objects/{store}_far", "stock operator", stock, far, rounds=rounds)


def _parsing(scale: Scale) -> Iterator[Case]:
    on = {"sources": scale.sources}
    yield Case("parsing/all", "ours", "parsing:ours", on, rounds=scale.rounds)
    yield Case("parsing/all", "by hand", "parsing:by_hand", on, rounds=scale.rounds)
    yield Case("parsing/all", "dag-factory", "parsing:dag_factory", on, "parsing", scale.rounds)
    yield Case("parsing/all", "Blueprint", "parsing:blueprint", on, "parsing", scale.rounds)
    yield Case("parsing/task_start", "ours", "parsing:ours_at_task_start", {"sources": 2 * scale.sources},
               rounds=scale.rounds)  # fmt: skip
    yield Case("parsing/dag_processor", "ours", "parsing:ours_by_the_dag_processor",
               {"sources": 3 * scale.sources}, rounds=1)  # fmt: skip
    yield Case("parsing/imports", "ours", "parsing:ours_imports", {"sources": 10}, rounds=1)


def _overhead(scale: Scale) -> Iterator[Case]:
    yield Case("overhead/first_run", "ours", "overhead:first_run", rounds=1)
    yield Case("overhead/empty_run", "ours", "overhead:empty_run", rounds=scale.rounds)
    modules = {
        "extract": "etl_factory.transfers.postgres_to_gcs",
        "sanitize": "etl_factory.operators.sanitize",
        "load": "etl_factory.operators.load",
        "publish": "etl_factory.operators.publish",
    }
    for step, module in modules.items():
        yield Case(f"imports/{step}", "ours", "overhead:imports", {"module": module}, rounds=1)
