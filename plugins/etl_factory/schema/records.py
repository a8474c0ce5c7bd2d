"""RECORDs and lists: the fields that hold nested JSON values, and the cast into them, leaf by leaf.

What BigQuery cannot hold as such stays JSON: lists in lists, objects without a value, more than 15 levels.
https://cloud.google.com/bigquery/docs/nested-repeated#limitations
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.types as t
import simplejson

from etl_factory.errors import SchemaError
from etl_factory.schema.documents import spell_json
from etl_factory.schema.naming import column_name
from etl_factory.schema.parsing import Parsed
from etl_factory.schema.types import Field, field_of, is_untyped, staged_arrow

DEEPEST = 15
Leaf = Callable[[pa.Array, Field], Parsed]
_DECODER = simplejson.JSONDecoder(parse_float=Decimal)


def record_field(arrow: pa.Field, name: str, depth: int = 1) -> Field:
    """Return the field that holds every value of an Arrow field, as RECORD and REPEATED where it has that shape.

    A part without any value is left out. Raises SchemaError when two keys of an object get one name.
    """
    if t.is_struct(arrow.type):
        parts = _parts(arrow, depth) if depth <= DEEPEST else ()
        return Field(name, "RECORD", fields=parts) if parts else Field(name, "JSON")
    if t.is_list(arrow.type):
        item = record_field(arrow.type.value_field, name, depth)
        has_shape = item.type != "JSON" and item.mode != "REPEATED" and not is_untyped(arrow.type.value_type)
        return replace(item, mode="REPEATED") if has_shape else Field(name, "JSON")
    return field_of(arrow, name)


def _parts(arrow: pa.Field, depth: int) -> tuple[Field, ...]:
    parts = [arrow.type.field(i) for i in range(arrow.type.num_fields)]
    names: dict[str, str] = {}
    for part in parts:
        twin = names.setdefault(column_name(part.name), part.name)
        if twin != part.name:
            raise SchemaError(
                f"keys {twin!r} and {part.name!r} of the objects in {arrow.name!r} would both be called"
                f" {column_name(part.name)!r} in BigQuery: keep the column as JSON with columns.types, or with"
                " format: {nested: json}"
            )
    return tuple(
        record_field(part, column_name(part.name), depth + 1) for part in parts if not is_untyped(part.type)
    )


def cast_records(array: pa.Array, field: Field, leaf: Leaf, *, drops: bool) -> Parsed:
    """Cast JSON values into a nested field, as `cast_column` does into others; `leaf` casts what is not nested.

    `drops`: a key that the field does not have is left out; otherwise its value is a misfit, unless it is null.
    """
    if t.is_null(array.type):
        return pa.nulls(len(array), staged_arrow(field)), None
    values = [text and _DECODER.decode(text) for text in array.storage.to_pylist()]
    cast = _Cast(leaf, drops)
    found = cast.into(values, field)
    if not any(cast.bad):
        return found, None
    bad = pa.array(cast.bad)
    indices = pa.array([None if unfit else row for row, unfit in enumerate(cast.bad)], pa.int64())
    return found.take(indices), bad


class _Cast:
    """One cast of many values; `bad` says of each whether anything in it is a misfit."""

    def __init__(self, leaf: Leaf, drops: bool) -> None:
        self.leaf, self.drops = leaf, drops
        self.bad: list[bool] = []

    def into(self, values: list[Any], field: Field) -> pa.Array:
        """Cast whole values, one of each row."""
        self.bad = [False] * len(values)
        return self._any(values, list(range(len(values))), field)

    def _any(self, values: list[Any], rows: list[int], field: Field) -> pa.Array:
        """Cast values, each of which stands somewhere in the row of that number."""
        if field.mode == "REPEATED":
            return self._lists(values, rows, field)
        return (
            self._records(values, rows, field)
            if field.type == "RECORD"
            else self._leaves(values, rows, field)
        )

    def _lists(self, values: list[Any], rows: list[int], field: Field) -> pa.Array:
        good = [value if self._is(list, value, row) else [] for value, row in zip(values, rows, strict=True)]
        self._spoil(row for value, row in zip(good, rows, strict=True) if None in value)
        items = [item for value in good for item in value]
        of = [row for value, row in zip(good, rows, strict=True) for _ in value]
        offsets = [0]
        for value in good:
            offsets.append(offsets[-1] + len(value))
        array = self._any(items, of, replace(field, mode="NULLABLE"))
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), array, type=staged_arrow(field))

    def _records(self, values: list[Any], rows: list[int], field: Field) -> pa.Array:
        names = frozenset(part.name.lower() for part in field.fields)
        good = [
            self._named(value, row, names) if self._is(dict, value, row) else None
            for value, row in zip(values, rows, strict=True)
        ]
        parts = [
            self._any([None if value is None else value.get(part.name.lower()) for value in good], rows, part)
            for part in field.fields
        ]
        absent = pa.array([value is None for value in good], pa.bool_())
        return pa.StructArray.from_arrays(parts, fields=list(staged_arrow(field)), mask=absent)

    def _named(self, value: dict[str, Any], row: int, names: frozenset[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, part in value.items():
            name = _lower_name(key)
            if part is None or (self.drops and name not in names):
                continue
            if name not in names or name in found:
                self.bad[row] = True
            found[name] = part
        return found

    def _leaves(self, values: list[Any], rows: list[int], field: Field) -> pa.Array:
        text = pa.array([spell_json(value) for value in values], pa.string())
        array, unfit = self.leaf(pa.ExtensionArray.from_storage(pa.json_(), text), field)
        if unfit is not None:
            self._spoil(row for row, bad in zip(rows, unfit.to_pylist(), strict=True) if bad)
        return array

    def _is(self, kind: type, value: Any, row: int) -> bool:
        if value is not None and not isinstance(value, kind):
            self.bad[row] = True
        return isinstance(value, kind)

    def _spoil(self, rows: Iterable[int]) -> None:
        for row in rows:
            self.bad[row] = True


@lru_cache(10_000)
def _lower_name(key: str) -> str:
    return column_name(key).lower()
