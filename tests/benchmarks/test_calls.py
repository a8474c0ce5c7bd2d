"""The hot paths do next to nothing per row in Python: a guard that no noise of the machine can move."""

from __future__ import annotations

import pytest

from benchmarks import calls

# A batch has thousands of rows, so what is done per batch and column stays far below one call per ten rows.
VECTORISED = 100_000


def test_the_counter_counts_calls_per_row() -> None:
    def prepared(rows: int) -> calls.Work:
        return lambda: [abs(number) for number in range(rows)]

    assert calls.per_million_rows(prepared, 100, 200) == pytest.approx(1e6)


@pytest.mark.parametrize("path", ["csv", "csv_with_floats", "jsonl", "sanitize"])
def test_files_and_parts_are_handled_by_column(path: str) -> None:
    assert calls.per_million_rows(getattr(calls, path)) <= VECTORISED


def test_a_clean_parquet_file_costs_the_same_whatever_its_size() -> None:
    assert calls.per_million_rows(calls.clean_parquet, 5_000, 15_000) == 0


@pytest.mark.stack
@pytest.mark.parametrize(
    ("system", "most"),
    # MariaDB's JSON may hold gigabytes in a value: few rows are fetched at a time, and their bytes are counted.
    [("postgres", VECTORISED), ("mysql", 2 * VECTORISED)],
)
def test_tables_are_read_by_column(system: str, most: int, stack: dict[str, str]) -> None:
    assert calls.per_million_rows(getattr(calls, system)) <= most
