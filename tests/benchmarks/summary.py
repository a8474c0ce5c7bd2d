"""Turns raw samples into medians, spread and ratios; a ratio is of medians over the same rounds' data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

Sample = Mapping[str, Any]


@dataclass(frozen=True)
class Measured:
    """What one case came to: each field is a median over its samples, `spread` how far their rates lie apart.

    `rate` is in rows (objects, DAGs) per second, `above_mb` the peak above what was held before the work.
    `spread` is (greatest - least) / median of the seconds.
    """

    group: str
    who: str
    samples: int
    seconds: float
    cpu_seconds: float
    rows: float
    least_seconds: float
    greatest_seconds: float
    above_mb: float
    extras: Mapping[str, float]

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds

    @property
    def spread(self) -> float:
        """How far the samples lie apart, as a part of their median."""
        return (self.greatest_seconds - self.least_seconds) / self.seconds

    @property
    def cpu_per_million(self) -> float:
        """CPU seconds of the client per million rows."""
        return self.cpu_seconds / self.rows * 1e6

    def value(self, name: str) -> float:
        """Return a metric by name; raises KeyError for one that was not measured."""
        if hasattr(self, name):
            return float(getattr(self, name))
        return self.extras[name]


def summarise(samples: Iterable[Sample]) -> dict[tuple[str, str], Measured]:
    """Return what every case came to, by group and who; a case that only failed is left out."""
    grouped: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        if "error" not in sample:
            grouped.setdefault((sample["group"], sample["who"]), []).append(sample)
    return {key: _measured(*key, found) for key, found in grouped.items()}


def _measured(group: str, who: str, found: Sequence[Sample]) -> Measured:
    seconds = [sample["seconds"] for sample in found]
    known = {"group", "who", "round", "seconds", "cpu_seconds", "rows"}
    extras = {
        name: median(sample[name] for sample in found)
        for name, value in found[0].items()
        if name not in known and isinstance(value, int | float)
    }
    return Measured(
        group, who, len(found), median(seconds),
        median(sample["cpu_seconds"] for sample in found),
        median(sample["rows"] for sample in found),
        min(seconds), max(seconds),
        median(sample["peak_mb"] - sample["base_mb"] for sample in found),
        extras,
    )  # fmt: skip


def failures(samples: Iterable[Sample]) -> dict[tuple[str, str], str]:
    """Return the last error of every case that failed at least once."""
    return {(sample["group"], sample["who"]): sample["error"] for sample in samples if "error" in sample}
