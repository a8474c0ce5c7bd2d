"""`etl-factory run`: one DAG run of one source in this process, and its report."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etl_factory.cli.bounds import demand_windows, parse_bounds, spelt
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
from etl_factory.config.loading import SourceFile
from etl_factory.config.problems import one_of
from etl_factory.errors import ConfigError
from etl_factory.sources.specs import SourceSpec

if TYPE_CHECKING:
    from etl_factory.report import RunReport

START = typer.Option("--start", metavar="ISO", help="Read again from here: a date of the tenant's, a time with"
                     " its offset, or an integer cursor's value.")  # fmt: skip
END = typer.Option("--end", metavar="ISO", help="Read again up to here, exclusive; the watermark stays.")
FULL = typer.Option("--full-refresh", help="Read everything and replace the published tables.")
ONLY = typer.Option("--resource", metavar="NAME", help="Only this resource; may be given several times.")
LIMIT = typer.Option("--row-limit", metavar="N", min=1, help="Read this many rows of each resource into staging,"
                     " and publish nothing.")  # fmt: skip
LOG = typer.Option(
    "--log",
    metavar="FILE",
    help="Keep Airflow's log here (default: kept only if the run fails).",
)


def run(  # noqa: PLR0913, PLR0917 - the parameters are the command's own options
    tenant: TenantName,
    source: SourceName,
    start: Annotated[str | None, START] = None,
    end: Annotated[str | None, END] = None,
    full_refresh: Annotated[bool, FULL] = False,
    row_limit: Annotated[int | None, LIMIT] = None,
    only: Annotated[list[str] | None, ONLY] = None,
    log: Annotated[Path | None, LOG] = None,
    config_root: ConfigRoot = None,
    as_json: AsJson = False,
) -> None:
    """Run one source's DAG once, here and now, and print what it did to each resource.

    Needs no Airflow in service. Every task is tried once; nobody is notified of a failure.
    """
    root = root_of(config_root)
    found = source_file(root, tenant, source, as_json=as_json, whole=True)
    chosen = chosen_resources(found.spec, only or [])
    asked = run_parameters(found.spec, start, end, full_refresh=full_refresh, row_limit=row_limit)
    try:
        report = run_once(found, root, chosen, asked, log)
    except ConfigError as error:
        finish({"ok": False, "findings": errors_json((error,))}, str(error), as_json=as_json)
    finish(report.to_json(), report.to_text(), as_json=as_json)


def run_once(
    found: SourceFile, root: Path, chosen: list[str], asked: dict[str, Any], log: Path | None
) -> RunReport:
    """Run the DAG in an Airflow of its own; the log stays if it was asked for, or if the run fails."""
    from etl_factory.cli.dag_run import run_dag
    from etl_factory.cli.private_airflow import private_airflow

    kept, is_over = log or _new_log(found.dag_id), False
    try:
        with private_airflow(found, root, kept) as screen:
            report = run_dag(found, chosen, asked, lambda line: typer.echo(line, file=screen))
        is_over = report.ok
        return report
    finally:
        if is_over and log is None:
            kept.unlink()
        else:
            typer.echo(f"Airflow's log: {kept}", err=True)


def _new_log(dag_id: str) -> Path:
    handle, name = mkstemp(prefix=f"etl-factory-run-{dag_id}-", suffix=".log")
    os.close(handle)
    return Path(name)


def chosen_resources(spec: SourceSpec, names: list[str]) -> list[str]:
    """Pass names of the source's resources; ends the command with 2 at any other."""
    for name in names:
        if name not in spec.resources:
            refuse(f"--resource: {one_of(name, spec.resources)}")
    return names


def run_parameters(
    spec: SourceSpec, start: str | None, end: str | None, *, full_refresh: bool, row_limit: int | None = None
) -> dict[str, Any]:
    """Return the DAG run's parameters; ends the command with 2 when what is asked cannot be."""
    limited: dict[str, Any] = {} if row_limit is None else {"row_limit": row_limit}
    if full_refresh and (start or end):
        refuse("give --full-refresh, which reads everything, or --start and --end, not both")
    if full_refresh:
        return {"full_refresh": True, **limited}
    if start is None and end is None:
        return limited
    if start is None or end is None:
        refuse(
            f"{'--end' if start is None else '--start'} is given alone: a backfill needs --start and --end"
        )
    demand_windows(spec, [], "--start and --end")
    first, last = parse_bounds(("--start", start), ("--end", end))
    return {"start": spelt(first), "end": spelt(last), **limited}
