"""Turns an assertion that the publish script failed into the error that says what to do."""

from __future__ import annotations

import re

from etl_factory.config.resource import Resource
from etl_factory.errors import AccountingError, QuarantineError, StaleError, TerminalError, TransientError
from etl_factory.landing.manifest import Manifest
from etl_factory.warehouse import sql


def explained(error: TerminalError, resource: Resource, manifest: Manifest) -> Exception:
    """Return the error that stands for `error`; itself, when it is none of the script's own."""
    text, name = str(error), f"{resource.dag_id}.{resource.name}"
    if sql.MOVED in text or sql.STRAYED in text:
        return _overtaken(name, text, resource)
    if sql.SHRUNK in text:
        return _shrunk(name, resource, manifest)
    if sql.TOO_MANY_DELETES in text:
        return _too_many_deletes(name, text, resource)
    if sql.TOO_MANY_BAD in text:
        return QuarantineError(
            f"{name}: too many rows have a NULL primary key ({', '.join(resource.spec.primary_key)}) for"
            " max_bad_rows. Nothing was published. Repair them at the source, or raise max_bad_rows; then clear"
            " the run from `extract`"
        )
    if sql.UNBALANCED in text:
        return AccountingError(
            f"{name}: the rows of staging table {manifest.staging_table} do not add up ({text}). Nothing was"
            " published; clear the run from `extract`"
        )
    return _quarantine_changed(name, text) or _gone(name, text, manifest) or error


def _overtaken(name: str, text: str, resource: Resource) -> TransientError:
    if sql.MOVED in text:
        return TransientError(
            f"{name}: another publish of this resource came first; this one will be retried"
        )
    return TransientError(
        f"{name}: rows of {resource.table_id} were moved to other partitions meanwhile, by something else than this"
        " resource's publishes; this one will be retried"
    )


def _quarantine_changed(name: str, text: str) -> StaleError | None:
    if sql.REPLAYED not in text:
        return None
    return StaleError(
        f"{name}: the quarantine has changed since these rows were taken from it, as by another replay or a cleared"
        " run. Nothing was published; run the replay again"
    )


def _shrunk(name: str, resource: Resource, manifest: Manifest) -> TerminalError:
    shrink = getattr(resource.spec, "max_shrink", 0)
    held = {"snapshots": "the latest snapshot in ", "scd2": "the current rows of "}
    return TerminalError(
        f"{name}: the new snapshot has {manifest.rows_staged} rows, over {shrink:.0%} fewer than"
        f" {held.get(getattr(resource.spec, 'history', ''), '')}{resource.table_id} holds. Nothing was published. If"
        " the source really shrank, raise max_shrink and clear the run from `extract`, or run with full_refresh; if"
        " not, look at the source"
    )


def _too_many_deletes(name: str, text: str, resource: Resource) -> TerminalError:
    counted = re.search(f"{sql.TOO_MANY_DELETES}, (\\d+) of (\\d+)", text)
    gone, published = counted.groups() if counted else ("too many", "all")
    return TerminalError(
        f"{name}: {gone} of the {published} rows in {resource.table_id} are gone at the source, more than"
        f" max_deletes ({100 * getattr(resource.spec, 'max_deletes', 0):g}%) allows. Nothing was published. If they"
        " really were deleted, raise max_deletes and clear the run from `extract`; if not, look at the source"
    )


def _gone(name: str, text: str, manifest: Manifest) -> StaleError | None:
    """Tell that a staging table is gone; BigQuery writes project:dataset.table, and its own name is unique."""
    for table in manifest.staging_tables:
        own = table.rpartition(".")[2]
        if re.search(rf"{re.escape(own)}\b", text) and "not found" in text.lower():
            return StaleError(f"{name}: staging table {table} is gone: clear the run from `extract`")
    return None
