"""`etl-factory validate`: every finding in every file, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from etl_factory.cli.options import AsJson, ConfigRoot, counted, errors_json, finish, root_of
from etl_factory.config.loading import Catalogue, load
from etl_factory.errors import ConfigError
from etl_factory.settings import Settings


def validate(config_root: ConfigRoot = None, as_json: AsJson = False) -> None:
    """Check every tenant's files; needs no connection, no network and no Airflow."""
    root = root_of(config_root)
    catalogue = load(root, Settings.from_environment().roles)
    found = findings(catalogue, root)
    counts = {
        "tenants": len(catalogue.tenants),
        "sources": len(catalogue.sources),
        "resources": sum(len(source.spec.resources) for source in catalogue.sources),
    }
    document: dict[str, Any] = {
        "ok": not found,
        "config_root": str(root),
        **counts,
        "findings": errors_json(found),
    }
    valid = ", ".join(counted(count, name.removesuffix("s")) for name, count in counts.items())
    finish(document, "\n".join([*map(str, found), _summary(found, valid)]), as_json=as_json)


def _summary(found: tuple[ConfigError, ...], valid: str) -> str:
    if not found:
        return f"ok: {valid}"
    files = len({error.file for error in found})
    return f"{counted(len(found), 'finding')} in {counted(files, 'file')}; valid: {valid}"


def findings(catalogue: Catalogue, root: Path) -> tuple[ConfigError, ...]:
    """Return each finding once, though a broken tenant.yaml breaks all of its sources."""
    unique = {(e.file, e.line, e.path, e.message): e for broken in catalogue.errors for e in broken.errors}
    if not unique and not catalogue.tenants:
        message = "there is no tenant here: a tenant is a folder with a tenant.yaml"
        return (ConfigError(message, file=str(root)),)
    return tuple(unique[key] for key in sorted(unique))
