"""Cleans batches: legal names, exact types, and every row that does not fit set aside with its reason."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from etl_factory.schema.casting import cast_column, decoded
from etl_factory.schema.contract import Column, Contract, Decision, decide, leave_out
from etl_factory.schema.naming import name_columns
from etl_factory.schema.records import record_field
from etl_factory.schema.rejecting import bad_rows, rejected
from etl_factory.schema.rows import Batch, Reject
from etl_factory.schema.spelling import PLAIN, Spelling
from etl_factory.schema.types import Field, field_of, is_untyped, staged_arrow, taken_as
from etl_factory.schema.wanted import Wanted, choose, demand

SOURCE_URI = Field("_etl_source_uri", "STRING")
RECORD = Field("_etl_record", "INT64")
# Every value of their Arrow type is one of BigQuery's; text may be no UTF-8, and a date off the calendar.
EXACT = ("BOOL", "INT64", "FLOAT64", "NUMERIC", "BYTES")


@dataclass(frozen=True)
class Cleaning:
    """How one resource's batches are cleaned: its columns, the declared type of each, and how text spells them.

    `is_text`: the declared types are guesses from spelt values, which change no value. `keys` are the source's own
    names of the primary key, by which a bad row is told.
    """

    columns: tuple[Column, ...]
    declared: pa.Schema
    is_file: bool
    is_text: bool = False
    spelling: Spelling = PLAIN
    keys: tuple[str, ...] = ()

    @property
    def staged(self) -> tuple[Field, ...]:
        """Fields of the staging table, in order."""
        fields = tuple(column.field for column in self.columns if not column.must_be_null)
        return (*fields, SOURCE_URI, RECORD) if self.is_file else fields

    @property
    def arrow(self) -> pa.Schema:
        """Arrow schema of the clean parts."""
        return pa.schema([pa.field(field.name, staged_arrow(field)) for field in self.staged])

    @property
    def wanted(self) -> pa.Schema:
        """The types in which this cleaning takes values as they are, by the names that the data has."""
        columns = {column.original: column for column in self.columns}
        return pa.schema(
            [of.remove_metadata().with_type(_taken_as(columns.get(of.name), of.type)) for of in self.declared]
        )

    @property
    def has_columns(self) -> bool:
        """Whether any column of the data is staged."""
        return any(not column.must_be_null for column in self.columns)

    def keeps(self, schema: pa.Schema) -> bool:
        """Whether rows of `schema` have the very names and types that clean rows have."""
        own = all(column.original == column.field.name for column in self.columns)
        return own and schema.equals(self.arrow)

    @property
    def bare(self) -> Cleaning:
        """The same cleaning of rows that are staged without the file and the record that each is from."""
        return replace(self, is_file=False)

    def spelt(self, spelling: Spelling) -> Cleaning:
        """The same cleaning of text in a spelling; raises SchemaError for a format of a column that is not there."""
        if self.declared.names:
            demand(spelling.dates, self.declared.names, "format.dates")
        return replace(self, spelling=spelling)

    @property
    def doubtful(self) -> Cleaning:
        """The same cleaning of those columns alone whose values must be looked at even if their type is right."""
        columns = tuple(column for column in self.columns if column.field.type not in EXACT)
        return replace(self, columns=columns)


def _taken_as(column: Column | None, declared: pa.DataType) -> pa.DataType:
    """Return the type in which a column's values are taken; as JSON, where a filled one makes its row a bad one."""
    if column and not column.must_be_null:
        return taken_as(column.field)
    return pa.json_() if column and not is_untyped(declared) else declared


@dataclass(frozen=True)
class Cleaned:
    """Clean rows, rows set aside, and single values set aside whose rows stay."""

    rows: pa.RecordBatch
    rejects: tuple[Reject, ...]
    discarded: tuple[Reject, ...]


def plan_cleaning(
    declared: pa.Schema, wanted: Wanted, published: tuple[Field, ...] | None, contract: Contract, *,
    is_file: bool, is_text: bool,
) -> tuple[Cleaning, Decision]:  # fmt: skip
    """Choose columns, names and types; raises SchemaError as naming, types and contract do."""
    originals = choose(declared.names, wanted)
    names = name_columns(originals, dict(wanted.rename))
    demand(wanted.types, originals, "columns.types")
    demand(wanted.unfit_in, originals, "columns.on_unrepresentable")
    types = wanted.settled(pa.schema([declared.field(original) for original in originals]))
    incoming = {
        original: Field(names[original], types[original])
        if original in types
        else _incoming(declared.field(original), names[original], published or (), records=wanted.records)
        for original in originals
    }
    typed = {original: field for original, field in incoming.items() if field}
    untyped = {original: names[original] for original in originals if original not in typed}
    decision = decide(typed, published, contract, is_text=is_text, settled=types)
    decision = leave_out(untyped, decision, contract.table)
    decision = replace(decision, columns=tuple(map(wanted.lenient, decision.columns)))
    return Cleaning(decision.columns, declared, is_file, is_text), decision


def _incoming(arrow: pa.Field, name: str, published: tuple[Field, ...], *, records: bool) -> Field | None:
    """Return a column's own field; a column of NULLs says nothing, so it takes the published type or has none."""
    known = {held.name.lower(): held for held in published}.get(name.lower())
    if not is_untyped(arrow.type):
        return record_field(arrow, name) if records else field_of(arrow, name)
    if known is None:
        return None
    if known.is_nested:
        return replace(known, name=name) if records else field_of(arrow, name)
    return Field(name, known.type)


def plan_bare(published: tuple[Field, ...] | None, contract: Contract) -> tuple[Cleaning, Decision]:
    """Plan for files that name no column, as empty files and `{}` records: every published column is NULL."""
    scalars = (field for field in published or () if not field.is_nested)
    incoming = {field.name: Field(field.name, field.type) for field in scalars}
    decision = decide(incoming, published, contract, is_text=False)
    return Cleaning(decision.columns, pa.schema([]), is_file=True), decision


def clean(batch: Batch, cleaning: Cleaning, source_uri: str | None = None) -> Cleaned:
    """Cast every column; rows with a value that cannot be cast are set aside, whole, with that value."""
    rows, length = batch.rows, batch.rows.num_rows
    arrays: list[pa.Array] = []
    bad: list[tuple[Column, pa.Array]] = []
    for column in cleaning.columns:
        array, mask = _column(rows, column, cleaning)
        if mask is not None:
            bad.append((column, mask))
        if not column.must_be_null:
            arrays.append(array)
    if cleaning.is_file:
        arrays += [pa.repeat(pa.scalar(source_uri, pa.string()), length), batch.records.cast(pa.int64())]
    cleaned = pa.RecordBatch.from_arrays(arrays, schema=cleaning.arrow)
    return _set_aside(batch, cleaned, bad, cleaning)


def _column(rows: pa.RecordBatch, column: Column, cleaning: Cleaning) -> tuple[pa.Array, pa.Array | None]:
    index = rows.schema.get_field_index(column.original)
    if index < 0:
        return pa.nulls(rows.num_rows, staged_arrow(column.field)), None
    array = rows.column(index)
    if column.must_be_null:
        filled = pc.is_valid(decoded(array))
        return array, filled if pc.any(filled).as_py() else None
    values = cleaning.spelling.plain(array, column.original, column.field.type)
    declared = values.type if cleaning.is_text else cleaning.declared.field(column.original).type
    return cast_column(values, declared, column.field, drops=column.drops_new_parts)


def _set_aside(
    batch: Batch, cleaned: pa.RecordBatch, bad: list[tuple[Column, pa.Array]], cleaning: Cleaning
) -> Cleaned:
    if not bad:
        return Cleaned(cleaned, (), ())
    keep = [True] * batch.rows.num_rows
    rejects: list[Reject] = []
    discarded: list[Reject] = []
    packed_as = None if cleaning.is_file else cleaning.declared
    for index, columns in bad_rows(batch, bad):
        for column in columns:
            if column.on_misfit == "discard_value":
                discarded.append(rejected(batch, index, column, cleaning.keys, packed_as))
            elif keep[index]:
                keep[index] = False
                rejects.append(rejected(batch, index, column, cleaning.keys, packed_as))
    return Cleaned(cleaned.filter(pa.array(keep)), tuple(rejects), tuple(discarded))
