"""Tables and queries of BigQuery, usually in another project; rows never leave BigQuery."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from etl_factory.errors import ConfigError, NotFoundError
from etl_factory.sources._stores import Store
from etl_factory.sources.base import Connection, Found, Source
from etl_factory.sources.specs import GoogleSpec, Name, TableResource
from etl_factory.sources.words import refuse
from etl_factory.windows import CursorKind, CursorValue, Window

CURSORS: dict[str, CursorKind] = {
    "TIMESTAMP": "instant", "DATETIME": "naive", "DATE": "date", "INT64": "integer", "INTEGER": "integer",
}  # fmt: skip
# A string, a quoted name, or a character; `blank` is what means nothing at a statement's end.
_TOKENS = re.compile(
    r"""(?P<blank>\s+|;|--[^\n]*|\#[^\n]*|/\*.*?\*/)
    |'''(?:\\.|.)*?'''|\"\"\"(?:\\.|.)*?\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`|.""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {ord("\\"): "\\\\", ord("`"): "\\`", ord("\n"): "\\n", ord("\r"): "\\r"}
RETRY_SECONDS = 60.0  # how long google's client repeats a request that fails


class BigQuerySpec(GoogleSpec):
    """Tables of a BigQuery project; `table` is `project.dataset.table`."""

    type: Literal["bigquery"]
    resources: Annotated[dict[Name, TableResource], Field(min_length=1)]

    @field_validator("resources")
    @classmethod
    def _no_key_in_a_query(cls, resources: dict[str, TableResource]) -> dict[str, TableResource]:
        why = (
            "hmac is not for a bigquery source: its rows never leave BigQuery, so that the key would stand in the"
            " query, which BigQuery keeps for whoever may list jobs. Use sha256, or leave the column out"
        )
        problems: dict[tuple[str, ...], str] = {
            (name, "columns", "mask", column): why
            for name, resource in resources.items()
            for column, mask in resource.columns.mask.items()
            if mask.how == "hmac"
        }
        if problems:
            refuse(problems)
        return resources


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
        """Run the least query that there is, and return the project that it ran in."""
        with self._errors():
            list(self.client.query_and_wait("SELECT 1", retry=_retry(), job_retry=None))
        return f"BigQuery as project {self.client.project}"

    def discover(self) -> Iterator[Found]:
        """List the project's tables with their columns; what is dropped meanwhile is left out."""
        with self._errors():
            for dataset in list(self.client.list_datasets(retry=_retry())):
                yield from self._tables(dataset.reference)

    def _tables(self, dataset: Any) -> Iterator[Found]:
        from google.api_core.exceptions import NotFound

        with suppress(NotFound):
            for item in self.client.list_tables(dataset, retry=_retry()):
                with suppress(NotFound):
                    yield _found(self.client.get_table(item.reference, retry=_retry()))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from google.api_core.exceptions import GoogleAPICallError, NotFound, RetryError
        from google.auth.exceptions import GoogleAuthError, TransportError

        what, grant = f"project {self.client.project}", "grant roles/bigquery.jobUser and bigquery.dataViewer"
        store = Store("BigQuery", self.connection.conn_id, grant)
        try:
            yield
        except NotFound as error:
            raise NotFoundError(f"{what}: {error.message}. Correct the project") from error
        except GoogleAPICallError as error:
            raise store.refusal(what, error.code, error.message) from error
        except (RetryError, TransportError, OSError) as error:
            endpoint = self.client._connection.API_BASE_URL  # the client has no public name for it
            raise store.unreachable(what, endpoint, error) from error
        except GoogleAuthError as error:
            raise store.wrong_login(what, str(error)) from error


def _found(table: Any) -> Found:
    columns = tuple((field.name, field.field_type) for field in table.schema)
    return Found(f"{table.project}.{table.dataset_id}.{table.table_id}", columns)


def _retry() -> Any:
    from google.cloud.bigquery.retry import DEFAULT_RETRY

    return DEFAULT_RETRY.with_timeout(RETRY_SECONDS)


def relation(table: str | None, query: str | None) -> str:
    """Return what stands after FROM; raises ConfigError for a query that is not one SELECT.

    Backticks that a person wrote around a table, or around each of its parts, are taken off; so are the
    semicolons and comments that end a query.
    """
    return quoted(table.replace("`", "")) if table else f"({_one_statement(query or '')})"


def _one_statement(query: str) -> str:
    """Cut off what follows the statement; a bracket or semicolon that would end it early is an error."""
    depth = end = 0
    for token in _TOKENS.finditer(query):
        if token["blank"]:
            continue
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if depth < 0 or ";" in _blanks(query[end : token.start()]):
            raise ConfigError(
                f"query must be one SELECT: it ends before {query[token.start() :][:40]!r}", path="query"
            )
        end = token.end()
    return query[:end]


def _blanks(text: str) -> set[str]:
    """Return what stands between two words: white space, comments, semicolons."""
    return {token[0] for token in _TOKENS.finditer(text)}


def quoted(name: str) -> str:
    """Quote an identifier; none can end its own quotes."""
    return f"`{name.translate(_ESCAPES)}`"


def predicate(cursor: str | None, window: Window | None) -> str:
    """Return the WHERE clause of a window; empty for the whole relation."""
    if window is None:
        return ""
    column = quoted(cursor or "")
    start = "" if window.start is None else f"{column} >= {literal(window.start)} AND "
    return f" WHERE ({start}{column} < {literal(window.end)}) OR {column} IS NULL"


def literal(value: CursorValue) -> str:
    """Write a cursor value as a typed SQL literal; an instant is written in UTC."""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime) and value.tzinfo:
        return f"TIMESTAMP '{value.astimezone(UTC).isoformat(sep=' ')}'"
    if isinstance(value, datetime):
        return f"DATETIME '{value.isoformat(sep=' ')}'"
    return f"DATE '{value.isoformat()}'"
