"""Fills what a resource leaves unsaid: from its source, then its tenant, then the built-in values."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

from etl_factory.config.models import Tenant
from etl_factory.sources.specs import SchemaContract, SourceSpec, Spec, TaskDefaults
from etl_factory.sources.words import MANUAL

BUILT_IN = TaskDefaults(
    retries=3,
    retry_delay=timedelta(minutes=1),
    execution_timeout=timedelta(hours=6),
    owner="etl-factory",
    schedule=MANUAL,
)
S = TypeVar("S", bound=Spec)


def overlay(spec: S, defaults: Spec) -> S:
    """Return `spec` with every field that it leaves unsaid and `defaults` says; a contract merges by part."""
    changes = {}
    for name in sorted(defaults.model_fields_set & type(spec).model_fields.keys()):
        own, default = getattr(spec, name), getattr(defaults, name)
        if default is not None and (own is None or name not in spec.model_fields_set):
            changes[name] = default
        elif isinstance(own, SchemaContract) and isinstance(default, SchemaContract):
            changes[name] = overlay(own, default)
    return spec.model_copy(update=changes)


def effective(tenant: Tenant, source: SourceSpec) -> SourceSpec:
    """Return the source with nothing left unsaid, as it will run."""
    from_tenant = overlay(tenant.defaults, BUILT_IN)
    said = overlay(source, from_tenant)
    for_resources = overlay(source.defaults, from_tenant)
    resources = {name: overlay(spec, for_resources) for name, spec in source.resources.items()}
    return said.model_copy(update={"resources": resources})
