"""Writes docs/benchmarks.md and its chart from results.json; the same results give the same page."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks import chart, claims
from benchmarks.results import FILE, Results, read
from benchmarks.summary import Measured, failures, summarise
from benchmarks.targets import TARGETS, Found, Target

PAGE, CHART = "docs/benchmarks.md", "docs/images/benchmarks.svg"
METHOD = Path(__file__).parent / "method.md"
SYSTEMS = {"postgres": "PostgreSQL", "mysql": "MariaDB"}
SHAPES = {"mixed": "16 mixed columns", "wide": "200 columns", "narrow": "3 integers"}
BUSY = 0.5  # load per core from which on the machine counts as not quiet


def titles() -> dict[str, tuple[str, str]]:
    """Return every group's title and what it counts per second."""
    found = {}
    for system, name in SYSTEMS.items():
        for shape, said in SHAPES.items():
            found[f"{system}/{shape}"] = (f"{name}, {said}", "rows/s")
            found[f"{system}/{shape}_tenth"] = (f"{name}, {said}, a tenth of the rows", "rows/s")
    found |= {f"files/{kind}": (f"{title} to clean Parquet", "rows/s") for kind, title in
              (("csv", "CSV"), ("jsonl", "JSON Lines"))}  # fmt: skip
    for kind, title in (
        ("parquet", "Clean Parquet without text"),
        ("parquet_text", "Clean Parquet with text"),
    ):
        found[f"files/{kind}"] = (f"{title}, to be loaded as it is", "rows/s")
        found[f"files/{kind}_tenth"] = (f"{title}, to be loaded as it is, a tenth of the rows", "rows/s")
    for store, title in (("s3", "S3"), ("azure_blob", "Azure Blob")):
        found[f"objects/{store}_all"] = (f"Objects from {title}", "objects/s")
        found[f"objects/{store}_tenth"] = (f"Objects from {title}, a tenth of them", "objects/s")
        found[f"objects/{store}_far"] = (
            f"Objects from {title} that answers after 0.1 s, a tenth of them",
            "objects/s",
        )
    found |= {
        "parsing/all": ("Parsing all sources, 4 tasks each", "DAGs/s"),
        "parsing/task_start": ("Parsing at task start, among twice as many sources", "DAGs/s"),
        "parsing/dag_processor": ("The DAG processor with three times as many sources", "DAGs/s"),
        "parsing/imports": ("Imports at parse", "DAGs/s"),
        "overhead/first_run": ("A first run of 1,000 rows", "runs/s"),
        "overhead/empty_run": ("A run with nothing new", "runs/s"),
    }
    return found | {
        f"imports/{step}": (f"Importing the module of `{step}`", "imports/s")
        for step in ("extract", "sanitize", "load", "publish")
    }


def write(repository: Path, file: Path = FILE) -> None:
    """Write the page, the chart and, after a full run, the claims of the repository's README."""
    results = read(file)
    (repository / PAGE).write_text(render(results), encoding="utf-8")
    (repository / CHART).write_text(draw(results), encoding="utf-8")
    if not results.scale["is_quick"]:
        claims.fill(repository / "README.md", results)


def draw(results: Results) -> str:
    """Return the chart."""
    return chart.draw(chart.panels(summarise(results.samples), titles()))


def render(results: Results) -> str:
    """Return the page."""
    found = summarise(results.samples)
    sections = (
        _head(results),
        _targets(found, is_judged=not results.scale["is_quick"]),
        ["![Rates beside peers and limits](images/benchmarks.svg)"],
        _tables(found),
        _overhead(results),
        _failures(results),
        METHOD.read_text(encoding="utf-8").splitlines(),
        _versions(results),
    )
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _head(results: Results) -> list[str]:
    at, scale = results.machine, results.scale
    text = (
        f"Measured {results.started[:10]} at commit {results.commit} in {results.seconds / 60:.0f} minutes on"
        f" {at['cores']} cores of {at['model']} with {at['memory_gb']} GB of memory, {at['system']}:"
        f" {len(results.samples)} samples, {scale['rows']:,} rows in the mixed and the narrow table,"
        f" {scale['file_rows']:,} in the files, {scale['objects']:,} objects of {scale['object_bytes'] / 1e6:g} MB,"
        f" {scale['sources']:,} sources. `make bench` measures again and writes this page; all samples are in"
        " `tests/benchmarks/results.json`."
    )
    paragraphs = [*(f"**{warning}**" for warning in _warnings(results)), text]
    wrapped = (textwrap.wrap(each, 118, break_on_hyphens=False) for each in paragraphs)
    return ["# Benchmarks", *(line for lines in wrapped for line in ("", *lines))]


def _warnings(results: Results) -> Iterator[str]:
    if results.scale["is_quick"]:
        yield (
            "There is no real measurement yet: this was a smoke run on small data, which only shows that the harness"
            " works. Its figures say nothing of speed, and no target is judged by them."
        )
    if results.machine["load_before"] > BUSY * results.machine["cores"]:
        yield (
            f"The machine was busy: its load was {results.machine['load_before']} before the run. Figures of a busy"
            " machine say little."
        )
    if len(results.samples) < results.planned:
        yield f"The run was cut short: {len(results.samples)} of {results.planned} samples were taken."


def _targets(found: Found, *, is_judged: bool) -> list[str]:
    figures = [(target, target.measured(found)) for target in TARGETS]
    measured = [(t.is_stretch, t.is_met(figure)) for t, figure in figures if figure is not None]
    wanted, stretch = ([met for kind, met in measured if kind is which] for which in (False, True))
    met = (
        f"{sum(wanted)} of {len(wanted)} measured targets are met, and {sum(stretch)} of {len(stretch)} of those that"
        " stretch"
        if is_judged
        else "A smoke run judges none"
    )
    return [
        "## Targets",
        "",
        f"{met}; {len(TARGETS) - len(measured)} of {len(TARGETS)} were not measured.",
        "",
        "| target | wanted | measured | |",
        "|---|---|---|---|",
        *(_target(target, figure, is_judged=is_judged) for target, figure in figures),
    ]


def _target(target: Target, figure: float | None, *, is_judged: bool) -> str:
    unit = {"": "", "x": "x"}.get(target.unit, f" {target.unit}")
    name = f"{target.text} (stretch)" if target.is_stretch else target.text
    wanted = f"{target.direction} {target.bound:g}{unit}"
    if figure is None:
        return f"| {name} | {wanted} | | not measured |"
    verdict = ("met" if target.is_met(figure) else "not met") if is_judged else "not judged"
    return f"| {name} | {wanted} | {_figure(figure)}{unit} | {verdict} |"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


COLUMNS = ("beside ours", "CPU s per million", "CPU s", "seconds", "spread", "MB above start", "samples")


def _tables(found: Found) -> list[str]:
    lines = ["## All figures"]
    for group, (title, unit) in titles().items():
        members = sorted((m for (g, _), m in found.items() if g == group), key=lambda m: -m.rate)
        if members:
            head = f"| | {unit} | {' | '.join(COLUMNS)} |"
            lines += ["", f"### {title}", "", head, "|---" * (len(COLUMNS) + 2) + "|"]
            lines += [_row(member, found.get((group, "ours"))) for member in members]
    return lines


def _row(of: Measured, ours: Measured | None) -> str:
    beside = f"{of.rate / ours.rate:.2f}" if ours else ""
    cells = (
        of.who, _figure(of.rate), beside, _figure(of.cpu_per_million), _figure(of.cpu_seconds),
        f"{of.seconds:.3g}", f"{of.spread:.0%}", f"{of.above_mb:.0f}", str(of.samples),
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _overhead(results: Results) -> list[str]:
    """Return what the last first run and the last empty run asked of Google's services."""
    lines: list[str] = []
    for group, title in (("overhead/first_run", "first run"), ("overhead/empty_run", "run with nothing new")):
        taken = [s for s in results.samples if s["group"] == group and "error" not in s]
        if taken:
            last: Mapping[str, dict[str, float]] = taken[-1]
            calls = ", ".join(f"{name} {count}" for name, count in last["calls"].items())
            steps = ", ".join(f"{step} {spent:.2f} s" for step, spent in last["step_seconds"].items())
            lines += textwrap.wrap(f"- {title}: {calls}; tasks: {steps}", 118, subsequent_indent="  ")
    return ["## Calls to Google's services", "", "Of one resource, 1,000 rows:", "", *lines] if lines else []


def _failures(results: Results) -> list[str]:
    failed = failures(results.samples)
    if not failed:
        return []
    rows = [f"| {group} | {who} | {error.replace('|', ' ')} |" for (group, who), error in failed.items()]
    return ["## What failed", "", "| where | who | error |", "|---|---|---|", *rows]


def _versions(results: Results) -> list[str]:
    rows = [f"| {name} | {version} |" for name, version in results.versions.items()]
    return ["## Versions", "", "| | |", "|---|---|", *rows]
