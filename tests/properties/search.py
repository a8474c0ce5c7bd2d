"""How long the properties are searched: the same few stories every time, or very many new ones."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

IS_LONG = os.environ.get("ETL_FACTORY_FAULTS") == "all"
TIMES = 25


def searching(examples: int) -> settings:
    """Return how a property is searched."""
    return settings(
        max_examples=examples * TIMES if IS_LONG else examples,
        derandomize=not IS_LONG,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
