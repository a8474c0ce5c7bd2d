"""The statements that make and change tables; permanent DDL is not allowed inside the transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from etl_factory.schema.types import Field
from etl_factory.warehouse.quoting import identifier, identifiers, text

METADATA_TYPES = {"_etl_load_id": "STRING", "_etl_loaded_at": "TIMESTAMP", "_etl_source_uri": "STRING"}
METADATA = tuple(METADATA_TYPES)
DELETED_AT, SNAPSHOT_AT = "_etl_deleted_at", "_etl_snapshot_at"
VALID_FROM, VALID_TO, IS_CURRENT = "_etl_valid_from", "_etl_valid_to", "_etl_is_current"
# What a table has besides, by what config asks for: `deletes: mark`, and each kind of history.
MARK_TYPES = {DELETED_AT: "TIMESTAMP"}
HISTORY_TYPES: dict[str, dict[str, str]] = {
    "none": {},
    "snapshots": {SNAPSHOT_AT: "TIMESTAMP"},
    "scd2": {VALID_FROM: "TIMESTAMP", VALID_TO: "TIMESTAMP", IS_CURRENT: "BOOL"},
}
QUARANTINE_COLUMNS = {
    "resource": "STRING", "load_id": "STRING", "file": "STRING", "record": "INT64", "line": "INT64", "key": "STRING",
    "column": "STRING", "value": "STRING", "reason": "STRING", "row": "STRING", "kind": "STRING", "raw": "BYTES",
    "quarantined_at": "TIMESTAMP",
}  # fmt: skip
# Partitions are days: https://cloud.google.com/bigquery/docs/creating-partitioned-tables
_PARTITIONS = {"TIMESTAMP": "TIMESTAMP_TRUNC({}, DAY)", "DATETIME": "DATETIME_TRUNC({}, DAY)", "DATE": "{}"}


def ddl(table: str, operation: dict[str, object], metadata: Mapping[str, str] = METADATA_TYPES) -> str:
    """Render one schema change of the published table; every one may run twice.

    `metadata` gives the types of all columns of ours; a table of dated snapshots is partitioned by their day.
    """
    match operation["op"]:
        case "create":
            return _create(table, operation, metadata)
        case "add":
            field = Field.from_json(operation["field"])  # type: ignore[arg-type]  # as contract wrote it
            return f"ALTER TABLE {identifier(table)} ADD COLUMN IF NOT EXISTS {identifier(field.name)} {field.ddl}"
        case "widen":
            column = f"ALTER COLUMN {identifier(str(operation['name']))}"
            return f"ALTER TABLE {identifier(table)} {column} SET DATA TYPE {operation['type']}"
        case "relax":
            return _relax(table, str(operation["name"]))
    raise ValueError(f"unknown schema change {operation['op']!r}")


def _create(table: str, operation: dict[str, object], metadata: Mapping[str, str]) -> str:
    fields = [Field.from_json(document) for document in operation["fields"]]  # type: ignore[attr-defined]  # a list
    columns = [f"{identifier(field.name)} {field.ddl}" for field in fields]
    columns += [f"{identifier(name)} {type_}" for name, type_ in metadata.items()]
    shape = ""
    if name := SNAPSHOT_AT if SNAPSHOT_AT in metadata else operation.get("partition_by"):
        type_ = ({field.name: field.type for field in fields} | {**metadata})[str(name)]
        shape += f"\nPARTITION BY {_PARTITIONS[type_].format(identifier(str(name)))}"
    if names := operation.get("cluster_by"):
        shape += f"\nCLUSTER BY {identifiers(*names)}"  # type: ignore[misc]  # a list
    return f"CREATE TABLE IF NOT EXISTS {identifier(table)} (\n  " + ",\n  ".join(columns) + f"\n){shape}"


def _relax(table: str, name: str) -> str:
    """Drop NOT NULL where it stands: BigQuery refuses to drop it twice, as a retried publish would."""
    dataset, _, relation = table.rpartition(".")
    required = f"table_name = {text(relation)} AND column_name = {text(name)} AND is_nullable = 'NO'"
    return (
        f"IF EXISTS (SELECT 1 FROM {identifier(dataset)}.INFORMATION_SCHEMA.COLUMNS WHERE {required}) THEN\n"
        f"  ALTER TABLE {identifier(table)} ALTER COLUMN {identifier(name)} DROP NOT NULL;\nEND IF"
    )


def metadata_columns(table: str, metadata: Mapping[str, str] = METADATA_TYPES) -> Iterable[str]:
    """Add our columns to a table that was not made by us, or was made before config asked for them."""
    for name, type_ in metadata.items():
        yield f"ALTER TABLE {identifier(table)} ADD COLUMN IF NOT EXISTS {identifier(name)} {type_}"


def create_quarantine(table: str) -> str:
    """Return the statement that makes a resource's quarantine table."""
    columns = ", ".join(f"{identifier(name)} {type_}" for name, type_ in QUARANTINE_COLUMNS.items())
    return f"CREATE TABLE IF NOT EXISTS {identifier(table)} ({columns})"


def quarantine_columns(table: str, held: Collection[str]) -> Iterable[str]:
    """Give a quarantine table that an earlier version made the columns that it lacks."""
    for name in QUARANTINE_COLUMNS.keys() - held:
        column = f"{identifier(name)} {QUARANTINE_COLUMNS[name]}"
        yield f"ALTER TABLE {identifier(table)} ADD COLUMN IF NOT EXISTS {column}"
