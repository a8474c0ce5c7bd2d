"""The words that specs of every source type share: pure data, no SDK, no pyarrow."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

NAME_PATTERN = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=64)]
BigQueryType = Literal[
    "STRING", "BYTES", "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", "BOOL",
    "DATE", "DATETIME", "TIME", "TIMESTAMP", "JSON", "GEOGRAPHY", "INTERVAL",
]  # fmt: skip
ContractMode = Literal["evolve", "freeze", "discard_row", "discard_value"]

_DURATION = re.compile(r"^(\d+)\s*(s|m|h|d|w)$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(value: Any) -> Any:
    """Turn `90s`, `10m`, `2h`, `1d`, `1w` into a timedelta; leave anything else to pydantic."""
    match = _DURATION.match(value) if isinstance(value, str) else None
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else value


def parse_ratio(value: Any) -> Any:
    """Turn `0.1%` into 0.001; leave anything else to pydantic."""
    if isinstance(value, str) and value.endswith("%"):
        return float(value[:-1]) / 100
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Ratio = Annotated[float, Field(ge=0, le=1), BeforeValidator(parse_ratio)]


def parse_lag(value: Any) -> Any:
    """Read a lag: a whole number for an integer cursor, else a duration."""
    return parse_duration(value)


Lag = Annotated[timedelta | int, BeforeValidator(parse_lag)]


class Spec(BaseModel):
    """What YAML says: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class BadRows(Spec):
    """How many rows may be quarantined before the run fails: a count, a ratio of the rows read, or both."""

    rows: int | None = Field(default=None, ge=0)
    ratio: Ratio | None = None

    def allows(self, quarantined: int, read: int) -> bool:
        """Tell whether `quarantined` of `read` rows stays within every limit that is set."""
        by_rows = self.rows is None or quarantined <= self.rows
        return by_rows and (self.ratio is None or quarantined <= self.ratio * read)

    @model_validator(mode="before")
    @classmethod
    def _from_scalar(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return {"rows": value}
        if isinstance(value, str) and value.endswith("%"):
            return {"ratio": value}
        return value


class Columns(Spec):
    """Which columns are read and how they are called and typed; keys are the source's own names."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    rename: dict[str, str] = Field(default_factory=dict)
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


class ResourceSpec(Spec):
    """What any resource says of its destination, whatever its source.

    `target_table` is the published table's name; by default `<source>__<resource>`.
    """

    is_incremental: ClassVar[bool]

    description: str = ""
    target_table: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,299}$")
    primary_key: tuple[str, ...] = ()
    columns: Columns = Field(default_factory=Columns)
    schema_contract: SchemaContract = Field(default_factory=SchemaContract)
    partition_by: str | None = None
    cluster_by: tuple[str, ...] = Field(default=(), max_length=4)
    max_bad_rows: BadRows = Field(default_factory=lambda: BadRows(rows=0))


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


class TransactionalTable(Relation, ResourceSpec):
    """A table read incrementally along its cursor."""

    is_incremental: ClassVar[bool] = True
    load: Literal["transactional"]
    cursor: str
    cursor_timezone: str | None = None
    lag: Lag | None = None
    backfill_from: date | datetime | int | None = None

    @model_validator(mode="after")
    def _known_zone(self) -> TransactionalTable:
        if self.cursor_timezone:
            try:
                ZoneInfo(self.cursor_timezone)
            except (KeyError, ValueError) as error:
                raise ValueError(f"unknown time zone {self.cursor_timezone!r}: use an IANA name") from error
        return self


TableResource = Annotated[TransactionalTable | CatalogTable, Field(discriminator="load")]


class Compressed(Spec):
    """A text format whose files may be compressed; `auto` goes by the file's first bytes."""

    compression: Literal["auto", "none", "gzip", "bz2", "zstd"] = "auto"
    encoding: str = "utf-8"


class CsvFormat(Compressed):
    """Delimited text (RFC 4180 and its relatives)."""

    type: Literal["csv"]
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', max_length=1)
    escape: str = Field(default="", max_length=1)
    header: bool = True
    column_names: tuple[str, ...] = ()
    skip_rows: int = Field(default=0, ge=0)
    null_values: tuple[str, ...] = ("",)


class JsonLinesFormat(Compressed):
    """One JSON object per line."""

    type: Literal["jsonl"]


class JsonFormat(Compressed):
    """One JSON array of objects per file."""

    type: Literal["json"]


class ParquetFormat(Spec):
    """Apache Parquet."""

    type: Literal["parquet"]


FormatSpec = Annotated[
    CsvFormat | JsonLinesFormat | JsonFormat | ParquetFormat, Field(discriminator="type")
]


def _format_from_name(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


class Files(Spec):
    """Objects that match one path; `*` and `?` stay inside a folder, `**` crosses folders."""

    path: str = Field(min_length=1)
    format: Annotated[FormatSpec, BeforeValidator(_format_from_name)]


class TransactionalFiles(Files, ResourceSpec):
    """Only objects that are new or changed, by (uri, version), are read."""

    is_incremental: ClassVar[bool] = True
    load: Literal["transactional"]


class CatalogFiles(CatalogPart, Files, ResourceSpec):
    """All matching objects, or only the latest, replace the table."""

    files: Literal["all", "latest"] = "all"


FileResource = Annotated[TransactionalFiles | CatalogFiles, Field(discriminator="load")]
