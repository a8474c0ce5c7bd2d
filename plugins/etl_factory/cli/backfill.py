"""`etl-factory backfill`: read a stretch again, window after window, through a running Airflow."""

from __future__ import annotations

import shlex
from dataclasses import asdict, replace
from typing import Annotated

import typer

from etl_factory.cli.airflow_login import airflow_of
from etl_factory.cli.bounds import cut, demand_windows, parse_bounds, parse_step
from etl_factory.cli.options import (
    AsJson,
    ConfigRoot,
    SourceName,
    TenantName,
    counted,
    finish,
    root_of,
    source_file,
)
from etl_factory.cli.run import ONLY, chosen_resources
from etl_factory.cli.window_runs import Loader, WindowRun, planned
from etl_factory.errors import EtlFactoryError
from etl_factory.settings import Settings

FROM = typer.Option("--from", metavar="ISO", help="Read again from here: a date of the tenant's, a time with its"
                    " offset, or an integer cursor's value.")  # fmt: skip
TO = typer.Option("--to", metavar="ISO", help="Read again up to here, exclusive.")
STEP = typer.Option("--step", metavar="STEP", help="How long a window is: 1d, 6h, or a number for integers.")
AGAIN = typer.Option("--again", help="Load windows again that an earlier call has loaded.")


def backfill(  # noqa: PLR0913, PLR0917 - the parameters are the command's own options
    tenant: TenantName,
    source: SourceName,
    start: Annotated[str, FROM],
    end: Annotated[str, TO],
    step: Annotated[str, STEP] = "1d",
    only: Annotated[list[str] | None, ONLY] = None,
    again: Annotated[bool, AGAIN] = False,
    config_root: ConfigRoot = None,
    as_json: AsJson = False,
) -> None:
    """Load windows of the past one at a time, each as a DAG run, so that scheduled runs take turns.

    The watermark stays. Run it again to go on: loaded windows are left, failed ones are run again.
    """
    found = source_file(root_of(config_root), tenant, source, as_json=as_json, whole=True)
    chosen = sorted(set(chosen_resources(found.spec, only or [])))
    demand_windows(found.spec, chosen, "--from and --to")
    bounds = parse_bounds(("--from", start), ("--to", end))
    windows = [planned(each, chosen) for each in cut(bounds, parse_step(step, bounds[0]))]
    loader = Loader(airflow_of(Settings.from_environment()), found.dag_id, chosen, _say)
    loader.demand_ready()
    interrupted = load(loader, windows, again=again)
    words = ["--step", step, *(word for name in chosen for word in ("--resource", name))]
    words += ["--again"] if again else []
    words += ["--config-root", str(config_root)] if config_root else []
    left = next((window for window in windows if window.state != "success"), None)
    go_on = _command(tenant, source, left.start, windows[-1].end, words) if left else ""
    document = {
        "ok": left is None, "tenant": tenant, "source": source, "dag_id": found.dag_id,
        "interrupted": interrupted, "go_on": go_on, "windows": [asdict(window) for window in windows],
    }  # fmt: skip
    finish(document, summary(found.dag_id, windows, go_on), as_json=as_json)


def load(loader: Loader, windows: list[WindowRun], *, again: bool) -> bool:
    """Load the windows in turn, up to the first that fails, and put down how each ended; True: interrupted."""
    _say(f"{loader.dag_id}: {counted(len(windows), 'window')} from {windows[0].start} to {windows[-1].end}")
    for number, window in enumerate(windows):
        windows[number] = replace(window, state="running")
        try:
            windows[number] = done = loader.load(window, again=again)
        except KeyboardInterrupt:
            return True
        except EtlFactoryError as error:
            windows[number] = done = replace(window, state="failed", message=str(error))
        _say(f"[{number + 1}/{len(windows)}] {done}")
        if done.state != "success":
            return False
    return False


def summary(dag_id: str, windows: list[WindowRun], go_on: str) -> str:
    """Say how far the backfill got, and how to go on."""
    counts = {
        "loaded": sum(w.state == "success" and not w.already for w in windows),
        "loaded before": sum(w.already for w in windows),
        "failed": sum(w.state == "failed" for w in windows),
        "left running in Airflow": sum(w.state == "running" for w in windows),
        "not begun": sum(w.state == "waiting" for w in windows),
    }
    told = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    text = f"{dag_id}: of {counted(len(windows), 'window')}, {told}"
    return f"{text}\ngo on with: {go_on}" if go_on else text


def _command(tenant: str, source: str, start: str, end: str, words: list[str]) -> str:
    return shlex.join(["etl-factory", "backfill", tenant, source, "--from", start, "--to", end, *words])


def _say(line: str) -> None:
    typer.echo(line, err=True)
