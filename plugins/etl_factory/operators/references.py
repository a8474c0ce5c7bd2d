"""Finds the file that needs no cleaning at all, so that the copy which extract has made is loaded itself."""

from __future__ import annotations

import re
from dataclasses import replace

import pyarrow.parquet as pq

from etl_factory.config.resource import Resource
from etl_factory.errors import about
from etl_factory.landing.manifest import Manifest, Part
from etl_factory.landing.objects import Landing
from etl_factory.operators.declaring import origin
from etl_factory.schema.as_is import chunks_of, is_loadable, is_proven, loads_as_is
from etl_factory.schema.casting import cast_column
from etl_factory.schema.contract import Column
from etl_factory.schema.sanitize import Cleaning
from etl_factory.sources.formats.base import BATCH_ROWS, damaged_file_errors
from etl_factory.sources.specs import Files, ParquetFormat

# BigQuery takes a `*` in an address for any text, and no two slashes in a row:
# https://cloud.google.com/bigquery/docs/batch-loading-data#load_wildcards
_ADDRESS = re.compile(r"gs:/(/[A-Za-z0-9_.=-]+)+")


def referred(resource: Resource, landing: Landing, manifest: Manifest, cleaning: Cleaning) -> Part | None:
    """Return the load's only object, with its rows, if cleaning would change nothing of it; None if it might.

    Its footer is read, and of its columns those of which that proves too little, as it does of text.
    Raises TerminalError for a damaged file, as cleaning does.
    """
    if len(manifest.parts) != 1 or not _may_be(resource, manifest):
        return None
    (part,) = manifest.parts
    with landing.open(part) as stream, about(origin(part)), damaged_file_errors():
        file = pq.ParquetFile(stream)
        if not _keeps(cleaning, file) or not _holds(cleaning, file):
            return None
        return replace(part, rows=file.metadata.num_rows)


def demand_readable(landing: Landing, part: Part) -> None:
    """Read a file whole; raises TerminalError, as cleaning does, when it is damaged."""
    with landing.open(part) as stream, about(origin(part)), damaged_file_errors():
        for _ in pq.ParquetFile(stream).iter_batches(batch_size=BATCH_ROWS):
            continue


def _may_be(resource: Resource, manifest: Manifest) -> bool:
    """Tell whether the rows are wanted whole, and each without its place in the file, by which keys are ranked."""
    spec, plan, (part,) = resource.spec, manifest.plan, manifest.parts
    is_parquet = isinstance(spec, Files) and isinstance(spec.format, ParquetFormat)
    is_raw = is_parquet and not manifest.extra.get("parsed") and part.source is not None
    is_whole = plan.row_limit is None and plan.mode != "replay"
    return is_raw and is_whole and not spec.primary_key and bool(_ADDRESS.fullmatch(part.uri))


def _keeps(cleaning: Cleaning, file: pq.ParquetFile) -> bool:
    """Tell whether the file has just the columns that clean rows have, each as BigQuery is to load it."""
    columns, schema = cleaning.columns, file.schema_arrow
    if [column.original for column in columns] != schema.names or len(file.schema) != len(schema):
        return False
    return is_loadable(file.metadata) and all(
        _is_own(column) and loads_as_is(file.schema.column(place), schema.types[place], column.field)
        for place, column in enumerate(columns)
    )


def _is_own(column: Column) -> bool:
    return column.original == column.field.name and not column.must_be_null


def _holds(cleaning: Cleaning, file: pq.ParquetFile) -> bool:
    """Tell whether all values can be loaded, by the footer or, where it does not say so, by the values."""
    doubtful = {
        column.field.name: column.field
        for place, column in enumerate(cleaning.columns)
        if not is_proven(file.schema.column(place), chunks_of(file.metadata, place), column.field)
    }
    if not doubtful:
        return True
    batches = file.iter_batches(batch_size=BATCH_ROWS, columns=list(doubtful))
    return all(
        cast_column(values, values.type, doubtful[name])[1] is None
        for rows in batches
        for name, values in zip(rows.schema.names, rows.columns, strict=True)
    )
