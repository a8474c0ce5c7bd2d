"""Apache Parquet: the footer declares the schema, row groups stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from etl_factory.schema.rows import Batch
from etl_factory.sources.formats.base import BATCH_ROWS, Format, damaged_file_errors
from etl_factory.sources.specs import ParquetFormat


class Parquet(Format):
    """Parquet, whose values have exact types already."""

    is_text: ClassVar[bool] = False

    def __init__(self, spec: ParquetFormat) -> None:
        self.spec = spec

    def infer(self, stream: IO[bytes]) -> pa.Schema:
        """Return the footer's schema."""
        with damaged_file_errors():
            schema: pa.Schema = pq.ParquetFile(stream).schema_arrow
            return schema.remove_metadata()

    def read(self, stream: IO[bytes]) -> Iterator[Batch]:
        """Stream the rows."""
        number = 0
        with damaged_file_errors():
            for rows in pq.ParquetFile(stream).iter_batches(batch_size=BATCH_ROWS):
                records = pa.array(range(number + 1, number + 1 + rows.num_rows), pa.int64())
                number += rows.num_rows
                yield Batch(rows, records)
