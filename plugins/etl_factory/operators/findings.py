"""What was detected in files rather than declared, in a few notes however many files there are."""

from __future__ import annotations

from collections.abc import Iterable

SHOWN = 3


class Findings:
    """What was detected, and in which files."""

    def __init__(self) -> None:
        self._files: dict[str, dict[str, None]] = {}

    def add(self, uri: str, findings: Iterable[str]) -> None:
        """Note what was detected in one file; to say so twice changes nothing."""
        for finding in findings:
            self._files.setdefault(finding, {})[uri] = None

    @property
    def notes(self) -> tuple[str, ...]:
        """One note for each finding, with the first files that it is true of."""
        return tuple(f"{finding}: {_listed(list(files))}" for finding, files in self._files.items())


def _listed(uris: list[str]) -> str:
    more = f" and {len(uris) - SHOWN} more files" if len(uris) > SHOWN else ""
    return ", ".join(uris[:SHOWN]) + more
