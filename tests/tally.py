"""Counts what the type suites found of every value that they tried, for the end of the test session."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Values of one source: `changed` and `lost` name each that is not as it was, or nowhere, and must stay empty."""

    exact: int = 0
    quarantined: int = 0
    changed: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def tried(self) -> int:
        """All values, NULLs left out."""
        return self.exact + self.quarantined + len(self.changed) + len(self.lost)


TALLIES: dict[str, Tally] = {}


def lines() -> Iterator[str]:
    """Draw the table of all sources, and their sum; nothing where no suite ran."""
    form = "{:<24}{:>9}{:>9}{:>13}{:>18}{:>7}".format
    if TALLIES:
        yield form("source", "tried", "exact", "quarantined", "silently changed", "lost")
    sums = [0] * 5
    for name, of in TALLIES.items():
        counts = [of.tried, of.exact, of.quarantined, len(of.changed), len(of.lost)]
        sums = [one + other for one, other in zip(sums, counts, strict=True)]
        yield form(name, *counts)
    if TALLIES:
        yield form("all", *sums)
