"""Fills the table of README.md from the last run: what is claimed there is a figure of results.json."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.cases import LATER
from benchmarks.results import Results
from benchmarks.summary import Measured, summarise
from marks import between

BEGIN, END = "<!-- speed -->\n", "<!-- end of speed -->"


@dataclass(frozen=True)
class Claim:
    """One row: our work, and who does the same in which group, compared by rate or by CPU."""

    work: str
    beside: str
    group: str
    who: str
    by_cpu: bool = False
    ours: str = "ours"

    def ratio(self, found: dict[tuple[str, str], Measured]) -> float:
        """Return how many times as fast we are, or how many times as much CPU the other takes."""
        ours, theirs = found[self.group, self.ours], found[self.group, self.who]
        return theirs.cpu_seconds / ours.cpu_seconds if self.by_cpu else ours.rate / theirs.rate


POSTGRES = "PostgreSQL table, 16 mixed columns, to Parquet"
MYSQL = "MySQL table, 16 mixed columns, to Parquet"
CLAIMS = (
    Claim(POSTGRES, "`PostgresToGCSOperator`", "postgres/mixed", "stock operator"),
    Claim(POSTGRES, "dlt, default", "postgres/mixed_tenth", "dlt default"),
    Claim(POSTGRES, "dlt, its fastest backend", "postgres/mixed", "dlt fastest"),
    Claim(POSTGRES, "`psql` with `COPY` in binary to nowhere", "postgres/mixed", "limit"),
    Claim(MYSQL, "`MySQLToGCSOperator`", "mysql/mixed", "stock operator"),
    Claim(MYSQL, "`mariadb --quick` to nowhere", "mysql/mixed", "limit"),
    Claim("objects of 1 MB, S3 at a distance", "`S3ToGCSOperator`", "objects/s3_far", "stock operator"),
    Claim("JSON Lines to clean Parquet", "pandas", "files/jsonl", "pandas"),
    Claim("JSON Lines to clean Parquet, later loads", "pandas", "files/jsonl", "pandas", ours=LATER),
    Claim("CSV to clean Parquet", "pandas", "files/csv", "pandas"),
    Claim("CSV to clean Parquet, later loads", "pandas", "files/csv", "pandas", ours=LATER),
    Claim("1,000 sources parsed, CPU", "dag-factory", "parsing/all", "dag-factory", by_cpu=True),
    Claim("1,000 sources parsed, CPU", "the same operators by hand", "parsing/all", "by hand", by_cpu=True),
)


def table(results: Results) -> str:
    """Return the table of what was measured."""
    found = summarise(results.samples)
    measured = [
        claim for claim in CLAIMS if {(claim.group, claim.ours), (claim.group, claim.who)} <= set(found)
    ]
    rows = [f"| {claim.work} | {claim.beside} | {claim.ratio(found):.2g} |\n" for claim in measured]
    return "".join(["| work | beside | times as fast |\n", "|---|---|---|\n", *rows])


def fill(readme: Path, results: Results) -> None:
    """Write the table between its marks."""
    readme.write_text(filled(readme.read_text(encoding="utf-8"), results), encoding="utf-8")


def filled(text: str, results: Results) -> str:
    """Return the text with the table of these results; raises ValueError for a text without the marks."""
    return between(text, BEGIN, END, table(results))
