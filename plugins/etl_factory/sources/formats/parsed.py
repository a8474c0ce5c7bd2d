"""Records that extract has parsed already, since not all that their file holds may be kept.

Each batch is one Arrow IPC stream: its columns as the format reads them, at last their record numbers, and in its
metadata the records that were no rows. Before the first stands the declared schema, which is empty where values
are spelt; the last one's metadata counts all records, so that a part that is cut off is noticed.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict
from typing import IO, ClassVar

import pyarrow as pa

from etl_factory.errors import TerminalError
from etl_factory.schema.rows import Batch, Reject, first_records
from etl_factory.sources.formats.base import Format, Seen, Spelt

_REJECTS, _OFFSET, _COUNT, _FINDINGS, _RECORD = b"rejects", b"line", b"count", b"findings", "_etl_record"


def write_parsed(stream: IO[bytes], declared: pa.Schema, batches: Iterable[Batch], reader: Format) -> None:
    """Write the declared schema, all batches, how many records there were, and what their reader has detected."""
    _write(stream, declared)
    count = 0
    for batch in batches:
        columns = [*batch.rows.columns, batch.records.cast(pa.int64())]
        rows = pa.RecordBatch.from_arrays(columns, names=[*batch.rows.schema.names, _RECORD])
        rejects = json.dumps([asdict(reject) for reject in batch.rejects])
        told = {_REJECTS: rejects, _OFFSET: json.dumps(batch.line_offset)}
        _write(stream, rows.schema.with_metadata(told), rows)
        count += len(batch)
    _write(stream, pa.schema([], {_COUNT: str(count), _FINDINGS: json.dumps(reader.findings)}))


def _write(stream: IO[bytes], schema: pa.Schema, *batches: pa.RecordBatch) -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        for batch in batches:
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))
    stream.write(sink.getvalue().to_pybytes())


def parsed(format_: Format) -> Format:
    """Return the reader of what `write_parsed` has written of files of a format."""
    return ParsedText(format_) if isinstance(format_, Spelt) else Parsed()


class Parsed(Format):
    """Reads what `write_parsed` has written."""

    is_text: ClassVar[bool] = False

    def infer(self, stream: IO[bytes], limit: int | None = None) -> pa.Schema:
        """Return the declared schema."""
        declared, *_ = _next(stream)
        return declared.remove_metadata()

    def read(self, stream: IO[bytes]) -> Iterator[Batch]:
        """Stream the batches as they were parsed."""
        _next(stream)
        yield from self._batches(stream)

    def _batches(self, stream: IO[bytes]) -> Iterator[Batch]:
        self.findings, read = (), 0
        while True:
            schema, rows = _next(stream)
            if _COUNT in (schema.metadata or {}):
                break
            rejects = tuple(Reject(**document) for document in json.loads(schema.metadata[_REJECTS]))
            for batch in rows:
                columns, records = batch.columns[:-1], batch.columns[-1]
                named = (
                    pa.RecordBatch.from_arrays(columns, names=schema.names[:-1])
                    if columns
                    else bare(len(records))
                )
                found = Batch(named, records, rejects, json.loads(schema.metadata[_OFFSET]))
                read += len(found)
                yield found
        if read != int(schema.metadata[_COUNT]):
            raise _damaged()
        self.findings = tuple(json.loads(schema.metadata[_FINDINGS]))


class ParsedText(Parsed, Spelt):
    """Reads what `write_parsed` has written, and sees in it what the `format` sees in the file itself."""

    is_text: ClassVar[bool] = True
    infer = Spelt.infer

    def __init__(self, format_: Spelt) -> None:
        self.format, self.spelling = format_, format_.spelling

    def look(self, stream: IO[bytes], limit: int | None = None) -> Generator[Seen, None, None]:
        """Stream the records, or the first ones, with what they show."""
        batches = self.read(stream)
        yield from self.look_at(first_records(batches, limit))
        for _ in batches:  # what was detected in the file stands at the end
            continue

    def look_at(self, batches: Iterator[Batch]) -> Generator[Seen, None, None]:
        """Pass records with what they show to the format."""
        return self.format.look_at(batches)


def _next(stream: IO[bytes]) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    try:
        with pa.ipc.open_stream(stream) as reader:
            return reader.schema, list(reader)
    except (pa.ArrowInvalid, OSError, EOFError) as error:
        raise _damaged() from error


def _damaged() -> TerminalError:
    return TerminalError("the parsed records in landing are not whole. Clear the run from `extract`")


def bare(length: int) -> pa.RecordBatch:
    """Return rows that have no column."""
    return pa.RecordBatch.from_struct_array(pa.array([{}] * length, pa.struct([])))
