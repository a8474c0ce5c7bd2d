"""Sanitizes rows that are in BigQuery already: only their names, types and contract are in question."""

from __future__ import annotations

from etl_factory.config.resource import Resource
from etl_factory.errors import SchemaError
from etl_factory.landing.manifest import Manifest
from etl_factory.schema.contract import Contract, check_keys, decide
from etl_factory.schema.naming import name_columns
from etl_factory.schema.types import Field, Mode


def sanitize_staged(
    resource: Resource, manifest: Manifest, published: tuple[Field, ...] | None, attempt: str
) -> Manifest:
    """Decide names and types of staged columns; publish finds their raw names and types in `extra.staged`."""
    raw = {field.name: field for field in map(Field.from_json, manifest.fields)}
    spec = resource.spec
    names = name_columns(raw, spec.columns.rename)
    incoming = {
        original: Field(
            names[original], spec.columns.types.get(original, field.type), _mode(field), field.fields
        )
        for original, field in raw.items()
    }
    modes = spec.schema_contract
    contract = Contract(resource.table_id, modes.tables, modes.columns, modes.types)
    decision = decide(incoming, published, contract, is_text=False)
    check_keys(spec.primary_key, decision.columns, resource.table_id)
    shape = {
        "partition_by": _named(spec.partition_by, names) if spec.partition_by else None,
        "cluster_by": [_named(key, names) for key in spec.cluster_by],
    }
    return manifest.then(
        step="sanitize",
        attempt=attempt,
        fields=tuple(column.field.to_json() for column in decision.columns),
        ddl=tuple({**op, **shape} if op["op"] == "create" else op for op in decision.ddl),
        notes=decision.notes,
        rows_staged=manifest.rows_read,
        extra={"staged": {c.field.name: (c.original, raw[c.original].type) for c in decision.columns}},
    )


def _mode(field: Field) -> Mode:
    return "REPEATED" if field.mode == "REPEATED" else "NULLABLE"


def _named(original: str, names: dict[str, str]) -> str:
    if original not in names:
        raise SchemaError(f"partition_by or cluster_by names {original!r}, which the data does not have")
    return names[original]
