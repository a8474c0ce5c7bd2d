"""Says what the columns of a load's files are: by the schema that the ledger keeps, or by all their values.

    first load   all values of every file show the types; the rows are cleaned meanwhile by what the first ones show,
                 or else in a second reading
    later loads  every file is read once, and the recorded schema is watched while the rows are cleaned
    a change     a new column, or a number that widens its column: the load is read as a first one

All ways give the same rows, and the same changes of the table: a column that is published has the published type,
so that only the two changes above can come from its values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import IO

import pyarrow as pa

from etl_factory.errors import about
from etl_factory.landing.manifest import Part
from etl_factory.schema.contract import Contract
from etl_factory.schema.naming import name_columns
from etl_factory.schema.rows import Batch
from etl_factory.schema.sanitize import Cleaning
from etl_factory.schema.types import Field, is_untyped
from etl_factory.schema.wanted import Wanted, choose
from etl_factory.sources.formats.base import Format
from etl_factory.sources.formats.lattice import beyond, is_spelt, merge_schemas, shows_a_type

# The types that a column's values can widen, by their names in the lattice.
_WIDENED = {"INT64": "int", "NUMERIC": "numeric"}


def origin(part: Part) -> str:
    """Return the address of what a part was copied from."""
    return part.source.uri if part.source else part.uri


def declared(parts: Iterable[Part], opened: Callable[[Part], IO[bytes]], reader: Format) -> pa.Schema:
    """Join the schemas that files declare in one that holds the records of all."""
    schemas = []
    for part in parts:
        with opened(part) as stream, about(origin(part)):
            schemas.append(reader.infer(stream))
    return merge_schemas(schemas)


def steady(
    held: pa.Schema, published: tuple[Field, ...], wanted: Wanted, contract: Contract
) -> pa.Schema | None:
    """Return those recorded columns whose place is known, or None where only their values can tell it.

    A published column takes the published type, which a column of NULLs does. A column that the table lacks, and
    should have, is left out, so that the first file with it counts as a change. Raises SchemaError as naming does.
    """
    names = name_columns(choose(held.names, wanted), dict(wanted.rename))
    known = {of.name.lower(): of for of in published}
    kept = []
    for column in held:
        at = known.get(names[column.name].lower()) if column.name in names else None
        if at and (at.type == "RECORD" or at.mode == "REPEATED"):
            return None
        if at and at.type != "STRING" and wanted.policy(column.name) == "text":
            return None
        if at:
            kept.append(pa.field(column.name, pa.null()))
        elif column.name not in names or is_untyped(column.type) or contract.columns.startswith("discard"):
            kept.append(column)
    return pa.schema(kept)


class Moved(Exception):
    """The data show what the recorded schema does not: the message says what."""


class Watch:
    """Looks at every batch that is cleaned by a recorded schema.

    `cleaning` is what that schema makes of the rows; `widened` names the columns that wider numbers would widen, with
    their types in the lattice.
    """

    def __init__(self, schema: pa.Schema, cleaning: Cleaning, widened: Mapping[str, str]) -> None:
        self.cleaning, self._widened = cleaning, dict(widened)
        self._types = {column.name: column.type for column in schema}
        self._staged = {of.original: of.field.name for of in cleaning.columns if not of.must_be_null}
        self._seen: dict[str, bool] = {}
        self._unreadable: set[str] = set()

    def see(self, batch: Batch) -> None:
        """Note the columns of a batch, and which of them show a type; raises Moved for a change."""
        for name, values in zip(batch.rows.schema.names, batch.rows.columns, strict=True):
            if name not in self._types:
                raise Moved(f"column {name!r} is new")
            self._see_type(name, values)
            if is_spelt(values.type):  # else it was parsed into its column's type, and fits
                self._see_number(name, values)

    def _see_type(self, name: str, values: pa.Array) -> None:
        shown = self._seen.setdefault(name, False)
        if shown or name in self._staged:
            return
        if not shows_a_type(values):
            self._unreadable |= {name} if values.null_count < len(values) else set()
        elif is_untyped(self._types[name]):
            raise Moved(f"column {name!r} holds its first value")
        else:
            self._seen[name] = True

    def _see_number(self, name: str, values: pa.Array) -> None:
        """Go on as long as all numbers fit; one value that is no number keeps the column from being widened at all."""
        match beyond(values, self._widened[name], self.cleaning.spelling) if name in self._widened else None:
            case True:
                raise Moved(f"column {name!r} holds a number that its type does not hold")
            case False:
                del self._widened[name]

    def declared(self) -> pa.Schema:
        """Return the schema of what was read; raises Moved where that says too little."""
        if not self._seen:
            raise Moved("no file names a column")
        for name in self._unreadable:
            if not self._seen[name]:
                raise Moved(f"column {name!r} holds nothing but text of another encoding")
        return pa.schema(
            [(name, self._types[name] if shown else pa.null()) for name, shown in self._seen.items()]
        )

    @property
    def unseen(self) -> tuple[str, ...]:
        """Published names of staged columns that no file had."""
        return tuple(name for original, name in self._staged.items() if original not in self._seen)


def widened(cleaning: Cleaning, contract: Contract, settled: Mapping[str, str]) -> dict[str, str]:
    """Name the columns that values may widen, with their types in the lattice."""
    if contract.types != "evolve":
        return {}
    columns = (column for column in cleaning.columns if column.original not in settled)
    return {c.original: _WIDENED[c.field.type] for c in columns if c.field.type in _WIDENED}
