"""The file that holds every raw sample; it is whole after each of them, so a run that is cut short loses none."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "results.json"


@dataclass
class Results:
    """One run: when and where, of which versions, at which scale, and its samples in the order of measuring.

    A sample that failed has an `error` in place of its figures. `planned` is how many there would be in all.
    """

    started: str
    machine: dict[str, Any]
    versions: dict[str, str]
    scale: dict[str, Any]
    planned: int
    commit: str = "unknown"
    seconds: float = 0.0
    samples: list[dict[str, Any]] = field(default_factory=list)

    def save(self, file: Path = FILE) -> None:
        """Write the file anew, in one move."""
        part = file.with_suffix(".part")
        head = {key: value for key, value in asdict(self).items() if key != "samples"}
        lines = ",\n".join("  " + json.dumps(sample, ensure_ascii=False) for sample in self.samples)
        text = json.dumps(head, indent=1, ensure_ascii=False).removesuffix("\n}")
        part.write_text(f'{text},\n "samples": [\n{lines}\n ]\n}}\n', encoding="utf-8")
        os.replace(part, file)


def read(file: Path = FILE) -> Results:
    """Read a run."""
    return Results(**json.loads(file.read_text(encoding="utf-8")))
