"""What no model sees alone: a cursor against its merged lag, one table or one source claimed twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from etl_factory.config.columns import column_problems
from etl_factory.config.document import Document, Steps, printable
from etl_factory.config.models import Tenant
from etl_factory.config.resource import Resource, resources
from etl_factory.errors import ConfigError
from etl_factory.sources.specs import SourceSpec, TransactionalTable
from etl_factory.sources.words import shown
from etl_factory.windows import least_lag

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class SourceFile:
    """One valid source file: where it is, whose it is, and what it says, defaults applied."""

    path: Path
    tenant: Tenant
    spec: SourceSpec
    document: Document

    @property
    def dag_id(self) -> str:
        """DAG that the file becomes."""
        return f"{self.tenant.tenant}__{self.spec.source}"


def source_errors(spec: SourceSpec, document: Document) -> Iterator[ConfigError]:
    """Find what contradicts itself in a source with its defaults, whatever its data turns out to be."""
    for name, resource in spec.resources.items():
        steps: Steps = ("resources", name)
        for place, message in column_problems(resource):
            yield document.error(message, (*steps, *place))
        if isinstance(resource, TransactionalTable) and (problem := _cursor_problem(resource)):
            yield document.error(problem, (*steps, "lag"))


def _cursor_problem(spec: TransactionalTable) -> str | None:
    lag, zone = spec.lag, spec.cursor_timezone
    if isinstance(lag, int) and zone:
        return f"a lag of {lag} units needs an integer cursor, but cursor_timezone says it is a time"
    starts_at_number = isinstance(spec.backfill_from, int)
    if lag is not None and spec.backfill_from is not None and starts_at_number != isinstance(lag, int):
        return f"lag and backfill_from ({spec.backfill_from}) must both be numbers, or both be of time"
    if isinstance(lag, timedelta) and zone and lag < (least := least_lag("naive", zone)):
        return f"lag must be at least {least // HOUR}h: clocks in {zone} go back, and rows repeat that time"
    return None


def shared_tables(files: Iterable[SourceFile]) -> dict[Path, list[ConfigError]]:
    """Find resources, of any tenant, that would write one published table or one ledger table."""
    claims: dict[str, list[tuple[SourceFile, Resource]]] = defaultdict(list)
    for file in files:
        for resource in resources(file.tenant, file.spec):
            for table in {resource.table_id.lower(), resource.target.ledger_id.lower()}:
                claims[table].append((file, resource))
    errors: dict[Path, list[ConfigError]] = defaultdict(list)
    for table, claimants in sorted(claims.items()):
        for file, resource in claimants if len(claimants) > 1 else ():
            others = [r for _, r in claimants if r is not resource]
            errors[file.path].append(_shared(table, file, resource, others))
    return errors


def _shared(table: str, file: SourceFile, resource: Resource, others: Iterable[Resource]) -> ConfigError:
    names = ", ".join(sorted(f"{other.dag_id}.{other.name}" for other in others))
    steps: Steps = ("resources", resource.name)
    if table == resource.table_id.lower():
        message = (
            f"table {resource.table_id} is also written by {names}: give one of them another target_table"
        )
        return file.document.error(
            message, (*steps, *(("target_table",) if resource.spec.target_table else ()))
        )
    message = (
        f"ledger {resource.target.ledger_id} would also be {names}'s: tenants that share a dataset need"
        " different source or resource names"
    )
    return file.document.error(message, steps)


def repeated_sources(documents: Iterable[tuple[Path, Document]]) -> dict[Path, list[ConfigError]]:
    """Find files of one tenant that declare the same source; each of them is at fault."""
    claims: dict[tuple[Path, str], list[tuple[Path, Document]]] = defaultdict(list)
    for path, document in documents:
        if isinstance(name := document.value.get("source"), str):
            claims[path.parent, name].append((path, document))
    errors: dict[Path, list[ConfigError]] = defaultdict(list)
    for (_, name), claimants in claims.items():
        for path, document in claimants if len(claimants) > 1 else ():
            others = ", ".join(printable(other.name) for other, _ in claimants if other != path)
            message = f"source {shown(name)} is also declared in {others}: one source is one file"
            errors[path].append(document.error(message, ("source",)))
    return errors
