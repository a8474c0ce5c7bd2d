"""A whole load in this process, and every published value held against the source's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from google.cloud import bigquery

from etl_factory.config.loading import load
from tally import TALLIES, Tally

Rows = Mapping[Any, Mapping[str, Any]]
PROJECT, BUCKET = "acme-analytics", "contract-types"
NEVER = datetime(2100, 1, 1, tzinfo=UTC)
TENANT = """\
tenant: acme
project: acme-analytics
location: EU
dataset: {dataset}
landing: gs://contract-types
"""
SOURCE = """\
source: {name}
type: {type}
{connection}
resources:
  every:
    {reads}
    load: catalog
    max_bad_rows: {{rows: 1000, ratio: 100%}}
"""


@dataclass
class Destination:
    """A dataset of its own, and the folder of its config."""

    root: Path
    client: bigquery.Client
    dataset: str = field(default_factory=lambda: f"types_{uuid4().hex[:8]}")

    def publish(
        self, name: str, type_: str, reads: str, connection: str = "connection: contract"
    ) -> Published:
        """Load one catalog by the tasks of its DAG; return what is there afterwards."""
        folder = self.root / "acme"
        folder.mkdir(exist_ok=True)
        (folder / "tenant.yaml").write_text(TENANT.format(dataset=self.dataset))
        source = SOURCE.format(name=name, type=type_, reads=reads, connection=connection)
        (folder / f"{name}.yaml").write_text(source)
        catalogue = load(self.root)
        assert [str(error) for broken in catalogue.errors for error in broken.errors] == []
        (made,) = (each for each in catalogue.sources if each.spec.source == name)
        _run(made.tenant, made.spec)
        aside = f"{self.dataset}_etl._quarantine__{name}__every"
        return Published(self.client, f"{self.dataset}.{name}__every", aside)


def _run(tenant: Any, spec: Any) -> None:
    """Execute the tasks one after the other, as a scheduler would."""
    from etl_factory.factory import build_dag

    dag = build_dag(tenant, spec)
    left: dict[str, Any] = {}
    task = SimpleNamespace(try_number=1, xcom_pull=lambda task_ids: left[task_ids])
    run = SimpleNamespace(run_id=uuid4().hex, run_after=NEVER, run_type="manual", conf={})
    for step in ("extract", "sanitize", "load", "publish"):
        context = {"ti": task, "dag_run": run, "params": {}, "dag": dag}
        left[f"every.{step}"] = dag.task_dict[f"every.{step}"].execute(context)


class Published:
    """A published table and its quarantine; JSON is shown as text."""

    def __init__(self, client: bigquery.Client, table: str, quarantine: str) -> None:
        self.types = {field.name: field.field_type for field in client.get_table(f"{PROJECT}.{table}").schema}
        listed = ", ".join(
            f"TO_JSON_STRING(`{n}`) AS `{n}`" if t == "JSON" else f"`{n}`" for n, t in self.types.items()
        )
        self.rows = [dict(row.items()) for row in client.query_and_wait(f"SELECT {listed} FROM {table}")]
        self.as_shown = [dict(row.items()) for row in client.query_and_wait(f"SELECT * FROM {table}")]
        self.aside = [dict(row.items()) for row in client.query_and_wait(f"SELECT * FROM {quarantine}")]

    def weigh(self, source: str, held: Rows, names: Mapping[str, str]) -> Tally:
        """Count each value that the source held, by its row's `id`; `names` maps its columns to the published ones."""
        tally = TALLIES.setdefault(source, Tally())
        published = {row["id"]: row for row in self.rows}
        aside = self.ids_aside
        assert not published.keys() & aside
        for id_, values in held.items():
            for column, value in values.items():
                if value is None:
                    continue
                where = f"{source}, row {id_}, column {column}: {value!r}"
                if id_ in aside:
                    tally.quarantined += 1
                elif id_ not in published:
                    tally.lost.append(where)
                elif is_same(published[id_][names[column]], value, self.types[names[column]]):
                    tally.exact += 1
                else:
                    tally.changed.append(f"{where} is {published[id_][names[column]]!r}")
        return tally

    @property
    def ids_aside(self) -> set[int]:
        """Rows in quarantine; a row of text holds text."""
        return {int(json.loads(reject["row"])["id"]) for reject in self.aside}

    @property
    def reasons(self) -> set[tuple[str, str]]:
        """Column and raw value of each row set aside."""
        assert all(reject["reason"] for reject in self.aside)
        return {(reject["column"], reject["value"]) for reject in self.aside}


def is_same(found: Any, held: Any, type_: str) -> bool:
    """Whether a published value is just what the source held, as a number, a moment, a document or a text."""
    if found is None:
        return False
    if type_ in ("NUMERIC", "BIGNUMERIC"):
        return bool(found == Decimal(str(held)))
    if type_ in ("FLOAT", "FLOAT64"):
        return repr(found) == repr(float(held))
    if type_ in ("DATE", "DATETIME", "TIMESTAMP", "TIME"):
        return bool(found == type(found).fromisoformat(str(held)))
    if type_ == "JSON":
        return document(found) == document(held)
    return type(found) is type(held) and bool(found == held)


def document(text: str) -> Any:
    """Parse JSON without rounding a number or dropping a key."""
    return json.loads(
        text, parse_float=Decimal, parse_int=Decimal, object_pairs_hook=lambda pairs: sorted(pairs, key=str)
    )
