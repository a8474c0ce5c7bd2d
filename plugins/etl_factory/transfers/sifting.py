"""Takes out of a file what may not be kept, while it comes from its source: nothing of that is ever written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc

from etl_factory.config.resource import Resource
from etl_factory.errors import SchemaError, StaleError, about
from etl_factory.landing.manifest import Part
from etl_factory.landing.objects import Landing
from etl_factory.schema.masking import Masking, mask_column, masked_field
from etl_factory.schema.naming import column_name
from etl_factory.schema.rows import Batch, Reject, first_records
from etl_factory.sources.base import FileSource, SourceObject
from etl_factory.sources.formats import format_of
from etl_factory.sources.formats.base import Format
from etl_factory.sources.formats.parsed import bare, write_parsed
from etl_factory.sources.specs import Columns, CsvFormat, Files, ParquetFormat
from etl_factory.transfers.masking import maskings_of
from etl_factory.transfers.streaming import Copy, exists, taken

WITHHELD = "its text is withheld, since columns leaves out or masks some of it"
UNCUT = "no date or moment that date_trunc can cut; it is withheld, since columns masks it"


def sift_copy(source: FileSource, resource: Resource, limit: int | None) -> Copy:
    """Return a copy that parses the object as it comes, and writes only what config lets through.

    It raises StaleError when the source's version is gone, SchemaError when a column to hide is not found under
    its name, and TerminalError for a file that cannot be cut into records; both name the object.
    """
    assert isinstance(resource.spec, Files)
    spec = resource.spec
    sieve = Sieve(
        resource.spec.columns,
        maskings_of(resource),
        names_columns=isinstance(spec.format, CsvFormat | ParquetFormat),
    )

    def copy(source_object: SourceObject, uri: str, landing: Landing) -> Part:
        reader = format_of(spec.format)
        try:
            with about(source_object.uri), closing(source.open(source_object)) as stream:
                declared = sieve.declared(reader, stream)
                batches = first_records(sieve.sifted(reader, stream, declared), limit)
                with landing.create(uri) as target:
                    write_parsed(target, sieve.written(declared), batches, reader)
        except StaleError as error:
            if exists(landing, uri):
                raise taken(source_object, uri) from error
            raise
        return landing.stat(uri)

    return copy


@dataclass(frozen=True)
class Sieve:
    """What of a file passes. `names_columns`: the file itself names its columns, so that each must be there."""

    columns: Columns
    maskings: Mapping[str, Masking]
    names_columns: bool

    def declared(self, reader: Format, stream: IO[bytes]) -> pa.Schema:
        """Return the schema that the file declares; empty where its values are spelt."""
        if reader.is_text:
            return pa.schema([])
        declared = reader.infer(stream)
        stream.seek(0)
        self.check(declared.names)
        return declared

    def written(self, declared: pa.Schema) -> pa.Schema:
        """Return the declared schema of what passes."""
        fields = [field for field in declared if self._passes(field.name)]
        return pa.schema(
            [masked_field(f, self.maskings[f.name]) if f.name in self.maskings else f for f in fields]
        )

    def sifted(self, reader: Format, stream: IO[bytes], declared: pa.Schema) -> Iterator[Batch]:
        """Stream the records that the format reads, without what may not be kept."""
        types = {field.name: field.type for field in declared}
        for batch in reader.read(stream):
            if batch.rows.schema.names:
                self.check(batch.rows.schema.names)
            yield self.sift(batch, types)

    def check(self, names: list[str]) -> None:
        """Raise SchemaError where a column to hide is not there, but another is that may be it."""
        hidden = (*self.columns.exclude, *self.maskings)
        bare = (name for name in names if self._passes(name) and name not in (*hidden, *self.columns.rename))
        like = {column_name(name): name for name in bare}
        for name in hidden:
            key = "mask" if name in self.maskings else "exclude"
            if name not in names and (other := like.get(column_name(name))):
                raise SchemaError(
                    f"columns.{key} names {name!r}, which the data does not have: did you mean {other!r}?"
                )
            self._demand(name, key, names, like.get(column_name(name)))

    def _demand(self, name: str, key: str, names: list[str], other: str | None) -> None:
        """Raise SchemaError where values to hide may be under another name; what a file without a header has for
        names may be such values, so that the error tells none."""
        if name not in names and key == "mask" and self.names_columns:
            raise SchemaError(
                f"columns.mask names {name!r}, which the data does not have: nothing was kept of them, since its values"
                " may be there under another name, or the file may have no header. Correct the name, or look at the"
                " file"
            )
        if other and (key == "mask" or not self.names_columns):
            raise SchemaError(
                f"columns.{key} hides {name!r}, but the data also has {other!r}, which nothing hides: mask or exclude"
                " it too, or give it another name under columns.rename"
            )

    def _passes(self, name: str) -> bool:
        return (not self.columns.include or name in self.columns.include) and name not in self.columns.exclude

    def sift(self, batch: Batch, types: Mapping[str, pa.DataType]) -> Batch:
        """Return the batch without what may not be kept; a value that no mask can take makes a reject of its row."""
        rows, rejects = batch.rows, tuple(map(withheld, batch.rejects))
        arrays: dict[str, pa.Array] = {}
        uncut: dict[int, str] = {}
        for name, column in zip(rows.schema.names, rows.columns, strict=True):
            if self._passes(name):
                arrays[name], bad = self._column(name, column, types)
                uncut |= dict.fromkeys(bad, name)
        named = _rows(arrays, rows.num_rows)
        if not uncut:
            return Batch(named, batch.records, rejects, batch.line_offset)
        keep = pa.array([index not in uncut for index in range(rows.num_rows)], pa.bool_())
        numbers = batch.records.to_pylist()
        aside = (
            Reject(numbers[i], batch.line(numbers[i]), name, "", UNCUT, "")
            for i, name in sorted(uncut.items())
        )
        return Batch(named.filter(keep), batch.records.filter(keep), (*rejects, *aside), batch.line_offset)

    def _column(
        self, name: str, column: pa.Array, types: Mapping[str, pa.DataType]
    ) -> tuple[pa.Array, list[int]]:
        if name not in self.maskings:
            return column, []
        text, bad = mask_column(column, types.get(name), self.maskings[name])
        return text, [] if bad is None else pc.indices_nonzero(bad).to_pylist()


def withheld(reject: Reject) -> Reject:
    """Return a reject without its text; of its reason only what can quote nothing."""
    return replace(reject, value="", row="", reason=f"{reject.reason.partition(':')[0]}; {WITHHELD}")


def _rows(arrays: Mapping[str, pa.Array], length: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays)) if arrays else bare(length)
