"""Apache Parquet: the footer declares the schema, row groups stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from etl_factory.schema.rows import Batch
from etl_factory.schema.types import is_json
from etl_factory.sources.formats.base import BATCH_ROWS, Format, damaged_file_errors
from etl_factory.sources.specs import ParquetFormat


class Parquet(Format):
    """Parquet, whose values have exact types already."""

    is_text: ClassVar[bool] = False

    def __init__(self, spec: ParquetFormat) -> None:
        self.spec = spec

    def infer(self, stream: IO[bytes], limit: int | None = None) -> pa.Schema:
        """Return the footer's schema."""
        with damaged_file_errors():
            schema: pa.Schema = pq.ParquetFile(stream).schema_arrow
            return pa.schema([field.remove_metadata() for field in schema])

    def read(self, stream: IO[bytes]) -> Iterator[Batch]:
        """Stream the rows."""
        number = 0
        with damaged_file_errors():
            for rows in pq.ParquetFile(stream).iter_batches(batch_size=BATCH_ROWS):
                records = pa.array(range(number + 1, number + 1 + rows.num_rows), pa.int64())
                number += rows.num_rows
                yield Batch(_unparsed(rows), records)


def _unparsed(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Hand out JSON as the bytes it is in the file, since nobody has parsed them yet."""
    columns = [
        column.storage.cast(pa.binary()) if is_json(column.type) else column for column in rows.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=rows.schema.names)
