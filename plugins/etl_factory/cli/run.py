"""`etl-factory run`: one DAG run of one source in this process, and its report."""

from __future__ import annotations

import os
import re
from datetime import date, datetime
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING, Annotated, Any

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
from etl_factory.config.loading import SourceFile
from etl_factory.config.problems import one_of
from etl_factory.errors import ConfigError
from etl_factory.sources.specs import SourceSpec, TransactionalTable

if TYPE_CHECKING:
    from etl_factory.report import RunReport

INTEGER = re.compile(r"-?\d+")
DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ].+)?$")
Bound = datetime | date | int
START = typer.Option("--start", metavar="ISO", help="Read again from here: a date, a time with its offset, or"
                     " an integer cursor's value.")  # fmt: skip
END = typer.Option("--end", metavar="ISO", help="Read again up to here, exclusive; the watermark stays.")
FULL = typer.Option("--full-refresh", help="Read everything and replace the published tables.")
ONLY = typer.Option("--resource", metavar="NAME", help="Only this resource; may be given several times.")
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
    asked = run_parameters(found.spec, start, end, full_refresh=full_refresh)
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
    spec: SourceSpec, start: str | None, end: str | None, *, full_refresh: bool
) -> dict[str, Any]:
    """Return the DAG run's parameters; ends the command with 2 when what is asked cannot be."""
    if full_refresh and (start or end):
        refuse("give --full-refresh, which reads everything, or --start and --end, not both")
    if full_refresh:
        return {"full_refresh": True}
    if start is None and end is None:
        return {}
    if start is None or end is None:
        refuse(
            f"{'--end' if start is None else '--start'} is given alone: a backfill needs --start and --end"
        )
    if not any(isinstance(resource, TransactionalTable) for resource in spec.resources.values()):
        refuse(f"--start and --end bound a cursor, and no resource of {spec.source} has one")
    return _window(parse_bound("--start", start), parse_bound("--end", end))


def _window(start: Bound, end: Bound) -> dict[str, Any]:
    if type(start) is not type(end):
        refuse("--start and --end must be of one kind: two dates, two times or two integers")
    if start >= end:  # type: ignore[operator]  # of one kind
        refuse(f"--start {start} is not before --end {end}, which is exclusive")
    return {"start": _text(start), "end": _text(end)}


def _text(bound: Bound) -> str:
    return str(bound) if isinstance(bound, int) else bound.isoformat()


def parse_bound(option: str, text: str) -> Bound:
    """Read a date, an aware time or an integer; ends the command with 2 at anything else."""
    if INTEGER.fullmatch(text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text if DATE.match(text) else "")
    except ValueError:
        refuse(f"{option} {text!r} is neither a date (2026-01-31), a time (2026-01-31T08:00Z) nor an integer")
    if len(text) == len("2026-01-31"):
        return moment.date()
    if moment.tzinfo is None:
        refuse(f"{option} {text!r} has no time zone: add its offset, such as {text}+01:00, or Z for UTC")
    return moment
