"""A staging table that was changed after it had been filled is noticed, and named."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from etl_factory.config.resource import Resource
from etl_factory.errors import StaleError
from etl_factory.operators.seals import demand_sealed, seal
from examples import Write
from fakes import MORNING, NOON, manifest_of, resource_of

ROWS, KEYS = "p.d._staging", "p.d._staging_keys"


class Tables:
    """A warehouse of which only what it says of its tables counts."""

    def __init__(self) -> None:
        self.held = {table: SimpleNamespace(num_rows=3, modified=MORNING) for table in (ROWS, KEYS)}

    def table(self, table_id: str) -> Any:
        return self.held.get(table_id)


@pytest.fixture
def resource(write: Write) -> Resource:
    return resource_of(write, "table: public.orders\nload: catalog")


def test_what_is_as_it_was(resource: Resource) -> None:
    tables: Any = Tables()
    seals = seal(tables, (ROWS, KEYS))

    assert seals == dict.fromkeys((ROWS, KEYS), f"3 rows, last modified {MORNING}")
    demand_sealed(tables, manifest_of(resource, seals=seals))
    demand_sealed(tables, manifest_of(resource))


@pytest.mark.parametrize("change", [{"num_rows": 4}, {"modified": NOON}])
@pytest.mark.parametrize("table", [ROWS, KEYS])
def test_what_was_changed(resource: Resource, table: str, change: dict[str, Any]) -> None:
    tables: Any = Tables()
    manifest = manifest_of(resource, seals=seal(tables, (ROWS, KEYS)))
    vars(tables.held[table]).update(change)

    with pytest.raises(StaleError) as raised:
        demand_sealed(tables, manifest)

    now = tables.held[table]
    assert str(raised.value) == (
        f"staging table {table} was changed after it had been filled: it had 3 rows, last modified {MORNING}, and has"
        f" {now.num_rows} rows, last modified {now.modified}. Nothing was published; clear the run from `extract`"
    )


def test_what_is_gone(resource: Resource) -> None:
    tables: Any = Tables()
    manifest = manifest_of(resource, seals=seal(tables, (ROWS,)))
    tables.held.clear()

    with pytest.raises(StaleError, match=f"^staging table {ROWS} is gone: clear the run from `extract`$"):
        demand_sealed(tables, manifest)
