"""Sanitizes rows that are in BigQuery already: only their names, types and contract are in question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from etl_factory.config.resource import Resource
from etl_factory.errors import SchemaError
from etl_factory.landing.manifest import Manifest
from etl_factory.schema.contract import Contract, Decision, check_keys, decide, shaped
from etl_factory.schema.naming import name_columns
from etl_factory.schema.recording import record_fields
from etl_factory.schema.types import Field, Mode
from etl_factory.schema.wanted import demand


def sanitize_staged(
    resource: Resource, manifest: Manifest, published: tuple[Field, ...] | None, attempt: str
) -> Manifest:
    """Decide names and types of staged columns; publish finds their raw names and types in `extra.staged`.

    Raises SchemaError as the contract does, and where it asks to set single rows or values aside.
    """
    raw = {field.name: field for field in map(Field.from_json, manifest.fields)}
    spec, table = resource.spec, resource.table_id
    decision = _decide(resource, raw, published)
    check_keys(spec.primary_key, decision.columns, table)
    return manifest.then(
        step="sanitize",
        attempt=attempt,
        fields=tuple(column.field.to_json() for column in decision.columns),
        ddl=shaped(decision, spec.partition_by, spec.cluster_by, table),
        notes=decision.notes,
        rows_staged=manifest.rows_read,
        recorded=record_fields(raw.values()),
        extra={"staged": {c.field.name: (c.original, raw[c.original].type) for c in decision.columns}},
    )


def _decide(resource: Resource, raw: Mapping[str, Field], published: tuple[Field, ...] | None) -> Decision:
    """Hold the columns against the published table's; a type that differs fails, since no value can be set aside.

    The values of a new column that the contract discards stay where they are, in BigQuery.
    """
    columns, modes = resource.spec.columns, resource.spec.schema_contract
    names = name_columns(raw, columns.rename)
    demand(columns.types, raw, "columns.types")
    incoming = {
        original: _typed(names[original], columns.types.get(original, field.type), field)
        for original, field in raw.items()
    }
    types = "freeze" if modes.types == "freeze" else "evolve"
    contract = Contract(resource.table_id, modes.tables, modes.columns, types)
    decision = decide(incoming, published, contract, is_text=False)
    kept = tuple(of for of in decision.columns if not of.must_be_null or of.on_misfit == "reject_row")
    for column in kept:
        if column.must_be_null:
            raise SchemaError(
                f"column {column.original!r} is new, and its rows never leave BigQuery, where they cannot be set"
                " aside: set schema_contract.columns to evolve, freeze or discard_value"
            )
    return replace(decision, columns=kept)


def _typed(name: str, type_: str, raw: Field) -> Field:
    mode: Mode = "REPEATED" if raw.mode == "REPEATED" else "NULLABLE"
    return Field(name, type_, mode, raw.fields if type_ == raw.type else ())
