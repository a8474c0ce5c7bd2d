"""Decides, column by column, what becomes of data whose schema differs from the published table's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from etl_factory.errors import NothingToLoad, SchemaError
from etl_factory.schema.types import KEY_TYPES, Field, Mode

# ALTER COLUMN SET DATA TYPE: https://cloud.google.com/bigquery/docs/managing-table-schemas#change_column_type
# BigQuery's own lattice ends with FLOAT64, which a NUMERIC does not survive, so we stop before.
WIDENING = ("INT64", "NUMERIC", "BIGNUMERIC")
PARTITIONS = ("TIMESTAMP", "DATETIME", "DATE")
# https://cloud.google.com/bigquery/docs/creating-clustered-tables#limitations
CLUSTERS = (*PARTITIONS, "BIGNUMERIC", "BOOL", "GEOGRAPHY", "INT64", "NUMERIC", "STRING")
_SHAPES = {
    "partition_by": (PARTITIONS, "partition by a DATE, DATETIME or TIMESTAMP"),
    "cluster_by": (CLUSTERS, "cluster by text, whole or decimal numbers, BOOL, dates or moments"),
}
# Why a column is not staged, and so a row that fills it is quarantined; with what to do when it is needed.
FORBIDDEN, UNTYPED = "the contract allows no new columns", "no value of this column shows its type"
_REMEDIES = {
    FORBIDDEN: "is new: set schema_contract.columns to evolve",
    UNTYPED: "has no value yet, so that its type is unknown: give it under columns.types",
}
OnMisfit = Literal["reject_row", "discard_value"]
OnNew = Literal["evolve", "freeze", "discard_row", "discard_value"]


@dataclass(frozen=True)
class Contract:
    """What config says of schema changes; `table` is how messages name the published table."""

    table: str
    tables: str = "evolve"
    columns: str = "evolve"
    types: str = "evolve"


@dataclass(frozen=True)
class Column:
    """One incoming column: its final field and what happens to values that are not of it.

    `must_be_null`: why this column is not staged, and a row that fills it is quarantined, or the value alone
    (FORBIDDEN or UNTYPED); empty for a column that is staged. `drops_new_parts`: keys of its objects that `field`
    does not have are left out; otherwise a row that fills one is quarantined.
    """

    original: str
    field: Field
    on_misfit: OnMisfit = "reject_row"
    must_be_null: str = ""
    drops_new_parts: bool = False


@dataclass(frozen=True)
class Decision:
    """Columns to stage, DDL to apply at publish, and notes for the report."""

    columns: tuple[Column, ...]
    ddl: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]


def decide(
    incoming: Mapping[str, Field], published: tuple[Field, ...] | None, contract: Contract, *,
    is_text: bool, settled: Collection[str] = (),
) -> Decision:  # fmt: skip
    """Hold incoming columns (original name to field) against the published table's.

    `is_text`: the data spells its values (CSV, JSON), so that a column's type is only a guess from its
    values, and one that is not of the published type is a bad row rather than a new schema; except for
    the columns in `settled`, whose types config gives.
    Raises SchemaError where the contract says freeze, or where no cast can be right, and NothingToLoad where it
    discards a table that does not exist: what makes no table is left at the source, not lost.
    """
    if published is None:
        if contract.tables == "freeze":
            raise SchemaError(
                f"table {contract.table} does not exist, and schema_contract.tables is freeze: create it, or"
                " set tables: evolve"
            )
        if contract.tables != "evolve":
            raise NothingToLoad(
                f"table {contract.table} does not exist, and schema_contract.tables is {contract.tables}, so that"
                " nothing of it is loaded: create it, or set tables: evolve. Nothing was published; the next run"
                " reads all of it again"
            )
        columns = tuple(Column(original, field) for original, field in incoming.items())
        return Decision(
            columns, ({"op": "create", "fields": [field.to_json() for field in incoming.values()]},), ()
        )
    guessed = frozenset(incoming).difference(settled) if is_text else frozenset()
    return _against(incoming, published, contract, guessed)


def _against(
    incoming: Mapping[str, Field], published: tuple[Field, ...], contract: Contract, guessed: frozenset[str]
) -> Decision:
    held = {field.name.lower(): field for field in published}
    columns: list[Column] = []
    ddl: list[dict[str, Any]] = []
    notes: list[str] = []
    for original, field in incoming.items():
        known = held.pop(field.name.lower(), None)
        if known is None:
            columns += _new(original, field, contract, ddl, notes)
        else:
            columns.append(_Known(original, field, known, contract, original in guessed).column(ddl, notes))
    for missing in held.values():
        notes.append(
            f"column {missing.name} of {contract.table} is not in the data: rows published now hold NULL"
        )
        if missing.mode == "REQUIRED":
            ddl.append({"op": "relax", "name": missing.name})
    return Decision(tuple(columns), tuple(ddl), tuple(notes))


def _new(
    original: str, field: Field, contract: Contract, ddl: list[dict[str, Any]], notes: list[str]
) -> list[Column]:
    if contract.columns == "freeze":
        raise SchemaError(
            f"column {original!r} ({field.type}) is new, and schema_contract.columns is freeze for"
            f" {contract.table}: add it there, set columns: evolve, or leave it out with columns.exclude"
        )
    if contract.columns == "evolve":
        ddl.append({"op": "add", "field": field.to_json()})
        notes.append(f"column {field.name} ({field.type}) is new: added to {contract.table}")
        return [Column(original, field)]
    if contract.columns == "discard_row":
        notes.append(f"column {field.name} is new: rows that fill it are quarantined")
        return [Column(original, field, must_be_null=FORBIDDEN)]
    notes.append(
        f"column {field.name} is new: its values are quarantined, and its rows published without them"
    )
    return [Column(original, field, "discard_value", FORBIDDEN)]


@dataclass(frozen=True)
class _Known:
    """A column that the published table has; `is_guess` as in `decide`."""

    original: str
    field: Field
    known: Field
    contract: Contract
    is_guess: bool

    def column(self, ddl: list[dict[str, Any]], notes: list[str]) -> Column:
        """Choose what the column is staged as, adding to DDL and notes."""
        if self.is_guess and self.field.is_nested and not self.known.is_nested:
            return replace(self, field=Field(self.field.name, "JSON")).column(ddl, notes)
        if not self._may_hold:
            self._check_shape()
        known, table = self.known, self.contract.table
        if known.mode == "REQUIRED":
            ddl.append({"op": "relax", "name": known.name})
            notes.append(f"column {known.name} of {table} is relaxed from REQUIRED to NULLABLE")
        if self._may_hold:
            return self._nested(ddl, notes)
        if self.field.type == known.type or fits(self.field.type, known.type):
            return self._kept()
        if self.contract.types == "evolve" and widens(known.type, self.field.type):
            ddl.append({"op": "widen", "name": known.name, "type": self.field.type})
            notes.append(f"column {known.name} of {table} is widened from {known.type} to {self.field.type}")
            return Column(self.original, Field(known.name, self.field.type))
        self._check_type()
        if not self.is_guess:
            notes.append(
                f"column {known.name} of {table} is {self.field.type} in the source: values that are not {known.type}"
                " are quarantined"
            )
        return self._kept()

    def _kept(self) -> Column:
        mode: Mode = "REPEATED" if self.known.mode == "REPEATED" else "NULLABLE"
        kept = Field(self.known.name, self.known.type, mode, self.known.fields)
        return Column(
            self.original, kept, "discard_value" if self.contract.types == "discard_value" else "reject_row"
        )

    @property
    def _may_hold(self) -> bool:
        """Whether some of the values may have the nested shape that is published; a column of scalars has not."""
        return self.is_guess and self.known.is_nested and (self.field.is_nested or self.field.type == "JSON")

    def _nested(self, ddl: list[dict[str, Any]], notes: list[str]) -> Column:
        """Keep the published shape, and add the new parts of a guessed one where the contract lets columns evolve."""
        grown = _Grown(self.original, self.contract, notes)
        field = grown.field(self.field, self.known, self.known.name)
        if grown.has_new:
            ddl.append({"op": "extend", "field": field.to_json()})
        kept = self._kept()
        drops = self.contract.columns == "discard_value"
        return replace(kept, field=replace(kept.field, fields=field.fields), drops_new_parts=drops)

    def _check_shape(self) -> None:
        """Refuse nested columns that differ: BigQuery assigns a STRUCT's fields by position, whatever their names."""
        if _shape(self.field) != _shape(self.known):
            raise SchemaError(
                f"column {self.original!r} is {self.field.ddl} in the source and {self.known.ddl} in"
                f" {self.contract.table}, and a nested column cannot change: give it another name with"
                " columns.rename, or publish into a new table with target_table"
            )

    def _check_type(self) -> None:
        table = self.contract.table
        differ = (
            f"column {self.original!r} is {self.field.type} in the source and {self.known.type} in {table}"
        )
        if self.is_guess or self.contract.types in ("discard_row", "discard_value"):
            return
        if self.contract.types == "freeze":
            raise SchemaError(
                f"{differ}, and schema_contract.types is freeze: set types: evolve, or columns.types"
            )
        raise SchemaError(
            f"{differ}, which BigQuery cannot widen: give the column another name with columns.rename, cast it with"
            " columns.types, or publish into a new table with target_table"
        )


class _Grown:
    """Holds a nested guess against the published shape; `has_new` tells whether that has to grow."""

    def __init__(self, original: str, contract: Contract, notes: list[str]) -> None:
        self.original, self.contract, self.notes = original, contract, notes
        self.has_new = False

    def field(self, guess: Field, known: Field, path: str) -> Field:
        """Return the published field with the new parts of the guess at the end of each RECORD."""
        if (guess.type, guess.mode == "REPEATED") != (known.type, known.mode == "REPEATED"):
            if known.is_nested or not fits(guess.type, known.type):
                self.notes.append(
                    f"{path} looks like {guess.ddl}: values that are not {known.ddl} are quarantined"
                )
            return known
        held = {part.name.lower(): part for part in known.fields}
        new = [part for part in guess.fields if part.name.lower() not in held]
        same = {part.name.lower(): part for part in guess.fields if part.name.lower() in held}
        kept = [
            self.field(same[name], part, f"{path}.{part.name}") if name in same else part
            for name, part in held.items()
        ]
        return replace(known, fields=(*kept, *(part for part in new if self._takes(part, path))))

    def _takes(self, part: Field, path: str) -> bool:
        """Tell whether a new part is added, saying what becomes of it."""
        name, columns = f"{path}.{part.name}", self.contract.columns
        if columns == "freeze":
            raise SchemaError(
                f"{name} ({part.ddl}), in column {self.original!r}, is new, and schema_contract.columns is freeze for"
                f" {self.contract.table}: add it there, or set columns: evolve"
            )
        becomes = {
            "evolve": f"added to {self.contract.table}",
            "discard_row": "rows that fill it are quarantined",
            "discard_value": "its values are discarded, as schema_contract.columns says",
        }
        self.notes.append(f"{name} ({part.ddl}) is new: {becomes[columns]}")
        self.has_new |= columns == "evolve"
        return columns == "evolve"


def _shape(field: Field) -> tuple[Any, ...]:
    """Return what must be equal in nested columns; all scalar columns have one shape."""
    if field.type != "RECORD" and field.mode != "REPEATED":
        return ()
    return field.mode == "REPEATED", field.type, tuple((part.name.lower(), part.ddl) for part in field.fields)


def fits(incoming: str, published: str) -> bool:
    """Whether every value of the incoming type is a value of the published one, exactly."""
    if published == "STRING":
        return incoming != "BYTES"
    return (incoming, published) in {("INT64", "NUMERIC"), ("INT64", "BIGNUMERIC"), ("NUMERIC", "BIGNUMERIC")}


def widens(published: str, incoming: str) -> bool:
    """Whether BigQuery can widen the published column to the incoming type without losing a digit."""
    known = published in WIDENING and incoming in WIDENING
    return known and WIDENING.index(published) < WIDENING.index(incoming)


def leave_out(untyped: Mapping[str, str], decision: Decision, table: str) -> Decision:
    """Leave out new columns (original to name) that hold NULLs alone, saying so: tomorrow's values show their type."""
    columns = (
        Column(original, Field(name, "STRING"), must_be_null=UNTYPED) for original, name in untyped.items()
    )
    notes = (
        f"column {name} holds no value yet: left out of {table} until a value shows its type, or columns.types does"
        for name in untyped.values()
    )
    return replace(decision, columns=(*decision.columns, *columns), notes=(*decision.notes, *notes))


def check_keys(keys: tuple[str, ...], columns: tuple[Column, ...], table: str) -> None:
    """Raise SchemaError unless every key column is staged and of a type that BigQuery can compare."""
    for key in keys:
        field = _needed(f"primary_key {key!r} of {table}", key, columns)
        if field.is_nested or field.type not in KEY_TYPES:
            raise SchemaError(f"primary_key {key!r} of {table} is {field.ddl}, which BigQuery cannot compare")


def shaped(
    decision: Decision, partition_by: str | None, cluster_by: tuple[str, ...], table: str
) -> tuple[dict[str, Any], ...]:
    """Complete a create with partitioning and clustering, by the columns' published names.

    A table that exists keeps its shape, so that data without these columns is as good as any there.
    Raises SchemaError when a column to partition or cluster by is left out, or cannot be partitioned by.
    """
    creates = any(operation["op"] == "create" for operation in decision.ddl)
    present = {column.original for column in decision.columns}

    def name_of(key: str, where: str) -> str:
        if not creates and key not in present:
            return ""
        field = _needed(f"{where} {key!r} of {table}", key, decision.columns)
        types, remedy = _SHAPES[where]
        if creates and (field.type not in types or field.mode == "REPEATED"):
            raise SchemaError(f"{where} {key!r} of {table} is {field.ddl}: {remedy}")
        return field.name

    shape = {
        "partition_by": name_of(partition_by, "partition_by") if partition_by else None,
        "cluster_by": [name_of(key, "cluster_by") for key in cluster_by],
    }
    return tuple({**op, **shape} if op["op"] == "create" else op for op in decision.ddl)


def _needed(what: str, original: str, columns: tuple[Column, ...]) -> Field:
    """Return the field of a column that the load cannot do without."""
    known = {column.original: column for column in columns}
    if original not in known:
        raise SchemaError(f"{what} is not among the columns {', '.join(known)}")
    if why := known[original].must_be_null:
        raise SchemaError(f"{what} {_REMEDIES[why]}")
    return known[original].field
