"""Defects that the harness puts into a child's copy of the product, to prove that a verdict can fail."""

from __future__ import annotations

from typing import Any


def _publish_twice() -> None:
    """Forget on a retry that the publish is committed already, and append without looking at what is held."""
    from etl_factory.operators.publishing import Publisher
    from etl_factory.warehouse import judgement

    committed = Publisher._committed
    asked: list[Any] = []

    def forgetful(self: Publisher) -> Any:
        asked.append(self)
        return None if len(asked) == 1 else committed(self)

    Publisher._committed = forgetful
    append, guard = judgement._append, "s._etl_rank > COALESCE(h.copies, 0)"

    def blind(to: Any) -> Any:
        statements = list(append(to))
        assert any(guard in statement for statement in statements)
        yield from (statement.replace(guard, "TRUE") for statement in statements)

    judgement._append = blind


def _skip_ahead() -> None:
    """Move the watermark past what was read."""
    from etl_factory.operators import parameters

    assert parameters.watermark
    parameters.watermark = lambda plan, head: "2999-01-01T00:00:00+00:00"


def _forget_expiry() -> None:
    """Create staging tables that stay forever."""
    from google.cloud.bigquery import Table

    Table.expires = property(lambda self: None, lambda self, value: None)


MUTATIONS = {"publish twice": _publish_twice, "skip ahead": _skip_ahead, "forget expiry": _forget_expiry}


def put(name: str) -> None:
    """Put the named defect into this process; nothing for an empty name."""
    if name:
        MUTATIONS[name]()
