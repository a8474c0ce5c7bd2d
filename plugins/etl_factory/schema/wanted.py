"""What config says of columns: which are chosen, their names and types, and what becomes of unfit values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import pyarrow as pa

from etl_factory.errors import SchemaError
from etl_factory.schema.contract import Column
from etl_factory.schema.naming import column_name
from etl_factory.schema.types import may_be_unfit

# What becomes of a value that no BigQuery type of its column holds: its row is quarantined, it is published as NULL
# and noted in quarantine, or its whole column is published as text, in the source's spelling.
Unrepresentable = Literal["quarantine", "null", "text"]


@dataclass(frozen=True)
class Wanted:
    """What config says of columns; keys are the source's own names. `unfit` says it for all, `unfit_in` for some.

    `needed` are the columns that tell rows apart, or in time; those `hashed` came masked, as text. `records`: nested
    values become RECORDs and lists.
    """

    include: Collection[str] = ()
    exclude: Collection[str] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    unfit: Unrepresentable = "quarantine"
    unfit_in: Mapping[str, Unrepresentable] = field(default_factory=dict)
    needed: Collection[str] = ()
    records: bool = False
    hashed: Collection[str] = ()

    def policy(self, original: str) -> Unrepresentable:
        """Return what becomes of a column's values that cannot be held; keys and cursors are never anything else."""
        if original in self.needed:
            return "quarantine"
        return self.unfit_in.get(original, self.unfit)

    def settled(self, declared: pa.Schema) -> dict[str, str]:
        """Return the types that config gives: by name, text where values may not fit, and where they are masked."""
        texts = (f.name for f in declared if self.policy(f.name) == "text" and may_be_unfit(f.type))
        hashed = (name for name in self.hashed if name in declared.names)
        return {name: "STRING" for name in (*texts, *hashed)} | dict(self.types)

    def lenient(self, column: Column) -> Column:
        """Let a column's unfit values go where config says NULL."""
        is_null = self.policy(column.original) == "null" and not column.must_be_null
        return replace(column, on_misfit="discard_value") if is_null else column


def choose(names: list[str], wanted: Wanted) -> tuple[str, ...]:
    """Apply include and exclude; raises SchemaError for a name that the data does not have.

    An excluded column may be absent, as a key of a JSON file may, but not be there under a similar name.
    """
    demand(wanted.include, names, "columns.include")
    _check_excluded(wanted.exclude, names)
    return tuple(n for n in names if (not wanted.include or n in wanted.include) and n not in wanted.exclude)


def _check_excluded(excluded: Collection[str], names: list[str]) -> None:
    kept = {column_name(name): name for name in names if name not in excluded}
    for name in excluded:
        if name not in names and column_name(name) in kept:
            raise SchemaError(
                f"columns.exclude names {name!r}, which the data does not have: did you mean"
                f" {kept[column_name(name)]!r}?"
            )


def demand(asked: Collection[str], present: Collection[str], where: str) -> None:
    """Raise SchemaError when `where` in config names a column that the data does not have."""
    import difflib

    for name in asked:
        if name not in present:
            near = difflib.get_close_matches(name, list(present), 1)
            hint = f"did you mean {near[0]!r}?" if near else f"the columns are {', '.join(sorted(present))}"
            raise SchemaError(f"{where} names {name!r}, which the data does not have: {hint}")
