"""The words that specs of every source type share: pure data, no SDK, no pyarrow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from etl_factory.sources.words import (
    PERCENT_PATTERN,
    Column,
    Count,
    Duration,
    Lag,
    Ratio,
    Schedule,
    TimeZone,
    refuse,
    shown,
)
from etl_factory.sources.words import (
    Name as Name,  # for the source types
)

BigQueryType = Literal[
    "STRING", "BYTES", "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", "BOOL",
    "DATE", "DATETIME", "TIME", "TIMESTAMP", "JSON", "GEOGRAPHY", "INTERVAL",
]  # fmt: skip
ContractMode = Literal["evolve", "freeze", "discard_row", "discard_value"]


class Spec(BaseModel):
    """What YAML says: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BadRows(Spec):
    """How many rows may be quarantined before the run fails: a count, a ratio of the rows read, or both."""

    rows: Count | None = None
    ratio: Ratio | None = None

    def allows(self, quarantined: int, read: int) -> bool:
        """Tell whether `quarantined` of `read` rows stays within every limit that is set."""
        by_rows = self.rows is None or quarantined <= self.rows
        # A ratio is a decimal that a person wrote: 29% of 100 rows is 29, not 28.999999999999996.
        return by_rows and (self.ratio is None or quarantined <= round(self.ratio * read, 6))

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Allow the short forms in the JSON Schema too."""
        percentage = {"type": "string", "pattern": PERCENT_PATTERN}
        return {"anyOf": [{"type": "integer", "minimum": 0}, percentage, {"type": "number"}, handler(core)]}

    @model_validator(mode="before")
    @classmethod
    def _from_scalar(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return {"rows": value}
        return {"ratio": value} if isinstance(value, str | float) else value


class Columns(Spec):
    """Which columns are read and how they are called and typed; keys are the source's own names."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    rename: dict[str, Column] = Field(default_factory=dict)
    types: dict[str, BigQueryType] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_of(self) -> Columns:
        if self.include and self.exclude:
            raise ValueError("give include or exclude, not both")
        return self


class SchemaContract(Spec):
    """What happens when the data's schema differs from the published table's."""

    tables: Literal["evolve", "freeze"] = "evolve"
    columns: ContractMode = "evolve"
    types: ContractMode = "evolve"


class TaskSettings(Spec):
    """How Airflow runs a task; None leaves it to the source, the tenant, and at last the built-in value."""

    retries: Annotated[int, Field(ge=0, le=20, strict=True)] | None = None
    retry_delay: Duration | None = None
    execution_timeout: Duration | None = None


class ResourceSpec(TaskSettings):
    """What any resource says of its destination, whatever its source.

    `target_table` is the published table's name; by default `<source>__<resource>`.
    """

    is_incremental: ClassVar[bool]

    description: str = ""
    target_table: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9_]{0,299}$")
    primary_key: tuple[Column, ...] = ()
    columns: Columns = Field(default_factory=Columns)
    schema_contract: SchemaContract = Field(default_factory=SchemaContract)
    partition_by: Column | None = None
    cluster_by: tuple[Column, ...] = Field(default=(), max_length=4)
    max_bad_rows: BadRows = Field(default_factory=lambda: BadRows(rows=0))

    def needed_columns(self) -> dict[str, str]:
        """Return the source columns that the load itself needs, with the key that names each."""
        return {column: "primary_key" for column in self.primary_key}

    @model_validator(mode="after")
    def _keeps_needed_columns(self) -> ResourceSpec:
        chosen = self.columns
        problems: dict[tuple[str, ...], str] = {}
        for column, key in self.needed_columns().items():
            if column in chosen.exclude:
                problems[("columns", "exclude")] = f"{column!r} is the {key}: it cannot be excluded"
            elif chosen.include and column not in chosen.include:
                problems[("columns", "include")] = f"{column!r} is the {key}: include it too"
        if problems:
            refuse(problems)
        return self


class CatalogPart(Spec):
    """A snapshot that replaces the table atomically, unless it shrinks by more than `max_shrink`."""

    is_incremental: ClassVar[bool] = False
    load: Literal["catalog"]
    max_shrink: Ratio = 0.5


class Relation(Spec):
    """Rows of one table, or of one SELECT; never both."""

    table: str | None = Field(default=None, min_length=1)
    query: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _one_of(self) -> Relation:
        if (self.table is None) == (self.query is None):
            raise ValueError("give exactly one of table and query")
        return self


class CatalogTable(CatalogPart, Relation, ResourceSpec):
    """A whole table, read in one snapshot."""


MOMENT_PATTERN = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?$"


def _parse_start(value: Any) -> date | int:
    """Read a whole number, a date of exactly ten characters, or a time, whose offset is kept."""
    if isinstance(value, date) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str) and re.match(MOMENT_PATTERN, value):
        with suppress(ValueError):
            return date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
    raise ValueError(
        f"{shown(value)} is not where a cursor can begin: write a date such as 2025-01-01, a time such as"
        " 2025-01-01T00:00:00+02:00, or a whole number for an integer cursor"
    )


Start = Annotated[
    date | datetime | int,
    BeforeValidator(_parse_start),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": MOMENT_PATTERN}, {"type": "integer"}]}),
]


class TransactionalTable(Relation, ResourceSpec):
    """A table read incrementally along its cursor, from `lag` before the last run's end.

    `lag` covers transactions that commit late; what is read again is not published twice. Left out, it is
    10m for a time with a zone, 1h (or more, where the clocks change by more) for one without, 1d for a date,
    counted from the last day that was not over, and 1000 units for an integer: a sequence's values are given
    out before the commit, so that a smaller one may follow a greater one.
    `backfill_from` is where the first run and a full refresh begin; a later run's lag stops there.
    """

    is_incremental: ClassVar[bool] = True
    load: Literal["transactional"]
    cursor: Column
    cursor_timezone: TimeZone | None = None
    lag: Lag | None = None
    backfill_from: Start | None = None

    def needed_columns(self) -> dict[str, str]:
        """Add the cursor to what the load needs."""
        return {**super().needed_columns(), self.cursor: "cursor"}


TableResource = Annotated[TransactionalTable | CatalogTable, Field(discriminator="load")]


def _known_encoding(value: str) -> str:
    try:
        "".encode(value)
    except LookupError as error:
        raise ValueError(
            f"unknown encoding {value!r}: use a name such as utf-8, windows-1250, latin-1"
        ) from error
    return value


class Compressed(Spec):
    """A text format whose files may be compressed; `auto` goes by the file's first bytes."""

    compression: Literal["auto", "none", "gzip", "bz2", "zstd"] = "auto"
    encoding: Annotated[str, AfterValidator(_known_encoding)] = "utf-8"


class CsvFormat(Compressed):
    """Delimited text (RFC 4180 and its relatives)."""

    type: Literal["csv"]
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', max_length=1)
    escape: str = Field(default="", max_length=1)
    header: bool = True
    column_names: tuple[str, ...] = ()
    skip_rows: Count = 0
    null_values: tuple[str, ...] = ("",)

    @model_validator(mode="after")
    def _distinct_marks(self) -> CsvFormat:
        marks = [mark for mark in (self.delimiter, self.quote, self.escape) if mark]
        if len({*marks, "\n", "\r"}) < len(marks) + 2:
            raise ValueError("delimiter, quote and escape must differ, and none may be a line break")
        return self


class JsonLinesFormat(Compressed):
    """One JSON object per line."""

    type: Literal["jsonl"]


class JsonFormat(Compressed):
    """One JSON array of objects per file."""

    type: Literal["json"]


class ParquetFormat(Spec):
    """Apache Parquet."""

    type: Literal["parquet"]


FormatSpec = Annotated[CsvFormat | JsonLinesFormat | JsonFormat | ParquetFormat, Field(discriminator="type")]


class _OrName:
    """Lets a format be its bare name, in YAML and in the JSON Schema."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.expand, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"enum": ["csv", "jsonl", "json", "parquet"]}, handler(core)]}

    @staticmethod
    def expand(value: Any) -> Any:
        return {"type": value} if isinstance(value, str) else value


class Files(Spec):
    """Objects that match one path; `*` and `?` stay inside a folder, `**` crosses folders."""

    path: str = Field(min_length=1)
    format: Annotated[FormatSpec, _OrName()]


class TransactionalFiles(Files, ResourceSpec):
    """Only objects that are new or changed, by (uri, version), are read."""

    is_incremental: ClassVar[bool] = True
    load: Literal["transactional"]


class CatalogFiles(CatalogPart, Files, ResourceSpec):
    """All matching objects, or only the latest, replace the table."""

    files: Literal["all", "latest"] = "all"


FileResource = Annotated[TransactionalFiles | CatalogFiles, Field(discriminator="load")]


class ResourceDefaults(TaskSettings):
    """What a source says once for all its resources; each of them may say otherwise."""

    lag: Lag | None = None
    max_bad_rows: BadRows | None = None
    schema_contract: SchemaContract | None = None
    max_shrink: Ratio | None = None


class TaskDefaults(ResourceDefaults):
    """What a tenant says once for all its sources; each of them may say otherwise."""

    owner: Annotated[str, Field(min_length=1)] | None = None
    schedule: Schedule | None = None


class SourceSpec(Spec):
    """One source file: one system, one DAG. Each source type says its own `type` and `resources`."""

    source: Name
    type: str
    description: str = ""
    owner: Annotated[str, Field(min_length=1)] | None = None
    schedule: Schedule | None = None
    defaults: ResourceDefaults = Field(default_factory=ResourceDefaults)
    connection: Name | None
    resources: Mapping[str, ResourceSpec]


class ConnectedSpec(SourceSpec):
    """A source that needs credentials of its own: `connection` names the tenant's, and no other's."""

    connection: Name


class GoogleSpec(SourceSpec):
    """A source on Google Cloud, read as the tenant's own identity unless `connection` names another."""

    connection: Name | None = None
