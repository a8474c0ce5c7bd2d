"""What YAML says of a resource and of a source: the words that specs of every source type share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from etl_factory.sources._format_specs import (
    CsvFormat,
    Format,
    FormatSpec,
    JsonFormat,
    JsonLinesFormat,
    ParquetFormat,
)
from etl_factory.sources._spec import BadRows, Columns, ResourceSpec, SchemaContract, Spec, TaskSettings
from etl_factory.sources.words import Column, Lag, Name, Ratio, Schedule, Start, TimeZone, refuse

__all__ = [
    "BadRows", "CatalogFiles", "CatalogPart", "CatalogTable", "Columns", "ConnectedSpec", "CsvFormat",
    "FileResource", "Files", "FormatSpec", "GoogleSpec", "JsonFormat", "JsonLinesFormat", "Name", "ParquetFormat",
    "Relation", "ResourceDefaults", "ResourceSpec", "SchemaContract", "SourceSpec", "Spec", "TableResource",
    "TaskDefaults", "TaskSettings", "TransactionalFiles", "TransactionalTable",
]  # fmt: skip


class CatalogPart(ResourceSpec):
    """A whole snapshot, refused when it shrinks by more than `max_shrink`.

    `history` says what becomes of the snapshots before it: `none` replaces the table atomically, `snapshots`
    keeps each of them, dated, and `scd2` keeps every version of every row, with the time that it was valid.
    """

    is_incremental: ClassVar[bool] = False
    load: Literal["catalog"]
    max_shrink: Ratio = 0.5
    history: Literal["none", "snapshots", "scd2"] = "none"

    @model_validator(mode="before")
    @classmethod
    def _takes_no_deletes(cls, value: Any) -> Any:
        said = [key for key in ("deletes", "max_deletes") if isinstance(value, dict) and key in value]
        if said:
            why = "a catalog holds what is there now, so that a row that is gone needs no looking for"
            instead = "leave it out; max_shrink is the brake, and history keeps what was"
            refuse({(key,): f"{key} is for load: transactional: {why}. Here {instead}" for key in said})
        return value

    @model_validator(mode="after")
    def _suits_history(self) -> CatalogPart:
        if self.history == "scd2" and not self.primary_key:
            refuse({("history",): "history: scd2 needs primary_key, to tell the versions of one row"})
        if self.history == "snapshots" and self.partition_by:
            refuse(
                {
                    (
                        "partition_by",
                    ): "history: snapshots is partitioned by the day of _etl_snapshot_at: leave it out"
                }
            )
        return self


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
    """A table read incrementally along its cursor, from `lag` before the last run's end.

    `lag` covers transactions that commit late; what is read again is not published twice. Left out, it is
    10m for a time with a zone, 1h (or more, where the clocks change by more) for one without, 1d for a date,
    counted from the last day that was not over, and 1000 units for an integer: a sequence's values are given
    out before the commit, so that a smaller one may follow a greater one.
    `backfill_from` is where the first run and a full refresh begin; a later run's lag stops there.
    `deletes` says what becomes of published rows whose key is gone at the source: found by comparing all keys,
    in every live run, and refused when they are over `max_deletes` of the table.
    """

    is_incremental: ClassVar[bool] = True
    load: Literal["transactional"]
    cursor: Column
    cursor_timezone: TimeZone | None = None
    lag: Lag | None = None
    backfill_from: Start | None = None
    deletes: Literal["ignore", "mark", "remove"] = "ignore"
    max_deletes: Ratio = 0.1

    @model_validator(mode="after")
    def _finds_deletes_by_key(self) -> TransactionalTable:
        if self.deletes != "ignore" and not self.primary_key:
            refuse({("deletes",): f"deletes: {self.deletes} needs primary_key, to tell which rows are gone"})
        return self

    def needed_columns(self) -> dict[str, str]:
        """Add the cursor to what the load needs."""
        return {**super().needed_columns(), self.cursor: "cursor"}


TableResource = Annotated[TransactionalTable | CatalogTable, Field(discriminator="load")]


class Files(Spec):
    """Objects that match one path; `*` and `?` stay inside a folder, `**` crosses folders."""

    path: str = Field(min_length=1)
    format: Format


class TransactionalFiles(Files, ResourceSpec):
    """Only objects that are new or changed, by (uri, version), are read."""

    is_incremental: ClassVar[bool] = True
    load: Literal["transactional"]


class CatalogFiles(CatalogPart, Files, ResourceSpec):
    """All matching objects, or only the latest, are the snapshot."""

    files: Literal["all", "latest"] = "all"


FileResource = Annotated[TransactionalFiles | CatalogFiles, Field(discriminator="load")]


class ResourceDefaults(TaskSettings):
    """What a source says once for all its resources; each of them may say otherwise."""

    lag: Lag | None = None
    max_bad_rows: BadRows | None = None
    schema_contract: SchemaContract | None = None
    max_shrink: Ratio | None = None
    max_deletes: Ratio | None = None


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
