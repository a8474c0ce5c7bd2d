"""Decides, column by column, what becomes of data whose schema differs from the published table's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from etl_factory.errors import SchemaError
from etl_factory.schema.types import KEY_TYPES, Field

# Widening by ALTER COLUMN SET DATA TYPE: https://cloud.google.com/bigquery/docs/managing-table-schemas#change_column_type
WIDENING = ("INT64", "NUMERIC", "BIGNUMERIC", "FLOAT64")
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

    `must_be_null`: the contract forbids this new column, and a row that fills it is quarantined.
    """

    original: str
    field: Field
    on_misfit: OnMisfit = "reject_row"
    must_be_null: bool = False


@dataclass(frozen=True)
class Decision:
    """Columns to stage, DDL to apply at publish, and notes for the report."""

    columns: tuple[Column, ...]
    ddl: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]


def decide(
    incoming: Mapping[str, Field], published: tuple[Field, ...] | None, contract: Contract, *, is_text: bool
) -> Decision:
    """Hold incoming columns (original name to field) against the published table's.

    `is_text`: the data spells its values (CSV, JSON), so that a column's type is only a guess from its
    values, and one that is not of the published type is a bad row rather than a new schema.
    Raises SchemaError where the contract says freeze, or where no cast can be right.
    """
    if published is None:
        if contract.tables == "freeze":
            raise SchemaError(
                f"table {contract.table} does not exist, and schema_contract.tables is freeze: create it, or"
                " set tables: evolve"
            )
        columns = tuple(Column(original, field) for original, field in incoming.items())
        return Decision(
            columns, ({"op": "create", "fields": [field.to_json() for field in incoming.values()]},), ()
        )
    return _against(incoming, published, contract, is_text=is_text)


def _against(
    incoming: Mapping[str, Field], published: tuple[Field, ...], contract: Contract, *, is_text: bool
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
            columns.append(_known(original, field, known, contract, ddl, notes, is_text=is_text))
    for missing in held.values():
        notes.append(f"column {missing.name} of {contract.table} is not in the data: new rows hold NULL")
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
        return [Column(original, field, must_be_null=True)]
    notes.append(f"column {field.name} is new: its values are discarded, as schema_contract.columns says")
    return []


def _known(
    original: str, field: Field, known: Field, contract: Contract, ddl: list[dict[str, Any]],
    notes: list[str], *, is_text: bool,
) -> Column:  # fmt: skip
    if known.mode == "REQUIRED":
        ddl.append({"op": "relax", "name": known.name})
        notes.append(f"column {known.name} of {contract.table} is relaxed from REQUIRED to NULLABLE")
    misfit: OnMisfit = "discard_value" if contract.types == "discard_value" else "reject_row"
    kept = Field(known.name, known.type, known.mode if known.mode == "REPEATED" else "NULLABLE", known.fields)
    if field.type == known.type or fits(field.type, known.type):
        return Column(original, kept, misfit)
    if contract.types == "freeze":
        raise SchemaError(
            f"column {original!r} is {field.type} in the source and {known.type} in {contract.table}, and"
            " schema_contract.types is freeze: set types: evolve, or columns.types"
        )
    if contract.types == "evolve" and widens(known.type, field.type):
        ddl.append({"op": "widen", "name": known.name, "type": field.type})
        notes.append(f"column {known.name} of {contract.table} is widened from {known.type} to {field.type}")
        return Column(original, Field(known.name, field.type))
    if is_text or contract.types in ("discard_row", "discard_value"):
        notes.append(
            f"column {known.name} looks like {field.type}: values that are not {known.type} are quarantined"
        )
        return Column(original, kept, misfit)
    raise SchemaError(
        f"column {original!r} is {field.type} in the source and {known.type} in {contract.table}, which BigQuery"
        " cannot widen: give the column another name with columns.rename, cast it with columns.types, or"
        " publish into a new table with target_table"
    )


def fits(incoming: str, published: str) -> bool:
    """Whether every value of the incoming type is a value of the published one, exactly."""
    return published == "STRING" or (incoming, published) in {
        ("INT64", "NUMERIC"), ("INT64", "BIGNUMERIC"), ("NUMERIC", "BIGNUMERIC"),
    }  # fmt: skip


def widens(published: str, incoming: str) -> bool:
    """Whether BigQuery can widen the published column to the incoming type without losing a digit.

    FLOAT64 ends BigQuery's own lattice, but a NUMERIC does not survive it, so we stop before.
    """
    lossless = WIDENING[:3]
    return (
        published in lossless
        and incoming in lossless
        and lossless.index(published) < lossless.index(incoming)
    )


def check_keys(keys: tuple[str, ...], columns: tuple[Column, ...], table: str) -> None:
    """Raise SchemaError unless every key column is staged and of a type that BigQuery can compare."""
    fields = {column.original: column.field for column in columns}
    for key in keys:
        if key not in fields:
            raise SchemaError(f"primary_key {key!r} of {table} is not among the columns {', '.join(fields)}")
        if fields[key].type not in KEY_TYPES:
            raise SchemaError(
                f"primary_key {key!r} of {table} is {fields[key].type}, which BigQuery cannot compare"
            )
