"""How long the properties are searched: the same few stories every time, or very many new ones."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from scheduling import PLAYS_ALL

TIMES = 25


def searching(examples: int) -> settings:
    """Return how a property is searched."""
    return settings(
        max_examples=examples * TIMES if PLAYS_ALL else examples,
        derandomize=not PLAYS_ALL,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
