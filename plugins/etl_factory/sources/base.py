"""What a source is: a system that can be checked, discovered and read, knowing nothing of its reader."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, ClassVar

from etl_factory.sources._masks import MaskSpec
from etl_factory.windows import CursorKind, Window

if TYPE_CHECKING:
    import pyarrow as pa

    from etl_factory.sources.specs import SourceSpec

    SpecModel = type[SourceSpec]  # named here, since `type` means something else inside Source


@dataclass(frozen=True)
class Connection:
    """Where a source lives and how to enter; `password` and `extra` never appear in its repr."""

    conn_id: str
    conn_type: str = ""
    host: str = ""
    port: int | None = None
    login: str = ""
    database: str = ""
    password: str = field(default="", repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Found:
    """One table or object prefix that `discover` saw, with its columns as (name, source type)."""

    name: str
    columns: tuple[tuple[str, str], ...] = ()
    primary_key: tuple[str, ...] = ()


@dataclass(frozen=True)
class Selection:
    """What to read of a relation: `table` or `query`, the columns, which of them to hide, and along which cursor."""

    table: str | None = None
    query: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    cursor: str | None = None
    primary_key: tuple[str, ...] = ()
    mask: Mapping[str, MaskSpec] = field(default_factory=dict)


class WindowBasis(ABC):
    """What a window is planned from: the source's clock, its cursor's kind and its greatest integer.

    `now`: the source's own clock when the snapshot was taken, aware, UTC.
    """

    now: datetime

    @property
    def settled(self) -> datetime:
        """Moment before which no transaction that still runs can have begun, as far as the source tells.

        `now` where a source does not tell: then only the lag covers what commits late.
        """
        return self.now

    @abstractmethod
    def cursor_kind(self) -> CursorKind:
        """Classify the selection's cursor column; raises ConfigError when its type cannot be a cursor."""

    @abstractmethod
    def greatest(self) -> int | None:
        """Return the greatest value of an integer cursor, None when there is none."""


class TableSnapshot(WindowBasis):
    """One consistent read of a relation: every method sees the same committed state.

    `schema`: declared Arrow schema of the selected columns, from the source's catalogue. A column whose
    values may not fit its declared type (an unconstrained numeric, say) is declared as what it should
    become; its batches carry text, exactly as the source prints it, and the sanitizer casts it.
    """

    schema: pa.Schema

    @abstractmethod
    def count(self, window: Window | None) -> int:
        """Count the rows of the window, by a statement of its own; None means the whole relation."""

    @abstractmethod
    def read(self, window: Window | None) -> Iterator[pa.RecordBatch]:
        """Stream the rows of the window in batches of bounded size; columns in the schema's order."""

    def read_keys(self, keys: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
        """Stream these columns of every row of the relation, each as `read` gives it."""
        for batch in self.read(None):
            yield batch.select(list(keys))


@dataclass(frozen=True)
class SourceObject:
    """One object at one version (generation or etag), as listed."""

    uri: str
    version: str
    size: int
    modified: datetime


class Source(ABC):
    """One source type: data about it as class attributes, and its verbs.

    `spec`: the pydantic model of its YAML. `transfer`: dotted `module:Class` of its transfer operator.
    `conn_types`: Airflow connection types that can carry its credentials.
    """

    type: ClassVar[str]
    title: ClassVar[str]
    transfer: ClassVar[str]
    conn_types: ClassVar[tuple[str, ...]]
    spec: ClassVar[SpecModel]

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @abstractmethod
    def check(self) -> str:
        """Reach the system and return its version or name; raises AccessDeniedError or TransientError."""

    @abstractmethod
    def discover(self) -> Iterator[Found]:
        """List what could be a resource."""


class TableSource(Source):
    """A source whose resources are tables and queries."""

    @abstractmethod
    def snapshot(self, selection: Selection) -> AbstractContextManager[TableSnapshot]:
        """Open a consistent read; raises NotFoundError naming a missing table or column."""


class FileSource(Source):
    """A source whose resources are objects under a path."""

    @abstractmethod
    def objects(self, path: str) -> Iterator[SourceObject]:
        """List the objects that match `path`, sorted by uri; raises NotFoundError for a missing bucket."""

    @abstractmethod
    def open(self, source_object: SourceObject) -> IO[bytes]:
        """Stream one object at exactly its version; raises StaleError when that version is gone."""
