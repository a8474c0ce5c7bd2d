"""How much is measured: a full run, or a smoke run that shows only that everything works."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

BUCKET = "bench-objects"


@dataclass(frozen=True)
class Scale:
    """Sizes of one run. Slow peers get a tenth of the rows and objects, beside ours on the same tenth."""

    rows: int = 2_000_000
    file_rows: int = 1_000_000
    objects: int = 1000
    object_bytes: int = 1_000_000
    sources: int = 1000
    rounds: int = 3
    is_quick: bool = False

    def folders(self) -> Iterator[tuple[str, int]]:
        """Yield the folders of objects with how many each holds: all, and a tenth."""
        yield "all", self.objects
        yield "tenth", max(self.objects // 10, 1)


QUICK = Scale(
    rows=20_000, file_rows=5000, objects=20, object_bytes=100_000, sources=20, rounds=1, is_quick=True
)
