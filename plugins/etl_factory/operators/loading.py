"""Loads listed objects into a staging table, and makes sure that it holds just those."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from etl_factory.errors import AccountingError, EtlFactoryError, TerminalError
from etl_factory.landing.manifest import Part
from etl_factory.landing.objects import Landing
from etl_factory.landing.unchanged import demand_unchanged, differences
from etl_factory.warehouse.client import Warehouse

if TYPE_CHECKING:
    from google.cloud.bigquery import LoadJob


@dataclass
class StagingLoad:
    """One load job: `parts` become `table`. `name` is the resource's, for messages.

    A load job reads objects by their names, not at a generation: so they are held against the manifest
    before it, and once more after it. Whatever is in doubt then does not stay, lest a later try take it.
    """

    landing: Landing
    warehouse: Warehouse
    name: str
    table: str
    parts: tuple[Part, ...]
    held: int | None = None

    @property
    def rows(self) -> int:
        """Rows that the manifest lists."""
        return sum(part.rows or 0 for part in self.parts)

    def run(self, job_id: str, submit: Callable[[str], LoadJob]) -> None:
        """Load, once.

        Raises StaleError when an object is not the listed one, AccountingError when the rows do not add up;
        both name the object. A source's file that BigQuery refuses since it is damaged is named by its own address.
        """
        demand_unchanged(self.landing, self.parts)
        try:
            self.warehouse.run_once(job_id, lambda name: self._submit(name, submit), self._is_done)
            demand_unchanged(self.landing, self.parts)
        except TerminalError as error:
            with suppress(EtlFactoryError):  # it expires by itself
                self.warehouse.drop(self.table)
            raise self._explained(error) from error

    def _submit(self, job_id: str, submit: Callable[[str], LoadJob]) -> LoadJob:
        self.held = None
        return submit(job_id)

    def _is_done(self) -> bool:
        """Tell whether the job, which has succeeded, has left as many rows as it should."""
        self.held = self.warehouse.row_count(self.table)
        return self.held == self.rows

    def _demand_readable(self) -> None:
        """Raise TerminalError where a source's own file, of which nobody has read all before, is damaged."""
        from etl_factory.operators.references import demand_readable

        for part in self.parts:
            if part.source:
                demand_readable(self.landing, part)

    def _explained(self, error: TerminalError) -> TerminalError:
        try:
            demand_unchanged(self.landing, self.parts)
            self._demand_readable()
        except TerminalError as cause:
            return cause
        if self.held is None or self.held == self.rows:
            return error
        found = "; ".join(differences(self.landing, self.parts))
        return AccountingError(
            f"{self.name}: staging table {self.table} holds {self.held} rows, but the manifest lists {self.rows}."
            f" {found or 'The objects hold what it lists, so BigQuery has not loaded all of it'}."
            " Nothing was published; clear the run from `extract`"
        )
