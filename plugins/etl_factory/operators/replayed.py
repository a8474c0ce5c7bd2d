"""Says what a replay did with the rows in quarantine: how many are loaded now, and how many stay, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etl_factory.landing.manifest import Manifest

# Why rows stay in quarantine without being looked at.
LEFT = {
    "withheld": "their exact values are not kept there (too long, withheld, or without a primary key)",
    "masked": "they hold columns that config masks otherwise by now",
    "values": "single values of rows that are published with NULL in their place, found again by a primary_key alone",
    "unknown": "their load is not in the ledger",
    "gone": "the object, at the version that was read, is gone at the source",
    "later": "too many objects for one replay: replay again for them",
}


def left_over(left: Mapping[str, int]) -> str:
    """Say in words how many rows stay, and why."""
    return "; ".join(f"{count}: {LEFT[why]}" for why, count in sorted(left.items()))


def settled(manifest: Manifest, counts: Mapping[str, int]) -> dict[str, Any]:
    """Return the counts of a replay by what a person asks; they add up.

    `rows` were in quarantine; of these `loaded` are published now, `superseded` are there already or were replaced
    by newer ones, and `stay`: those that are bad again, and those that could not be read again (`left_over`).
    """
    told = manifest.extra["replay"]
    left, replaced = sum(told["left"].values()), told.get("superseded", 0)
    bad = counts["quarantined"]
    if "files" in told:  # all rows of a file are published anew: of the bad ones, those that are bad no more
        loaded, done = max(0, told["rows"] - bad), replaced
    else:
        loaded = counts["inserted"] + counts["updated"]
        done = counts["unchanged"] + counts["superseded"]
    return {
        "rows": told["rows"] + left + replaced,
        "loaded": loaded,
        "superseded": done,
        "stay": bad + left,
        "left_over": left_over(told["left"]),
        "first": told.get("first", ""),
    }
