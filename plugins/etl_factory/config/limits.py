"""How long, how many and how much: what a model allows, but Airflow or its database cannot keep."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from etl_factory.config.document import Document, Steps
from etl_factory.config.models import Tenant
from etl_factory.errors import ConfigError
from etl_factory.sources.specs import SourceSpec, TaskSettings

MAX_RESOURCES = 500
MAX_OWNER = 200
MAX_DESCRIPTION = 4000
LONGEST_RETRY_DELAY = timedelta(days=1)
LONGEST_TASK = timedelta(days=30)


def tenant_limits(tenant: Tenant, document: Document) -> Iterator[ConfigError]:
    """Find what a tenant.yaml says at too great length."""
    yield from _text(tenant.description, MAX_DESCRIPTION, document, ("description",))
    yield from _text(tenant.defaults.owner, MAX_OWNER, document, ("defaults", "owner"))
    yield from _task(tenant.defaults, document, ("defaults",))


def source_limits(source: SourceSpec, document: Document) -> Iterator[ConfigError]:
    """Find what a source file, before its defaults are applied, says at too great length."""
    if (count := len(source.resources)) > MAX_RESOURCES:
        message = (
            f"{count} resources are too many for one DAG: split the source, {MAX_RESOURCES} a file at most"
        )
        yield document.error(message, ("resources",))
    yield from _text(source.owner, MAX_OWNER, document, ("owner",))
    yield from _text(source.description, MAX_DESCRIPTION, document, ("description",))
    yield from _task(source.defaults, document, ("defaults",))
    for name, resource in source.resources.items():
        steps: Steps = ("resources", name)
        yield from _text(resource.description, MAX_DESCRIPTION, document, (*steps, "description"))
        yield from _task(resource, document, steps)


def _text(text: str | None, longest: int, document: Document, steps: Steps) -> Iterator[ConfigError]:
    if text and len(text) > longest:
        yield document.error(f"{len(text)} characters are too many: write at most {longest}", steps)


def _task(settings: TaskSettings, document: Document, steps: Steps) -> Iterator[ConfigError]:
    delay, timeout = settings.retry_delay, settings.execution_timeout
    if delay is not None and delay > LONGEST_RETRY_DELAY:
        yield document.error("too long: wait at most 1d between tries", (*steps, "retry_delay"))
    if timeout is not None and not timeout:
        yield document.error(
            "a task that may take no time always fails: write 1s or more", (*steps, "execution_timeout")
        )
    if timeout is not None and timeout > LONGEST_TASK:
        yield document.error(f"too long: at most {LONGEST_TASK.days}d", (*steps, "execution_timeout"))
