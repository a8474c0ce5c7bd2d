"""Reads the tenants' folder: every file becomes a valid source or a broken file with its exact errors."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from etl_factory.config.document import Document
from etl_factory.config.models import Tenant
from etl_factory.config.reading import (
    TENANT_FILE,
    Errors,
    Folder,
    Roles,
    not_read,
    read_folder,
    read_source,
    read_tenant,
)
from etl_factory.config.rivals import read_rivals
from etl_factory.config.rules import SourceFile, repeated_sources, shared_tables
from etl_factory.errors import ConfigError
from etl_factory.sources.words import is_name, parse_schedule

__all__ = ["BrokenFile", "Catalogue", "SourceFile", "load", "load_source"]


@dataclass(frozen=True)
class BrokenFile:
    """A file that makes no DAG, and why; `schedule` is cron or `none` when it can still be read."""

    path: Path
    dag_id: str
    errors: Errors
    schedule: str | None = None
    timezone: str = "UTC"


@dataclass(frozen=True)
class Catalogue:
    """Everything under one root: valid tenants and sources, and every file that is not."""

    tenants: tuple[Tenant, ...]
    sources: tuple[SourceFile, ...]
    errors: tuple[BrokenFile, ...]

    def errors_of(self, path: Path) -> Errors:
        """Return what is wrong with one file."""
        return next((broken.errors for broken in self.errors if broken.path == path), ())


def load(root: str | Path, roles: Roles = None) -> Catalogue:
    """Read every tenant under `root`; raises ConfigError only when there is no such folder.

    With `roles`, a tenant whose `airflow_role` is not among them is broken.
    """
    top = _root(root)
    return _catalogue(top, [read_folder(path, roles) for path in _tenant_folders(top)], _strays(top))


def _catalogue(top: Path, folders: list[Folder], strays: dict[Path, Errors]) -> Catalogue:
    """Hold the files that were read against each other."""
    sources = [source for folder in folders for source in folder.sources]
    documents = {path: document for folder in folders for path, document in folder.documents.items()}
    errors = dict(strays)
    for folder in folders:
        errors.update(folder.errors)
    for found in (repeated_sources(documents.items()), shared_tables(sources)):
        for path, more in found.items():
            errors[path] = (*errors.get(path, ()), *more)
    return Catalogue(
        tenants=tuple(folder.tenant for folder in folders if folder.tenant),
        sources=tuple(source for source in sources if source.path not in errors),
        errors=tuple(_broken(path, errors[path], folders, top) for path in sorted(errors)),
    )


def load_source(root: str | Path, dag_id: str, roles: Roles = None) -> SourceFile | BrokenFile | None:
    """Find one DAG's file just as `load` does, but read little else; None when there is no such file.

    Beside it, only those files are read that may claim the same source or table. A broken file takes a
    whole load, since what it says can be held against any other.
    """
    tenant, _, source = dag_id.partition("__")
    top = _root(root)
    file = top / tenant / f"{source}.yaml"
    if not (is_name(tenant) and is_name(source)) or not file.is_file() or file.name == TENANT_FILE:
        return None
    folder = read_tenant(file.parent, roles)
    read_source(file, folder)
    if folder.sources:
        others = read_rivals(folder, _tenant_folders(top), roles)
        found = _catalogue(top, [folder, *others], {})
        if not found.errors_of(file):
            return folder.sources[0]
    return next((broken for broken in load(root, roles).errors if broken.path == file), None)


def _root(root: str | Path) -> Path:
    if str(root).startswith("gs://"):
        raise ConfigError(
            f"config root {root} cannot be read here: DAGs are parsed offline, so ETL_FACTORY_CONFIG_ROOT"
            " must name a folder (on Composer, one that the bucket syncs)"
        )
    if not Path(root).is_dir():
        raise ConfigError(f"config root {root} is not a folder: set ETL_FACTORY_CONFIG_ROOT to the right one")
    return Path(root)


def _tenant_folders(top: Path) -> list[Path]:
    return [path for path in sorted(top.iterdir()) if path.is_dir() and not path.name.startswith((".", "__"))]


def _strays(top: Path) -> dict[Path, Errors]:
    files = sorted(path for path in top.iterdir() if path.suffix in (".yaml", ".yml") and path.is_file())
    return {file: (not_read(file, f"{top}/<tenant>/<source>.yaml"),) for file in files}


def _broken(path: Path, errors: Errors, folders: Iterable[Folder], top: Path) -> BrokenFile:
    folder = next((folder for folder in folders if folder.path == path.parent), None)
    document = folder.documents.get(path) if folder else None
    zone = folder.timezone if folder else "UTC"
    return BrokenFile(path, _dag_id(path, top), errors, _schedule(document), zone)


def _dag_id(path: Path, top: Path) -> str:
    """Name a broken file's DAG by its path; a path that no source can have adds its digest.

    The dash before it is in no source's name, so that no two files ever have one DAG id.
    """
    tenant, source = path.parent.name, path.stem
    if is_name(tenant) and is_name(source) and path.suffix == ".yaml" and path.parent.parent == top:
        return f"{tenant}__{source}"
    clean = re.sub(r"[^A-Za-z0-9_.-]", "_", f"{tenant}__{source}")[:200]
    return f"{clean}-{hashlib.sha256(os.fsencode(path.relative_to(top))).hexdigest()[:8]}"


def _schedule(document: Document | None) -> str | None:
    text = document.value.get("schedule") if document else None
    try:
        return parse_schedule(text) if isinstance(text, str) else None
    except ValueError:
        return None
