"""Guesses what JSON values look like, nested ones included, over all of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import simplejson

from etl_factory.schema.documents import spell_json
from etl_factory.schema.records import DEEPEST
from etl_factory.schema.types import is_json
from etl_factory.sources.formats.lattice import FITS, ColumnGuess

# Their numbers are compared and spelt digit by digit.
_DECODER = simplejson.JSONDecoder(parse_float=Decimal)
_GUESSED = {FITS: ""}


class Shape:
    """The shape of all values seen in one place: scalars, objects or lists; anything else is `arrow.json`.

    A list with a null in it has no shape, since no BigQuery array stores one, nor has what is nested too deeply.
    """

    def __init__(self, depth: int = 0) -> None:
        self.depth, self.scalars = depth, ColumnGuess()
        self.parts: dict[str, Shape] = {}
        self.item: Shape | None = None
        self.has_objects = self.is_odd = False

    def see_values(self, values: pa.Array) -> None:
        """Take in more values, JSON or text."""
        (self.see_json(values.storage) if is_json(values.type) else self.scalars.see(values))

    def see_json(self, values: pa.Array) -> None:
        """Take in more values, as JSON text."""
        self.see([_DECODER.decode(value) for value in values.drop_null().to_pylist()])

    def see(self, values: list[Any]) -> None:
        """Take in more values, as Python holds them; none of them is None."""
        lists = [value for value in values if isinstance(value, list)]
        objects = [value for value in values if isinstance(value, dict)]
        if len(lists) + len(objects) < len(values):
            scalars = (spell_json(value) for value in values if not isinstance(value, list | dict))
            self.scalars.see_json(pa.array(scalars, pa.string()))
        if self.depth < DEEPEST:
            self._see_objects(objects)
            self._see_lists(lists)
        self.is_odd |= self.depth >= DEEPEST and bool(lists or objects)

    def _see_objects(self, objects: list[dict[str, Any]]) -> None:
        self.has_objects |= bool(objects)
        for name in dict.fromkeys(name for value in objects for name in value):
            part = self.parts.setdefault(name, Shape(self.depth + 1))
            part.see([value[name] for value in objects if value.get(name) is not None])

    def _see_lists(self, lists: list[list[Any]]) -> None:
        items = [item for value in lists for item in value]
        self.is_odd |= any(item is None or isinstance(item, list) for item in items)
        if lists and not self.is_odd:
            self.item = self.item or Shape(self.depth)
            self.item.see(items)

    @property
    def parsed(self) -> pa.DataType | None:
        """As that of a column's guess."""
        has_parts = self.has_objects or self.item is not None or self.is_odd
        return None if has_parts else self.scalars.parsed

    def see_parsed(self, values: pa.Array) -> None:
        """As that of a column's guess."""
        self.scalars.see_parsed(values)

    def field(self, name: str) -> pa.Field:
        """Return the guess as a field that remembers all that fits; `null` when no value was seen."""
        kinds = self.has_objects + (self.item is not None) + (not self.scalars.is_empty)
        if self.is_odd or kinds > 1:
            return pa.field(name, pa.json_(), metadata=_GUESSED)
        if self.has_objects:
            parts = [part.field(own) for own, part in self.parts.items()]
            return pa.field(name, pa.struct(parts), metadata=_GUESSED)
        if self.item:
            return pa.field(name, pa.list_(self.item.field("item")), metadata=_GUESSED)
        return self.scalars.field(name)
