"""One publish as data: what is published where, from which staging columns, and by which strategy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from etl_factory.schema.types import Field

Strategy = Literal["merge", "append", "append_files", "replace", "snapshot", "versions"]
Deletes = Literal["ignore", "mark", "remove"]


@dataclass(frozen=True)
class StagedColumn:
    """A published field, and the staging column (name and type) that its values come from.

    `is_parquet`: it was loaded from Parquet, so that JSON and BIGNUMERIC inside a nested value are text.
    """

    field: Field
    name: str
    type: str
    is_parquet: bool = False


@dataclass(frozen=True)
class Publication:
    """One publish as data; ids are `project.dataset.table`.

    `keys` and `cursor` are published names; `window` is the SQL condition on the published cursor that
    bounds what an append compares with, empty for all. `is_file`: staging has `_etl_source_uri`, `_etl_record`,
    unless `is_one_file`: its rows are those of one file, and not told apart.
    `deletes` says what becomes of rows that are gone, and `keys_staging` is the table with all keys of the source;
    where that is empty, nothing is known to be gone.
    `files_staging` is the table with what became of each file, empty where the parameters say it.
    `replays`: the rows were in quarantine; `is_whole`: the table is a snapshot, or several, rather than a history of
    changes.
    `partitions` is the SQL condition, of constants, on the published rows `t` that a merge looks at, empty for all;
    `asserts_partitions`: a row with a staged key could lie elsewhere, so the transaction must make sure.
    `absent` names the published columns that the source has no longer: a row published now holds NULL there.
    """

    table: str
    ledger: str
    quarantine: str
    staging: str
    quarantine_staging: str
    strategy: Strategy
    columns: tuple[StagedColumn, ...]
    keys: tuple[str, ...] = ()
    cursor: str | None = None
    window: str = ""
    is_file: bool = False
    is_one_file: bool = False
    checks_shrink: bool = False
    absent: tuple[str, ...] = ()
    deletes: Deletes = "ignore"
    keys_staging: str = ""
    files_staging: str = ""
    replays: bool = False
    is_whole: bool = False
    partitions: str = ""
    asserts_partitions: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Published column names."""
        return tuple(column.field.name for column in self.columns)

    @property
    def replays_rows(self) -> bool:
        """Whether the rows come from the quarantine itself; those of files are read again."""
        return self.replays and not self.is_file

    @property
    def finds_deletes(self) -> bool:
        """Whether published rows are compared with the source's keys."""
        return self.strategy == "merge" and self.deletes != "ignore" and bool(self.keys_staging)

    @property
    def marks(self) -> bool:
        """Whether a row that is gone is marked, and one that is there again loses its mark."""
        return self.strategy == "merge" and self.deletes == "mark"
