"""`etl-factory discover`: what a source holds that could be a resource."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any

import typer

from etl_factory.cli.options import AsJson, ConfigRoot, SourceName, TenantName, finish, root_of, source_file
from etl_factory.config.resource import resources
from etl_factory.settings import Settings
from etl_factory.sources.base import Found

Yaml = Annotated[bool, typer.Option("--yaml", help="Print resources to paste into the source's file.")]
Like = Annotated[
    str, typer.Option("--like", metavar="GLOB", help="Only names like this, such as 'public.*'.")
]


def discover(
    tenant: TenantName,
    source: SourceName,
    like: Like = "*",
    as_yaml: Yaml = False,
    config_root: ConfigRoot = None,
    as_json: AsJson = False,
) -> None:
    """List a source's tables, or its buckets, with their columns and primary keys."""
    root = root_of(config_root)
    file = source_file(root, tenant, source, as_json=as_json)
    from etl_factory.cli.private_airflow import private_airflow
    from etl_factory.cli.reach import reached
    from etl_factory.cli.suggest import resources_of, to_yaml

    with private_airflow(file, root):
        first = resources(file.tenant, file.spec, Settings.from_environment().gcp_conn_id)[0]
        with reached(first) as system:
            found = [item for item in system.discover() if fnmatchcase(item.name, like)]
    suggested = resources_of(found, file.tenant.timezone)
    document = {"ok": True, "tenant": tenant, "source": source, "found": [_json(item) for item in found]}
    shown = to_yaml(suggested) if as_yaml else text(found)
    finish({**document, "resources": suggested}, shown, as_json=as_json)


def text(found: Sequence[Found]) -> str:
    """Print each name with its columns below it."""
    counted = f"{len(found)} found" if found else "nothing found"
    return "\n".join([*(line for item in found for line in (*_lines(item), "")), counted])


def _lines(found: Found) -> Iterator[str]:
    keys = f"  (primary key: {', '.join(found.primary_key)})" if found.primary_key else ""
    yield f"{found.name}{keys}"
    width = max((len(name) for name, _ in found.columns), default=0)
    for name, type_ in found.columns:
        yield f"  {name:{width}}  {type_}"


def _json(found: Found) -> dict[str, Any]:
    columns = [{"name": name, "type": type_} for name, type_ in found.columns]
    return {"name": found.name, "primary_key": list(found.primary_key), "columns": columns}
