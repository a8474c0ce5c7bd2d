"""Whether what sanitize has done may go on: every row accounted for, few enough bad ones, and a table to load."""

from __future__ import annotations

from collections.abc import Sequence

from etl_factory.config.resource import Resource
from etl_factory.errors import AccountingError, EtlFactoryError, NothingToLoad, QuarantineError, SchemaError
from etl_factory.landing.manifest import Manifest


def hold(resource: Resource, done: Manifest, first: str, *, has_columns: bool) -> None:
    """Raise unless what was done may be loaded; `first` describes the first bad row.

    Raises AccountingError (rows read are not rows staged plus quarantined), QuarantineError (more bad rows than
    allowed, or no other to tell the columns of a new table), NothingToLoad (no table yet, and no value at all).
    """
    if done.rows_read != done.rows_staged + done.rows_quarantined:
        raise AccountingError(
            f"{_name(resource)}: {done.rows_read} rows read, but {done.rows_staged} staged and"
            f" {done.rows_quarantined} quarantined. Nothing was published; report this with the task's log"
        )
    if not _allows(resource, done):
        raise QuarantineError(_bad(resource, done, first, "more than max_bad_rows allows"))
    if not has_columns:
        raise _no_table(resource, done, first)


def no_columns(resource: Resource, declared: Sequence[str]) -> SchemaError:
    """Explain that config and contract leave nothing of a table's columns."""
    found = f"none of the columns {', '.join(declared)} can be" if declared else "no column is there to be"
    return SchemaError(
        f"{_name(resource)}: {found} loaded into {resource.table_id}: see columns and schema_contract"
    )


def _allows(resource: Resource, done: Manifest) -> bool:
    """Hold the limit; what a replay leaves in quarantine was within it when it came there."""
    was = done.extra.get("replay", {}).get("rows", 0)
    limit = resource.spec.max_bad_rows
    return done.rows_quarantined <= was or limit.allows(done.rows_quarantined, done.rows_read)


def _no_table(resource: Resource, done: Manifest, first: str) -> EtlFactoryError:
    """Explain that there is no table yet, and that no value shows which columns it would have."""
    if done.rows_quarantined:
        why = f"and no other shows which columns {resource.table_id} would have"
        return QuarantineError(_bad(resource, done, first, why))
    uris = ", ".join(tally.uri for tally in done.files)
    return NothingToLoad(
        f"{_name(resource)}: no file holds a record with a value, so {resource.table_id} cannot be made: {uris}."
        " Nothing was published; the next run reads them again"
    )


def _bad(resource: Resource, done: Manifest, first: str, why: str) -> str:
    parts = ", ".join(part.uri for part in done.quarantine)
    return (
        f"{_name(resource)}: {done.rows_quarantined} of {done.rows_read} rows are bad, {why}."
        f" Nothing was published. All bad rows: {parts}. The first: {first}."
        " Repair them at the source, set columns.types, or raise max_bad_rows to load the others and"
        " quarantine these"
    )


def _name(resource: Resource) -> str:
    return f"{resource.dag_id}.{resource.name}"
