"""Reads one tenant's folder: its tenant.yaml, and each source file against it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from traceback import walk_tb
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from etl_factory.config.defaults import effective
from etl_factory.config.document import Document, printable, read_document
from etl_factory.config.limits import source_limits, tenant_limits
from etl_factory.config.models import Tenant
from etl_factory.config.problems import config_errors, one_of
from etl_factory.config.rules import SourceFile, source_errors
from etl_factory.errors import ConfigError
from etl_factory.sources import SOURCES, source_class
from etl_factory.sources.specs import SourceSpec
from etl_factory.sources.words import shown

TENANT_FILE = "tenant.yaml"
Errors = tuple[ConfigError, ...]
Roles = frozenset[str] | None
M = TypeVar("M", bound=BaseModel)


@dataclass
class Folder:
    """One tenant's folder, filled file by file: what is valid, what was read, and what is wrong."""

    path: Path
    tenant: Tenant | None = None
    sources: list[SourceFile] = field(default_factory=list)
    documents: dict[Path, Document] = field(default_factory=dict)
    errors: dict[Path, Errors] = field(default_factory=dict)

    @property
    def tenant_path(self) -> Path:
        """Where the tenant's own file is."""
        return self.path / TENANT_FILE

    @property
    def timezone(self) -> str:
        """The tenant's time zone, UTC when it cannot be known."""
        return self.tenant.timezone if self.tenant else "UTC"


def read_folder(path: Path, roles: Roles = None) -> Folder:
    """Read a tenant's folder, every file of it."""
    folder = read_tenant(path, roles)
    for file in _yaml_files(folder):
        if file.suffix == ".yml" or file.parent != path:
            folder.errors[file] = (not_read(file, f"{path}/<source>.yaml"),)
        else:
            read_source(file, folder)
    return folder


def not_read(file: Path, pattern: str) -> ConfigError:
    """Say that a file lies where none is read."""
    message = f"this file is not read: a source is a file {printable(pattern)}"
    return ConfigError(message, file=printable(file), line=1)


@contextmanager
def contained(file: str, errors: list[ConfigError]) -> Iterator[None]:
    """Turn whatever goes wrong with one file, in ways that nobody foresaw, into an error of that file."""
    try:
        yield
    # Here, and nowhere else, any exception is caught: all tenants' DAGs come from one DAG file, and
    # Airflow drops every one of them when that raises. The file's own DAG says what happened instead.
    except Exception as error:  # noqa: BLE001 - see above
        errors.append(_unforeseen(error, file))


def _unforeseen(error: Exception, file: str) -> ConfigError:
    """Name the exception and its place; its text may hold an address, or an object's, so it is left out."""
    frames = [f for f in walk_tb(error.__traceback__) if "etl_factory" in f[0].f_code.co_filename]
    where = f"{Path(frames[-1][0].f_code.co_filename).name}:{frames[-1][1]}" if frames else "no known place"
    return ConfigError(
        f"ETL Factory failed with {type(error).__name__} at {where} while it read this file or built its DAG:"
        " this is a defect of ETL Factory; report it with this line and the file, and undo the file's last change"
        " meanwhile",
        file=file,
        line=1,
    )


def _yaml_files(folder: Folder) -> list[Path]:
    files = (file for suffix in ("*.yaml", "*.yml") for file in folder.path.rglob(suffix))
    visible = (f for f in files if not any(p.startswith(".") for p in f.relative_to(folder.path).parts))
    return sorted(file for file in visible if file != folder.tenant_path)


def read_tenant(path: Path, roles: Roles = None) -> Folder:
    """Read only the tenant's own file of a folder; its `airflow_role` must be among `roles`, if given."""
    folder, errors = Folder(path), list[ConfigError]()
    with contained(printable(folder.tenant_path), errors):
        _read_tenant(folder, roles)
    if errors:
        folder.tenant, folder.errors[folder.tenant_path] = None, tuple(errors)
    return folder


def _read_tenant(folder: Folder, roles: Roles) -> None:
    document = Document(printable(folder.tenant_path))
    if not folder.tenant_path.exists():
        missing = document.error(f"{TENANT_FILE} is missing: every tenant's folder has one")
        folder.errors[folder.tenant_path] = (missing,)
        return
    document = folder.documents[folder.tenant_path] = read_document(folder.tenant_path)
    tenant, errors = validate(document, Tenant)
    if document.value.get("tenant") not in (None, folder.path.name):
        message = f"the folder is named {folder.path.name!r}: a tenant and its folder have one name"
        errors = (*errors, document.error(message, ("tenant",)))
    if tenant:
        errors = (*errors, *tenant_limits(tenant, document), *_role_errors(tenant, document, roles))
    if errors:
        folder.errors[folder.tenant_path] = errors
    else:
        folder.tenant = tenant


def _role_errors(tenant: Tenant, document: Document, roles: Roles) -> Iterator[ConfigError]:
    role = tenant.airflow_role
    if role and roles is not None and role not in roles:
        message = (
            f"role {shown(role)} is not named in ETL_FACTORY_ROLES: create it, then name it; set the variable (now"
            f" {', '.join(sorted(roles)) or 'empty'}) for all of Airflow and where you validate"
        )
        yield document.error(message, ("airflow_role",))


def read_source(file: Path, folder: Folder) -> None:
    """Read one source file into its folder; a broken tenant.yaml breaks it too."""
    errors: list[ConfigError] = []
    with contained(printable(file), errors):
        _read_source(file, folder)
    if errors:
        folder.errors[file] = tuple(errors)


def _read_source(file: Path, folder: Folder) -> None:
    document = folder.documents[file] = read_document(file)
    spec, errors = _validate_source(document)
    if document.value.get("source") not in (None, file.stem):
        message = f"the file is named {printable(file.name)}: a source and its file have one name"
        errors = (*errors, document.error(message, ("source",)))
    if folder.tenant is None:
        errors = (*folder.errors[folder.tenant_path], *errors)
    elif spec is not None:
        errors = (*errors, *source_limits(spec, document))
        spec = effective(folder.tenant, spec)
        errors = (*errors, *source_errors(spec, document))
        if not errors:
            folder.sources.append(SourceFile(file, folder.tenant, spec, document))
    if errors:
        folder.errors[file] = errors


def _validate_source(document: Document) -> tuple[SourceSpec | None, Errors]:
    types = [source.type for source in SOURCES]
    if not document.value:
        return None, _nothing_in(document)
    kind = document.value.get("type")
    if kind in types:
        spec: tuple[SourceSpec | None, Errors] = validate(document, source_class(kind).spec)
        return spec
    message = f"required: one of {', '.join(types)}" if kind is None else f"source type {one_of(kind, types)}"
    return None, (*document.errors, document.error(message, ("type",)))


def _nothing_in(document: Document) -> Errors:
    return tuple(document.errors) or (
        document.error("the mapping is empty: write at least the required keys"),
    )


def validate(document: Document, model: type[M]) -> tuple[M | None, Errors]:
    """Make a model of a document, or say all that is wrong with it."""
    if not document.value:
        return None, _nothing_in(document)
    try:
        return model.model_validate(document.value), tuple(document.errors)
    except ValidationError as error:
        return None, (*document.errors, *config_errors(error, document, model))
