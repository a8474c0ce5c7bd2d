"""`etl-factory replay`: load the rows of a resource's quarantine that fit after a fix, exactly once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from etl_factory.cli.options import (
    AsJson,
    ConfigRoot,
    SourceName,
    TenantName,
    errors_json,
    finish,
    refuse,
    root_of,
    source_file,
)
from etl_factory.cli.run import LOG, run_once
from etl_factory.config.problems import one_of
from etl_factory.errors import ConfigError
from etl_factory.report import ResourceReport
from etl_factory.sources.specs import CatalogPart, SourceSpec

ResourceName = Annotated[str, typer.Argument(metavar="RESOURCE", help="Resource, its name in the file.")]
DRY_RUN = typer.Option(
    "--dry-run", help="Clean and stage the rows, say what would become of them, publish nothing."
)
EVERYTHING = 10**12  # a row limit that nothing reaches, which leaves only that nothing is published


def replay(  # noqa: PLR0913, PLR0917 - the parameters are the command's own options
    tenant: TenantName,
    source: SourceName,
    resource: ResourceName,
    dry_run: Annotated[bool, DRY_RUN] = False,
    log: Annotated[Path | None, LOG] = None,
    config_root: ConfigRoot = None,
    as_json: AsJson = False,
) -> None:
    """Load the rows in quarantine that fit by now, after the YAML was mended; the others stay there.

    A row that is loaded leaves the quarantine in the same transaction. Ends with 1 when rows stay.
    """
    root = root_of(config_root)
    found = source_file(root, tenant, source, as_json=as_json, whole=True)
    _demand_replayable(found.spec, resource)
    asked: dict[str, Any] = {"replay": True} | ({"row_limit": EVERYTHING} if dry_run else {})
    try:
        report = run_once(found, root, [resource], asked, log)
    except ConfigError as error:
        finish({"ok": False, "findings": errors_json((error,))}, str(error), as_json=as_json)
    is_clear = report.ok and not any(map(_stay, report.resources))
    finish(report.to_json() | {"ok": is_clear}, report.to_text(), as_json=as_json)


def _demand_replayable(spec: SourceSpec, name: str) -> None:
    if name not in spec.resources:
        refuse(one_of(name, spec.resources))
    chosen = spec.resources[name]
    if isinstance(chosen, CatalogPart) and chosen.history == "scd2":
        refuse(
            f"{name} keeps its history as scd2, where a row that comes late has no exact place: the next run reads all"
            " rows, and those that fit by then have a version from then on"
        )


def _stay(report: ResourceReport) -> int:
    """Return how many rows stay in quarantine."""
    return int(report.replay["stay"]) if report.replay else report.rows_quarantined or 0
