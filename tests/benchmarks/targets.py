"""The targets of the project for speed, each with the samples that decide whether it is met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from benchmarks.cases import LATER
from benchmarks.summary import Measured

Found = Mapping[tuple[str, str], Measured]
Which = tuple[str, str, str]  # group, who, metric


@dataclass(frozen=True)
class Target:
    """One sentence, and what it is held against: `of`, or the ratio of `of` to `to`, `at_least` or `at_most`.

    `to` with two entries means their sum.
    """

    text: str
    of: Which
    direction: Literal["at least", "at most"]
    bound: float
    to: tuple[Which, ...] = ()
    unit: str = ""
    is_stretch: bool = False

    def measured(self, found: Found) -> float | None:
        """Return the figure, None when a part of it was not measured."""
        try:
            own = _value(found, self.of)
            return own / sum(_value(found, which) for which in self.to) if self.to else own
        except KeyError:
            return None

    def is_met(self, figure: float) -> bool:
        """Hold the figure against the bound."""
        return figure >= self.bound if self.direction == "at least" else figure <= self.bound


def _value(found: Found, which: Which) -> float:
    group, who, metric = which
    return found[group, who].value(metric)


SHAPES = {"mixed": "16 mixed columns", "wide": "200 columns", "narrow": "3 integers"}
LIMITS = {"postgres": "the `COPY binary` limit", "mysql": "the client's `--quick` limit"}
TITLES = {"postgres": "PostgreSQL", "mysql": "MySQL"}
SHARES = {"postgres": 0.70, "mysql": 0.55}
STRETCHES = {"postgres": (1.0,), "mysql": (0.85, 1.0)}


def _rate(
    text: str, group: str, who: str, bound: float, *, stretch: bool = False, ours: str = "ours"
) -> Target:
    """Return a target for our rate beside another's on the same data."""
    return Target(text, (group, ours, "rate"), "at least", bound, ((group, who, "rate"),), "x", stretch)


def _databases(system: str) -> list[Target]:
    found = [target for shape in SHAPES for target in _table(system, shape)]
    name, mixed = TITLES[system], f"{system}/mixed"
    apart = tuple((mixed, who, "seconds") for who in ("limit", "write only"))
    overlap = f"{name}: seconds beside those of reading and of writing, one after the other"
    disk = f"{name}: local disk written while uploading"
    return [
        *found,
        Target(overlap, (mixed, "ours", "seconds"), "at most", 1.0, apart, "x"),
        Target(disk, (mixed, "ours to GCS", "local_mb"), "at most", 1, (), "MB"),
    ]


def _table(system: str, shape: str) -> list[Target]:
    whole, tenth, where = f"{system}/{shape}", f"{system}/{shape}_tenth", f"{TITLES[system]}, {SHAPES[shape]}"
    part, peak = f"{where}: part of {LIMITS[system]}", f"{where}: peak memory above the start"
    longer = f"{where}: peak memory with 10 times the rows"
    beside_dlt = [
        _rate(f"{where}: rate beside dlt's default", tenth, "dlt default", 25),
        _rate(f"{where}: rate beside dlt's fastest", whole, "dlt fastest", 1.5),
    ]
    return [
        _rate(f"{where}: rate beside the stock operator", whole, "stock operator", 15),
        *(beside_dlt if system == "postgres" else []),
        _rate(part, whole, "limit", SHARES[system]),
        *(_rate(part, whole, "limit", share, stretch=True) for share in STRETCHES[system]),
        Target(peak, (whole, "ours", "above_mb"), "at most", 300, (), "MB"),
        Target(longer, (whole, "ours", "peak_mb"), "at most", 1.10, ((tenth, "ours", "peak_mb"),), "x"),
    ]


def _files() -> list[Target]:
    found = []
    for kind, title in (("csv", "CSV"), ("jsonl", "JSON Lines")):
        for ours, when in (("ours", ""), (LATER, ", later loads")):
            group, work = f"files/{kind}", f"{title} to clean Parquet{when}"
            found.append(_rate(f"{work}: rate beside pandas", group, "pandas", 10, ours=ours))
            found.append(_rate(f"{work}: part of what pyarrow.csv reads", group, "limit", 0.70, ours=ours))
    large, small = ("files/parquet", "ours", "seconds"), ("files/parquet_tenth", "ours", "seconds")
    by_footer = "Clean Parquet without text: seconds with 10 times the rows"
    found.append(Target(by_footer, large, "at most", 1.2, (small,), "x"))
    for store, title in (("s3", "S3"), ("azure_blob", "Azure Blob")):
        for group, where in ((f"{store}_far", "as far as in life"), (f"{store}_tenth", "on this machine")):
            text = f"Objects from {title}, {where}: rate beside the stock operator"
            found.append(_rate(text, f"objects/{group}", "stock operator", 10))
    return found


def _parsing() -> list[Target]:
    def cpu(who: str) -> Which:
        return ("parsing/all", who, "cpu_seconds")

    by_hand = "1,000 sources: CPU beside the same operators by hand"
    return [
        Target(by_hand, cpu("ours"), "at most", 1.7, (cpu("by hand"),), "x"),
        Target(by_hand, cpu("ours"), "at most", 1.3, (cpu("by hand"),), "x", is_stretch=True),
        Target("1,000 sources: CPU beside dag-factory", cpu("ours"), "at most", 0.40, (cpu("dag-factory"),), "x"),
        Target("Task start among 2,000 sources, over the imports", ("parsing/task_start", "ours", "seconds"),
               "at most", 0.3, (), "s"),
        Target("Heavy modules that the loader does not name for the pre-import", ("parsing/imports", "ours", "unnamed"),
               "at most", 0),
        Target("SDKs imported at parse beyond the operators in use", ("parsing/imports", "ours", "sdks"), "at most", 0),
        Target("3,000 sources parsed and serialised by the DAG processor, imports included",
               ("parsing/dag_processor", "ours", "seconds"), "at most", 30, (), "s"),
    ]  # fmt: skip


def _overhead() -> list[Target]:
    def of(metric: str, run: str = "empty_run") -> Which:
        return (f"overhead/{run}", "ours", metric)

    return [
        Target("Empty run: tasks that execute before the rest is skipped", of("tasks"), "at most", 1),
        Target("Empty run: load jobs", of("load_jobs"), "at most", 0),
        Target(
            "Empty run: publish jobs and ledger rows (jobs that are no load)", of("other_jobs"), "at most", 0
        ),
        Target("Empty run: it says so (letters of the reason)", of("said"), "at least", 1),
        Target("First run: load jobs per resource", of("load_jobs", "first_run"), "at most", 1),
    ]


TARGETS: tuple[Target, ...] = (
    *_databases("postgres"), *_databases("mysql"), *_files(), *_parsing(), *_overhead(),
)  # fmt: skip
