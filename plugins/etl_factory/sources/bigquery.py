"""Tables and queries of BigQuery, usually in another project; rows never leave BigQuery."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from etl_factory.sources.base import Connection, Found, Source
from etl_factory.sources.specs import GoogleSpec, Name, TableResource
from etl_factory.windows import CursorKind, CursorValue, Window

CURSORS: dict[str, CursorKind] = {
    "TIMESTAMP": "instant", "DATETIME": "naive", "DATE": "date", "INT64": "integer", "INTEGER": "integer",
}  # fmt: skip


class BigQuerySpec(GoogleSpec):
    """Tables of a BigQuery project; `table` is `project.dataset.table`."""

    type: Literal["bigquery"]
    resources: Annotated[dict[Name, TableResource], Field(min_length=1)]


class BigQuerySource(Source):
    """A BigQuery project, through a client that the caller builds from the Google identity."""

    type: ClassVar[str] = "bigquery"
    title: ClassVar[str] = "BigQuery"
    transfer: ClassVar[str] = "etl_factory.transfers.bigquery_to_staging:BigQueryToStagingOperator"
    conn_types: ClassVar[tuple[str, ...]] = ("google_cloud_platform",)
    spec = BigQuerySpec

    def __init__(self, connection: Connection, client: Any) -> None:
        super().__init__(connection)
        self.client = client

    def check(self) -> str:
        """Return the project that the client works in."""
        return f"BigQuery as project {self.client.project}"

    def discover(self) -> Iterator[Found]:
        """List the project's tables with their columns."""
        for dataset in self.client.list_datasets():
            for item in self.client.list_tables(dataset.reference):
                table = self.client.get_table(item.reference)
                columns = tuple((field.name, field.field_type) for field in table.schema)
                yield Found(f"{table.project}.{table.dataset_id}.{table.table_id}", columns)


def relation(table: str | None, query: str | None) -> str:
    """Return what stands after FROM."""
    return f"`{table}`" if table else f"({query})"


def predicate(cursor: str | None, window: Window | None) -> str:
    """Return the WHERE clause of a window; empty for the whole relation."""
    if window is None:
        return ""
    start = "" if window.start is None else f"`{cursor}` >= {literal(window.start)} AND "
    return f" WHERE ({start}`{cursor}` < {literal(window.end)}) OR `{cursor}` IS NULL"


def literal(value: CursorValue) -> str:
    """Write a cursor value as a typed SQL literal."""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return f"{'TIMESTAMP' if value.tzinfo else 'DATETIME'} '{value.isoformat(sep=' ')}'"
    return f"DATE '{value.isoformat()}'"
