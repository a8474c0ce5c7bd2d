"""What cannot be loaded fails, or is skipped, with a message that says what, where and what to do next."""

from __future__ import annotations

import pytest
import systems
from failures import MESSAGES
from local_airflow import Local

pytestmark = [pytest.mark.stack, pytest.mark.airflow]


@pytest.mark.parametrize(("source", "task_id"), MESSAGES, ids=map(".".join, MESSAGES))
def test_message(failed: dict[str, tuple[str, str]], local: Local, source: str, task_id: str) -> None:
    state, *words = MESSAGES[source, task_id]
    text = local.task(f"bad__{source}", failed[f"bad__{source}"][0], task_id)
    assert text.startswith(f"{state}: ")
    assert [word for word in words if word not in text] == [], text


def test_nothing_of_what_failed_was_published(failed: dict[str, tuple[str, str]]) -> None:
    client = systems.clients.bigquery_client("bad-project")
    tables = {table.table_id for table in client.list_tables("raw")}
    assert tables == {"empty_table__snapshot"}


def test_empty_table_is_published_empty(failed: dict[str, tuple[str, str]]) -> None:
    client = systems.clients.bigquery_client("bad-project")
    table = client.get_table("raw.empty_table__snapshot")
    types = {field.name: field.field_type for field in table.schema if not field.name.startswith("_etl_")}
    assert types["amount"] == "NUMERIC"
    assert types["moment"] == "TIMESTAMP"
    assert list(client.query_and_wait("SELECT * FROM raw.empty_table__snapshot")) == []
