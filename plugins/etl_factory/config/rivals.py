"""Reads those few files that may claim what one source claims, found by their text alone: fast, and sure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from etl_factory.config.reading import TENANT_FILE, Folder, Roles, read_source, read_tenant
from etl_factory.config.resource import resources


def read_rivals(own: Folder, tenant_folders: Iterable[Path], roles: Roles = None) -> list[Folder]:
    """Read all that may clash with the one source in `own`: into `own`, and into the folders returned.

    Others clash by a word that they hold: the tenant's dataset, the source's name or a table's. YAML hides
    a word only behind a backslash, so a file with one is read too. A file read in vain costs time, no more.
    """
    (source,) = own.sources
    place = {source.tenant.project, source.tenant.dataset.lower()}
    others = [
        path for path in tenant_folders if path != own.path and place <= _said(path / TENANT_FILE, place)
    ]
    folders = [own, *(read_tenant(path, roles) for path in others)]
    tables = {resource.table.lower() for resource in resources(source.tenant, source.spec)}
    for folder in folders:
        for file in sorted(folder.path.glob("*.yaml")):
            if file not in folder.documents and _may_clash(file, source.spec.source, tables):
                read_source(file, folder)
    return folders[1:]


def _may_clash(file: Path, source: str, tables: set[str]) -> bool:
    if file.name.startswith("."):
        return False
    by_default = any(table.startswith(f"{file.stem}__") for table in tables)
    return by_default or bool(_said(file, {source, *tables}))


def _said(file: Path, words: set[str]) -> set[str]:
    """Return which of the words a file may hold, in any case of letters."""
    try:
        text = file.read_bytes().lower()
    except OSError:
        return set()  # so is what cannot be read: it claims nothing
    return words if b"\\" in text else {word for word in words if word.encode() in text}
