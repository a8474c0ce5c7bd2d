"""Describes a source in Markdown, for the person who looks at its DAG in Airflow."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from etl_factory.config.document import printable
from etl_factory.config.loading import BrokenFile
from etl_factory.config.models import Tenant
from etl_factory.config.resource import Resource, resources
from etl_factory.sources import source_class
from etl_factory.sources.specs import CatalogFiles, CatalogPart, Files, SourceSpec, TransactionalTable
from etl_factory.sources.words import MANUAL

START_HELP = (
    "Read again from here: a date, a time (the tenant's clock, unless with its offset) or an integer."
)
END_HELP = "Read again up to here, exclusive. A backfill needs both ends and never moves the watermark."
FULL_REFRESH_HELP = "Read everything and replace the published tables, in one transaction each."
REPLAY_HELP = "Load the rows in quarantine that fit by now, and nothing else. The watermark stays."
RESOURCES_HELP = "Load these only; the tasks of the others are skipped. Empty: all of them."
ROW_LIMIT_HELP = "For a look: read this many rows of each resource into staging, and publish nothing."
LONGEST_LINE = 2000
LONGEST_CELL = 500
FAILURE = """\
## When a task fails

1. Open the failed task's log: its last error says what is wrong and what to do next.
2. Airflow has already retried what a retry can help. Correct what the error names.
3. Clear the failed task; if the error says so, from `extract` on: the run reads its own window again.

Nothing is published until every row is accounted for, and clearing a task never publishes a row twice."""


def summary(tenant: Tenant, source: SourceSpec) -> str:
    """Say in one line what the DAG does."""
    title = source_class(source.type).title
    return f"Loads {source.source} ({title}) of {tenant.tenant} into {tenant.project}.{tenant.dataset}"


def document(tenant: Tenant, source: SourceSpec) -> str:
    """Describe the whole DAG."""
    return "\n".join(
        [
            f"# {tenant.tenant} / {source.source}",
            "",
            f"{summary(tenant, source)}. {source.description}".rstrip(),
            "",
            f"**Schedule**: {schedule(source.schedule, tenant.timezone)}.",
            "",
            "| resource | reads | strategy | published table |",
            "|---|---|---|---|",
            *(_row(resource) for resource in resources(tenant, source)),
            "",
            *_details(tenant, source),
            FAILURE,
            "",
        ]
    )


def schedule(cron: str | None, timezone: str) -> str:
    """Spell a schedule in words."""
    if cron in (None, MANUAL):
        return "none; it runs when somebody triggers it"
    words = _in_words(str(cron))
    return f"{words} (`{cron}`), {timezone} time" if words else f"`{cron}`, {timezone} time"


@cache
def _in_words(cron: str) -> str | None:
    """Spell cron fields in English; None for those that cron_descriptor has no words for (`2 10,*/3 * * *`)."""
    from cron_descriptor import FormatException, MissingFieldException, Options, get_description
    from cron_descriptor.Exception import WrongArgumentException

    options = Options()
    options.use_24hour_time_format = True
    options.locale_code = "en_US"  # else it follows the machine, and DAGs would differ between machines
    try:
        return str(get_description(cron, options))
    except (FormatException, MissingFieldException, WrongArgumentException):
        return None


def _row(resource: Resource) -> str:
    cells = (resource.name, _cell(reads(resource)), strategy(resource), f"`{resource.table_id}`")
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return "`" + " ".join(text.replace("|", "\\|").replace("`", "'").split()) + "`"


def reads(resource: Resource) -> str:
    """Say what is read: the table, the query or the path, or the beginning of a long one."""
    spec = resource.spec
    if isinstance(spec, Files):
        return f"{_short(spec.path)} ({spec.format.type})"
    return _short(str(getattr(spec, "table", None) or getattr(spec, "query", "")))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}..."


def strategy(resource: Resource) -> str:
    """Say in words how the resource is loaded."""
    spec = resource.spec
    if isinstance(spec, TransactionalTable):
        rows = (
            f"upsert by {', '.join(spec.primary_key)}" if spec.primary_key else "keep every row version, once"
        )
        gone = {"ignore": "", "mark": ", mark what is gone", "remove": ", remove what is gone"}
        return f"transactional along `{spec.cursor}`, {rows}{gone[spec.deletes]}"
    if isinstance(spec, CatalogPart) and spec.history != "none":
        read = f"{spec.files} files" if isinstance(spec, CatalogFiles) else "one snapshot"
        kept = {"snapshots": "beside those before, dated", "scd2": "kept as versions of each row"}
        return f"catalog: {read}, {kept[spec.history]}"
    if isinstance(spec, Files):
        which = f"{spec.files} files" if isinstance(spec, CatalogFiles) else "new and changed files"
        rows = "replace the table" if isinstance(spec, CatalogFiles) else "a changed file replaces its rows"
        return f"{spec.load}: {which}, {rows}"
    return "catalog: one snapshot replaces the table"


def _details(tenant: Tenant, source: SourceSpec) -> Iterator[str]:
    described = [
        f"- **{name}**: {spec.description}" for name, spec in source.resources.items() if spec.description
    ]
    if described:
        yield from [*described, ""]
    where = f"`{tenant.project}.{tenant.dataset}_etl`"
    yield f"Quarantined rows, staging tables and the ledger of loads (`_loads__*`) are in {where}."
    yield ""


def error_text(broken: BrokenFile) -> str:
    """Spell a broken file's exact errors, one on a line; only what no person reads to its end is cut."""
    lines = (printable(error) for error in broken.errors)
    return "\n".join(line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..." for line in lines)


def config_error(broken: BrokenFile) -> str:
    """Describe a broken file by its exact errors."""
    errors = error_text(broken)
    fence = "`" * max(3, 1 + max((len(run) for run in _runs(errors)), default=0))
    return (
        f"# Config error in {printable(broken.path.name)}\n\nThis file makes no DAG until it is corrected:\n\n"
        f"{fence}\n{errors}\n{fence}\n\nCorrect it; `etl-factory validate` shows the same errors offline.\n"
    )


def _runs(text: str) -> list[str]:
    import re

    return re.findall("`+", text)
