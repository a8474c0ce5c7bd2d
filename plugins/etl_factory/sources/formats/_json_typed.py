"""Turns values that Arrow has parsed of JSON Lines into the types that are wanted of them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.types as t

from etl_factory.schema.casting import cast_column
from etl_factory.schema.types import Field, is_json, scalar_type
from etl_factory.sources.formats.parsed import bare


def as_wanted(rows: pa.RecordBatch, wanted: pa.Schema) -> pa.RecordBatch | None:
    """Return rows in the wanted types; None where a value does not fit: quarantine shows it as the file spells it.

    None too for what is wanted as JSON, of which cleaning may refuse any value. Numbers that no Arrow type holds as
    they are wanted stay JSON.
    """
    arrays = {}
    for name, values in zip(rows.schema.names, rows.columns, strict=True):
        taken = _taken(values, pa.field(name, wanted.field(name).type))
        if taken is None:
            return None
        arrays[name] = taken
    return rows_of(arrays, rows.num_rows)


def _taken(values: pa.Array, wanted: pa.Field) -> pa.Array | None:
    if values.null_count == len(values):
        return pa.nulls(len(values), None if t.is_nested(wanted.type) else wanted.type)
    if t.is_nested(wanted.type) or is_json(wanted.type):
        return None
    if values.type == wanted.type:
        return values
    spelt = values if t.is_string(values.type) or is_json(values.type) else as_json(values.cast(pa.string()))
    staged, bad = cast_column(spelt, spelt.type, Field(wanted.name, scalar_type(wanted.type, wanted.name)))
    if bad is not None:
        return None
    return staged if staged.type == wanted.type else spelt


def as_json(text: pa.Array) -> pa.Array:
    """Return JSON text as what it is."""
    return pa.ExtensionArray.from_storage(pa.json_(), text)


def rows_of(columns: dict[str, pa.Array], length: int) -> pa.RecordBatch:
    """Return rows of columns; there may be none."""
    return pa.RecordBatch.from_pydict(columns) if columns else bare(length)
