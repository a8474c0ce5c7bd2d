"""What every command shares: its options, how it prints, and how it ends."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from etl_factory.config.loading import BrokenFile, SourceFile, load, load_source
from etl_factory.config.problems import nearest
from etl_factory.errors import ConfigError
from etl_factory.settings import Settings

ConfigRoot = Annotated[
    Path | None,
    typer.Option("--config-root", help="Folder of the tenants' YAML (default: ETL_FACTORY_CONFIG_ROOT)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
TenantName = Annotated[str, typer.Argument(metavar="TENANT", help="Tenant, the name of its folder.")]
SourceName = Annotated[str, typer.Argument(metavar="SOURCE", help="Source, the name of its file.")]


def root_of(config_root: Path | None) -> Path:
    """Return the config root to use, absolute, so that it outlives a change of folder."""
    root = config_root or Settings.from_environment().config_root
    if str(root).startswith("gs:/"):
        refuse(f"config root {root}: this command reads a local folder; copy the bucket's first")
    if config_root and not config_root.is_dir():
        refuse(f"--config-root {config_root} is not a folder")
    return Path(root).absolute()


def finish(document: dict[str, Any], text: str, *, as_json: bool) -> NoReturn:
    """Print a result as JSON or as text, and end: with 0 when the document's `ok` is true, else with 1."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False, default=str) if as_json else text)
    raise typer.Exit(0 if document["ok"] else 1)


def errors_json(errors: tuple[ConfigError, ...]) -> list[dict[str, Any]]:
    """Return findings as JSON-ready values."""
    return [{"file": e.file, "line": e.line, "path": e.path, "message": e.message} for e in errors]


def refuse(message: str) -> NoReturn:
    """End the command with 2: what was asked of it cannot be."""
    typer.echo(message, err=True)
    raise typer.Exit(2)


def source_file(root: Path, tenant: str, source: str, *, as_json: bool, whole: bool = False) -> SourceFile:
    """Read one source's file; ends the command with 1 when it is broken, with 2 when there is none.

    With `whole`, what takes all files to see breaks it too: two resources for one table, say.
    """
    is_path = any(os.sep in name for name in (tenant, source))
    found = None if is_path else load_source(root, f"{tenant}__{source}")
    if found is None:
        refuse(f"there is no file {root}/{tenant}/{source}.yaml; {_known(root, tenant, source)}")
    if whole and isinstance(found, SourceFile):
        found = next((file for file in load(root).errors if file.path == found.path), found)
    if isinstance(found, BrokenFile):
        lines = "\n".join(str(error) for error in found.errors)
        if not as_json:
            typer.echo(lines, err=True)
            raise typer.Exit(1)
        finish({"ok": False, "findings": errors_json(found.errors)}, lines, as_json=True)
    return found


def _known(root: Path, tenant: str, source: str) -> str:
    folder = root / tenant
    if folder.is_dir():
        names = sorted(file.stem for file in folder.glob("*.yaml") if file.stem != "tenant")
        return f"the sources of {tenant} are {', '.join(names) or 'none'}{nearest(source, names)}"
    names = sorted(path.parent.name for path in root.glob("*/tenant.yaml"))
    return f"the tenants are {', '.join(names) or 'none'}{nearest(tenant, names)}"


def counted(number: int, noun: str) -> str:
    """Write a number with its noun, in the plural unless it is one."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
