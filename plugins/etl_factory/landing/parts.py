"""Arrow batches become Parquet parts of bounded size, streamed into the landing bucket."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from etl_factory.landing.aside import Aside
from etl_factory.landing.behind import Behind
from etl_factory.landing.manifest import Part
from etl_factory.landing.objects import Landing

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

PART_BYTES = 256 * 1024 * 1024
GROUP_ROWS = 128 * 1024
GROUP_BYTES = 8 * 1024 * 1024  # one group is filled while another is compressed and sent
# Without dictionaries, writing takes half as long, and zstd makes the parts no larger: it finds what repeats itself.
# Nobody asks a part for its statistics: it is loaded whole.
OPTIONS: Final[dict[str, Any]] = {
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": False,
    "write_statistics": False,
}
MOST_PENDING = 256  # batches of a few rows hold far more memory than their bytes


class PartWriter:
    """Write batches of one schema; a part exists only once it is closed without an error.

    Parts are named `<prefix>/<stem>-00000.parquet`; row groups and parts are bounded in bytes,
    so memory does not grow with the table. A group is compressed and sent by a thread, while the caller reads the
    next one: an error there is raised by the write that fills a group after it, or at the end. After the block,
    `parts` lists what was written.
    """

    def __init__(self, landing: Landing, prefix: str, schema: pa.Schema, *, stem: str = "part") -> None:
        self.landing, self.prefix, self.schema, self.stem = landing, prefix, schema, stem
        self.parts: list[Part] = []
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = self._pending_rows = self._rows = 0
        self._open: tuple[ExitStack, Behind, pq.ParquetWriter] | None = None
        self._writing = Aside("parquet")

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch of exactly the writer's schema."""
        self._pending.append(batch)
        self._pending_bytes += batch.nbytes
        self._pending_rows += batch.num_rows
        if self._pending_rows >= GROUP_ROWS or self._pending_bytes >= GROUP_BYTES:
            self._writing.do(self._write_group, self._taken())
        elif len(self._pending) >= MOST_PENDING:
            self._join()

    def _taken(self) -> pa.Table:
        import pyarrow as pa

        group = pa.Table.from_batches(self._pending, self.schema)
        self._pending, self._pending_bytes, self._pending_rows = [], 0, 0
        return group

    def _join(self) -> None:
        import pyarrow as pa

        joined = pa.Table.from_batches(self._pending, self.schema).combine_chunks()
        self._pending = joined.to_batches()

    def _write_group(self, group: pa.Table) -> None:
        _, stream, writer = self._open or self._start()
        writer.write_table(group, row_group_size=GROUP_ROWS)
        self._rows += group.num_rows
        if stream.tell() >= PART_BYTES:
            self._finish()

    def _start(self) -> tuple[ExitStack, Behind, pq.ParquetWriter]:
        import pyarrow.parquet as pq

        stack = ExitStack()
        stream = Behind(stack.enter_context(self.landing.create(self._uri())))
        stack.callback(stream.stop)
        writer = pq.ParquetWriter(stream, self.schema, **OPTIONS)
        self._open = (stack, stream, writer)
        return self._open

    def _uri(self) -> str:
        return f"{self.prefix}/{self.stem}-{len(self.parts):05d}.parquet"

    def _finish(self) -> None:
        if self._open is None:
            return
        stack, stream, writer = self._open
        with stack:
            writer.close()
            stream.settle()
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
        try:
            if error is None:
                self._writing.settle()
                if self._pending_rows:
                    self._write_group(self._taken())
                self._finish()
        except BaseException as failure:
            error = failure
            raise
        finally:
            self._end(error)

    def _end(self, error: BaseException | None) -> None:
        """Leave no thread behind; after an error, what is not sent yet is not sent any more."""
        opened = self._open  # once: its own thread may be closing it
        if error is not None and opened:
            opened[1].give_up()
        try:
            self._writing.stop()
        finally:
            if error is not None:
                self._abandon(error)
