"""`make bench`, or `python -m benchmarks --help`: measures everything, and writes results.json and docs/benchmarks.md.

Ctrl-C ends the run early and leaves what was measured; the page then says that the run was cut short.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import machine, page
from benchmarks.cases import Case, cases
from benchmarks.results import FILE, Results
from benchmarks.running import REPOSITORY, Place, interleaved, places, sample
from benchmarks.scale import QUICK, Scale

CONSOLE = Console()


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: small data, one round, no meaning")
    parser.add_argument("--rows", type=int, help="rows of the mixed and the narrow table (2,000,000)")
    parser.add_argument("--rounds", type=int, help="how often our cases are measured (3)")
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="GROUP", help="just these groups, as postgres/mixed"
    )
    parser.add_argument("--who", nargs="+", default=(), help="just these, as ours, limit or pandas")
    parser.add_argument("--home", default=str(REPOSITORY / ".devstack/bench"), help="the servers' folder")
    parser.add_argument("--keep", action="store_true", help="leave the servers running, with their data")
    parser.add_argument("--results", type=Path, default=FILE, help="where the raw samples go")
    parser.add_argument("--page", action="store_true", help="only write the page anew from the results")
    return parser.parse_args()


def main() -> int:
    """Measure, or only write the page; 130 when it was interrupted."""
    options = arguments()
    for name in (signal.SIGINT, signal.SIGTERM):  # a shell may have its background jobs ignore the first
        signal.signal(name, signal.default_int_handler)
    ended = 0 if options.page else _on_servers(options)
    if options.page or options.results == FILE:
        page.write(REPOSITORY)
    return ended


def _on_servers(options: argparse.Namespace) -> int:
    from devstack.stack import Stack

    stack = Stack(options.home, say=CONSOLE.print)
    try:
        return _run(options, stack.start())
    finally:
        if not options.keep:
            stack.stop()


def _run(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Seed and measure; what was measured before Ctrl-C is kept."""
    os.environ.update(env)
    from benchmarks.seeding import seed
    from benchmarks.subjects.stock import connections

    scale, work = _scale(options), Path(options.home).absolute() / "work"
    systems = ("postgres", "mysql") if "MYSQL_URL" in env else ("postgres",)
    at = places({**env, **connections()})
    plan = list(interleaved([case for case in cases(scale, work, systems) if _is_chosen(case, options)]))
    results = _begun(scale, at, len(plan))
    try:
        seed(scale, work, CONSOLE.print)
        _measure(plan, at, results, options.results)
    except KeyboardInterrupt:
        CONSOLE.print(f"interrupted: {len(results.samples)} of {len(plan)} samples are kept")
        return 130
    return 0


def _begun(scale: Scale, at: Mapping[str, Place], planned: int) -> Results:
    """Name what the run is of, before its first sample."""
    found = machine.versions(at)
    now = datetime.now(UTC).isoformat(timespec="minutes")
    return Results(now, machine.machine(), found, asdict(scale), planned, machine.commit(REPOSITORY))


def _measure(plan: Sequence[tuple[int, Case]], at: Mapping[str, Place], results: Results, file: Path) -> None:
    """Take every sample, and save it as soon as it is there."""
    begin = time.monotonic()
    with _progress() as bar:
        task = bar.add_task("", total=len(plan))
        for number, case in plan:
            bar.update(task, description=f"{case.group} {case.who}")
            measured = sample(case, number, at)
            if "error" in measured:
                bar.console.print(f"{case.group} {case.who}: {measured['error']}", markup=False)
            results.samples.append(measured)
            results.seconds = round(time.monotonic() - begin, 1)
            results.save(file)
            bar.advance(task)


def _scale(options: argparse.Namespace) -> Scale:
    scale = QUICK if options.quick else Scale()
    asked = {name: getattr(options, name) for name in ("rows", "rounds") if getattr(options, name)}
    return replace(scale, **asked)


def _is_chosen(case: Case, options: argparse.Namespace) -> bool:
    is_group = not options.only or any(case.group.startswith(group) for group in options.only)
    return is_group and (not options.who or case.who in options.who)


def _progress() -> Progress:
    columns = (TextColumn("{task.description:40}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=CONSOLE)


if __name__ == "__main__":
    sys.exit(main())
