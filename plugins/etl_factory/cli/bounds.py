"""Reads from options what bounds a backfill, and cuts what lies between into windows."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from etl_factory.cli.options import refuse
from etl_factory.sources.specs import SourceSpec
from etl_factory.sources.words import parse_duration

INTEGER = re.compile(r"-?\d+")
DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ].+)?$")
DAY = timedelta(days=1)
MOST_WINDOWS = 10_000
Bound = datetime | date | int
Bounds = tuple[Bound, Bound]


def parse_bounds(start: tuple[str, str], end: tuple[str, str]) -> Bounds:
    """Read two options, each as its name and text; ends the command with 2 unless they bound something."""
    first, last = parse_bound(*start), parse_bound(*end)
    if type(first) is not type(last):
        refuse(f"{start[0]} and {end[0]} must be of one kind: two dates, two times or two integers")
    if first >= last:  # type: ignore[operator]  # of one kind
        refuse(f"{start[0]} {first} is not before {end[0]} {last}, which is exclusive")
    return first, last


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


def spelt(bound: Bound) -> str:
    """Write a bound as a run's configuration takes it."""
    return str(bound) if isinstance(bound, int) else bound.isoformat()


def demand_windows(spec: SourceSpec, chosen: list[str], options: str) -> None:
    """End the command with 2 when none of the resources asked for is read by windows."""
    wanted = [resource for name, resource in spec.resources.items() if not chosen or name in chosen]
    if not any(resource.is_incremental for resource in wanted):
        which = f"{', '.join(chosen)} of {spec.source}" if chosen else f"every resource of {spec.source}"
        refuse(f"{options} bound what is read of a transactional resource, and {which} is a catalog")


def parse_step(text: str, start: Bound) -> timedelta | int:
    """Read a step in the kind of the bounds; ends the command with 2 at anything else."""
    if isinstance(start, int):
        if not INTEGER.fullmatch(text) or int(text) < 1:
            refuse(f"--step {text!r} does not fit integers: give a whole number from 1 on, such as 1000")
        return int(text)
    try:
        step: timedelta = parse_duration(text)
    except ValueError as error:
        refuse(f"--step {error}")
    if not step:
        refuse(f"--step {text} leads nowhere: give a duration such as 1d")
    if type(start) is date and step % DAY:
        refuse(
            f"--step {text} is no whole number of days: give --from and --to as times, such as {start}T00:00Z"
        )
    return step


def cut(bounds: Bounds, step: timedelta | int) -> list[Bounds]:
    """Cut what lies between two bounds into windows that join, the last one as long as is left.

    A step between dates is of calendar days, whatever the clocks do; between times it is of time gone by.
    """
    start: Any
    start, end = bounds
    count = -((start - end) // step)
    if count > MOST_WINDOWS:
        refuse(f"that makes {count:,} windows, more than {MOST_WINDOWS:,}: give a longer --step")
    return list(pairwise([*(start + number * step for number in range(count)), end]))
