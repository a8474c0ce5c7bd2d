"""What Airflow shows of a resource says how it is loaded, and what becomes of what was."""

from __future__ import annotations

import pytest

from etl_factory.description import strategy
from examples import Write
from fakes import resource_of

TABLE = "table: public.orders\nload: {}"
BY_ID = TABLE.format("transactional\ncursor: seen\nprimary_key: [id]")
FILES = "path: s3://drops/*.csv\nformat: csv\nload: {}"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (BY_ID, "transactional along `seen`, upsert by id"),
        (f"{BY_ID}\ndeletes: mark", "transactional along `seen`, upsert by id, mark what is gone"),
        (f"{BY_ID}\ndeletes: remove", "transactional along `seen`, upsert by id, remove what is gone"),
        (TABLE.format("catalog"), "catalog: one snapshot replaces the table"),
        (TABLE.format("catalog\nhistory: snapshots"), "catalog: one snapshot, beside those before, dated"),
        (
            TABLE.format("catalog\nhistory: scd2\nprimary_key: [id]"),
            "catalog: one snapshot, kept as versions of each row",
        ),
        (FILES.format("catalog"), "catalog: all files, replace the table"),
        (
            FILES.format("catalog\nfiles: latest\nhistory: snapshots"),
            "catalog: latest files, beside those before, dated",
        ),
        (
            FILES.format("transactional"),
            "transactional: new and changed files, a changed file replaces its rows",
        ),
    ],
)
def test_strategy_in_words(write: Write, spec: str, said: str) -> None:
    resource = resource_of(write, spec, type_="s3" if "s3://" in spec else "postgres")

    assert strategy(resource) == said
