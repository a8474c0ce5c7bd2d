"""File formats: each turns one object's bytes into batches, losing no record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_factory.sources.specs import CsvFormat, JsonFormat, JsonLinesFormat, ParquetFormat

if TYPE_CHECKING:
    from etl_factory.sources.formats.base import Format


def format_of(spec: CsvFormat | JsonLinesFormat | JsonFormat | ParquetFormat) -> Format:
    """Return the reader of a format spec."""
    from etl_factory.sources.formats import csv, json, parquet

    if isinstance(spec, CsvFormat):
        return csv.Csv(spec)
    if isinstance(spec, JsonLinesFormat):
        return json.JsonLines(spec)
    return json.JsonObjects(spec) if isinstance(spec, JsonFormat) else parquet.Parquet(spec)
