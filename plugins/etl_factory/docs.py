"""What a human reads above a DAG: what it loads, from where, when, and what to do when it fails."""

from __future__ import annotations

from typing import Any

from etl_factory.config.loading import BrokenFile, SourceFile
from etl_factory.config.resource import Resource, resources
from etl_factory.sources import source_class
from etl_factory.sources.specs import CatalogFiles, TransactionalFiles, TransactionalTable
from etl_factory.sources.words import MANUAL


def dag_markdown(file: SourceFile) -> str:
    """Describe a source's DAG."""
    tenant, source = file.tenant, file.spec
    rows = [_row(resource) for resource in resources(tenant, source)]
    lines = [
        f"### {source.description or source.source}",
        f"Tenant **{tenant.tenant}**, source **{source.source}** ({source_class(source.type).title}), "
        f"{_when(source.schedule, tenant.timezone)}. Config: `{tenant.tenant}/{file.path.name}`.",
        "",
        "| resource | reads | strategy | publishes |",
        "|---|---|---|---|",
        *rows,
        "",
        "Each resource runs `extract` → `sanitize` → `load` → `publish`; nothing is visible before publish commits.",
        "",
        "**When a task fails**, its log ends with what is wrong and what to do. Clear the resource's group from"
        " `extract` to read the same window again: that neither loses nor doubles a row. Bad rows are in"
        f" `{tenant.dataset}_etl._quarantine__{source.source}__<resource>`.",
    ]
    return "\n".join(lines)


def _when(schedule: str | None, timezone: str) -> str:
    return "started by hand" if schedule in (None, MANUAL) else f"on `{schedule}` ({timezone})"


def _row(resource: Resource) -> str:
    spec: Any = resource.spec
    reads = getattr(spec, "path", None) or getattr(spec, "table", None) or "a query"
    return f"| {resource.name} | `{reads}` | {strategy(resource)} | `{resource.table_id}` |"


def strategy(resource: Resource) -> str:
    """Say in words how a resource is loaded."""
    spec = resource.spec
    keys = ", ".join(spec.primary_key)
    if isinstance(spec, TransactionalTable):
        return f"incremental by `{spec.cursor}`, " + (f"newest row per `{keys}`" if keys else "every row version, once")
    if isinstance(spec, TransactionalFiles):
        return "new and changed files" + (f", newest row per `{keys}`" if keys else "")
    if isinstance(spec, CatalogFiles):
        return f"{'the latest file' if spec.files == 'latest' else 'all files'}, replacing the table"
    return "a snapshot that replaces the table"


def config_error_markdown(broken: BrokenFile) -> str:
    """Describe a broken file's DAG."""
    errors = "\n".join(f"- `{error}`" for error in broken.errors)
    return f"### This file cannot be loaded\n`{broken.path}`\n\n{errors}\n\nCorrect the file; the DAG then becomes the source's own."
