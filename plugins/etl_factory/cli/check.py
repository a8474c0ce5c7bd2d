"""`etl-factory check`: whether a source answers, and holds what its resources name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from etl_factory.cli.options import (
    AsJson,
    ConfigRoot,
    SourceName,
    TenantName,
    counted,
    finish,
    root_of,
    source_file,
)
from etl_factory.config.loading import SourceFile
from etl_factory.config.resource import Resource, resources
from etl_factory.errors import EtlFactoryError, NotFoundError
from etl_factory.settings import Settings
from etl_factory.sources._sql import nearest
from etl_factory.sources.base import FileSource, Source, TableSource
from etl_factory.sources.bigquery import BigQuerySource
from etl_factory.sources.specs import Files, TransactionalTable
from etl_factory.windows import CursorKind


@dataclass(frozen=True)
class Finding:
    """What was found of the source itself, or of one of its resources."""

    what: str
    ok: bool
    message: str


def check(
    tenant: TenantName, source: SourceName, config_root: ConfigRoot = None, as_json: AsJson = False
) -> None:
    """Reach a source with its own connection, and look for what each of its resources names.

    Nothing is read but catalogues and listings. Exits 1 when anything is missing or denied.
    """
    root = root_of(config_root)
    found = source_file(root, tenant, source, as_json=as_json)
    from etl_factory.cli.private_airflow import private_airflow

    with private_airflow(found, root):
        findings = list(look(found))
    document = {
        "ok": all(finding.ok for finding in findings),
        "tenant": tenant,
        "source": source,
        "findings": [asdict(finding) for finding in findings],
    }
    finish(document, text(findings), as_json=as_json)


def text(findings: list[Finding]) -> str:
    """Print one finding per line."""
    width = max(len(finding.what) for finding in findings)
    return "\n".join(f"{'ok    ' if f.ok else 'FAILED'}  {f.what:{width}}  {f.message}" for f in findings)


def look(found: SourceFile) -> Iterator[Finding]:
    """Check the source, then, if it answers, each resource."""
    from etl_factory.cli.reach import reached

    todo = resources(found.tenant, found.spec, Settings.from_environment().gcp_conn_id)
    try:
        with reached(todo[0]) as source:
            yield Finding("system", True, f"{todo[0].conn_id}: {source.check()}")
    except EtlFactoryError as error:
        yield Finding("system", False, str(error))
        return
    for resource in todo:
        try:
            with reached(resource) as source:
                yield Finding(resource.name, True, look_at(source, resource))
        except EtlFactoryError as error:
            yield Finding(resource.name, False, str(error))


def look_at(source: Source, resource: Resource) -> str:
    """Say what is there for a resource; raises what its extract would raise before it reads."""
    from etl_factory.transfers.masking import maskings_of

    maskings_of(resource)
    if isinstance(source, FileSource):
        return _files(source, resource)
    with _snapshot(source, resource) as (names, cursor_kind):
        _find_columns(resource, names)
        return f"{counted(len(names), 'column')}{_cursor(resource, cursor_kind)}"


@contextmanager
def _snapshot(source: Source, resource: Resource) -> Iterator[tuple[list[str], Callable[[], CursorKind]]]:
    """Yield the names of the selected columns, and what tells the cursor's kind."""
    from etl_factory.transfers.base import selection

    if isinstance(source, TableSource):
        with source.snapshot(selection(resource)) as snapshot:
            yield snapshot.schema.names, snapshot.cursor_kind
        return
    from etl_factory.transfers.bigquery_snapshot import BigQuerySnapshot
    from etl_factory.warehouse.client import Warehouse

    assert isinstance(source, BigQuerySource)
    staged = BigQuerySnapshot(
        Warehouse(source.client, resource.target), selection(resource), resource.conn_id
    )
    yield [field.name for field in staged.fields], staged.cursor_kind


def _find_columns(resource: Resource, names: list[str]) -> None:
    spec = resource.spec
    for key in (*spec.primary_key, *((spec.partition_by,) if spec.partition_by else ()), *spec.cluster_by):
        if key not in names:
            raise NotFoundError(f"there is no column {key!r} among those selected{nearest(key, names)}")


def _cursor(resource: Resource, kind_of: Callable[[], CursorKind]) -> str:
    from etl_factory.transfers.planning import checked_lag

    spec = resource.spec
    if not isinstance(spec, TransactionalTable):
        return ""
    kind = kind_of()
    return f", cursor {spec.cursor} ({kind}), lag {checked_lag(spec, kind)}"


def _files(source: FileSource, resource: Resource) -> str:
    assert isinstance(resource.spec, Files)
    path = resource.spec.path
    listed = list(source.objects(path))
    if not listed:
        raise NotFoundError(f"no object matches {path}: correct `path`, unless the first is still to come")
    newest = max(item.modified for item in listed)
    size = sum(item.size for item in listed)
    return (
        f"{counted(len(listed), 'object')} found, {size:,} bytes, the newest of {newest:%Y-%m-%d %H:%M} UTC"
    )
