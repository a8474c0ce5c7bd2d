"""Says which runs look for rows that are gone at the source."""

from __future__ import annotations

from etl_factory.config.resource import Resource
from etl_factory.landing.manifest import Plan
from etl_factory.sources.specs import TransactionalTable


def finds_deletes(resource: Resource, plan: Plan) -> bool:
    """Tell whether a run of this plan compares all keys of the source with those published.

    A backfill reads a window only, a full refresh replaces the table anyway, and a row limit publishes nothing.
    """
    spec = resource.spec
    asked = isinstance(spec, TransactionalTable) and spec.deletes != "ignore"
    return asked and plan.mode == "live" and plan.row_limit is None
