"""Arrow batches become Parquet parts of bounded size, streamed into the landing bucket."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import IO, TYPE_CHECKING

from etl_factory.landing.manifest import Part
from etl_factory.landing.objects import Landing

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

PART_BYTES = 256 * 1024 * 1024
GROUP_ROWS = 128 * 1024
GROUP_BYTES = 32 * 1024 * 1024
MOST_PENDING = 256  # batches of a few rows hold far more memory than their bytes


class PartWriter:
    """Write batches of one schema; a part exists only once it is closed without an error.

    Parts are named `<prefix>/<stem>-00000.parquet`; row groups and parts are bounded in bytes,
    so memory does not grow with the table. After the block, `parts` lists what was written.
    """

    def __init__(self, landing: Landing, prefix: str, schema: pa.Schema, *, stem: str = "part") -> None:
        self.landing, self.prefix, self.schema, self.stem = landing, prefix, schema, stem
        self.parts: list[Part] = []
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = self._pending_rows = self._rows = 0
        self._open: tuple[ExitStack, IO[bytes], pq.ParquetWriter] | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch of exactly the writer's schema."""
        self._pending.append(batch)
        self._pending_bytes += batch.nbytes
        self._pending_rows += batch.num_rows
        if self._pending_rows >= GROUP_ROWS or self._pending_bytes >= GROUP_BYTES:
            self._flush()
        elif len(self._pending) >= MOST_PENDING:
            self._join()

    def _join(self) -> None:
        import pyarrow as pa

        joined = pa.Table.from_batches(self._pending, self.schema).combine_chunks()
        self._pending = joined.to_batches()

    def _flush(self) -> None:
        import pyarrow as pa

        if not self._pending_rows:
            return
        _, stream, writer = self._open or self._start()
        writer.write_table(pa.Table.from_batches(self._pending, self.schema), row_group_size=GROUP_ROWS)
        self._rows += self._pending_rows
        self._pending, self._pending_bytes, self._pending_rows = [], 0, 0
        if stream.tell() >= PART_BYTES:
            self._finish()

    def _start(self) -> tuple[ExitStack, IO[bytes], pq.ParquetWriter]:
        import pyarrow.parquet as pq

        stack = ExitStack()
        stream = stack.enter_context(self.landing.create(self._uri()))
        writer = pq.ParquetWriter(stream, self.schema, compression="zstd", compression_level=1)
        self._open = (stack, stream, writer)
        return self._open

    def _uri(self) -> str:
        return f"{self.prefix}/{self.stem}-{len(self.parts):05d}.parquet"

    def _finish(self) -> None:
        if self._open is None:
            return
        stack, _, writer = self._open
        with stack:
            writer.close()
        self._open = None
        self.parts.append(replace(self.landing.stat(self._uri()), rows=self._rows))
        self._rows = 0

    def _abandon(self, error: BaseException) -> None:
        """Leave no part behind that was not closed, whatever went wrong in the block or in closing it."""
        if self._open is None:
            return
        stack, _, writer = self._open
        self._open = None
        writer.is_open = False  # else it would write its footer when it is collected
        stack.__exit__(type(error), error, error.__traceback__)

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._abandon(error)
            return
        try:
            self._flush()
            self._finish()
        except BaseException as failure:
            self._abandon(failure)
            raise
