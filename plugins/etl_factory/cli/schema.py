"""`etl-factory schema`: the JSON Schema of the YAML files, for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from etl_factory.cli.options import AsJson, ConfigRoot, finish
from etl_factory.config.schema import schemas, write

Folder = Annotated[Path | None, typer.Option("--write", help="Write both schemas into this folder instead.")]


def schema(write_to: Folder = None, config_root: ConfigRoot = None, as_json: AsJson = False) -> None:
    """Print the JSON Schema of tenant.yaml and of a source file; it depends on no config root."""
    if write_to is None:
        finish({"ok": True, **schemas()}, "", as_json=True)
    write(write_to)
    files = sorted(str(write_to / name) for name in schemas())
    finish({"ok": True, "files": files}, "\n".join(files), as_json=as_json)
