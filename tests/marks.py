"""Writes what is made into a page that people write: between two marks."""

from __future__ import annotations


def between(page: str, begin: str, end: str, made: str) -> str:
    """Return the page with `made` between its marks; raises ValueError for a page without them."""
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page has no {begin.strip()} with a {end} behind it")
    return f"{before}{begin}{made}{end}{after}"
