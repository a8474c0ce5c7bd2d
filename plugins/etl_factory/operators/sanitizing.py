"""Turns what extract left into clean Parquet parts, a quarantine part, and the schema of both."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property

import pyarrow as pa

from etl_factory.config.resource import Resource
from etl_factory.errors import (
    AccountingError,
    EtlFactoryError,
    NothingToLoad,
    QuarantineError,
    SchemaError,
    TerminalError,
)
from etl_factory.landing.manifest import FileTally, Manifest, Part
from etl_factory.landing.objects import Landing
from etl_factory.landing.parts import PartWriter
from etl_factory.operators.deletes import finds_deletes
from etl_factory.operators.quarantine import QUARANTINE, Quarantine
from etl_factory.operators.sampling import Take, takes
from etl_factory.operators.sanitizing_keys import clean_keys, cleaning_of
from etl_factory.operators.table_parts import demand_rows, is_clean, table_batches
from etl_factory.schema.contract import Contract, Decision, check_keys, shaped
from etl_factory.schema.rows import Batch, first_records
from etl_factory.schema.sanitize import Cleaning, Wanted, clean, plan_bare, plan_cleaning
from etl_factory.schema.types import Field
from etl_factory.sources.formats import format_of
from etl_factory.sources.formats.lattice import merge_schemas
from etl_factory.sources.specs import Files


@dataclass(frozen=True)
class Written:
    """The parts that hold the clean rows and the bad ones, and what became of each source object."""

    parts: tuple[Part, ...]
    quarantine: tuple[Part, ...] = ()
    files: tuple[FileTally, ...] = ()


class Sanitizer:
    """One try of one resource's sanitize."""

    def __init__(self, resource: Resource, landing: Landing, manifest: Manifest, attempt: str) -> None:
        self.resource, self.landing, self.manifest, self.attempt = resource, landing, manifest, attempt
        self.prefix = f"{resource.target.landing_prefix(manifest.plan.load_id)}/{attempt}"
        self.is_file = isinstance(resource.spec, Files)
        self.staged, self.quarantine = 0, Quarantine(resource.name, manifest.plan.load_id)

    def run(self, published: tuple[Field, ...] | None) -> Manifest:
        """Clean every part; return the manifest of this step.

        Raises SchemaError (names, types, contract), QuarantineError (more bad rows than allowed),
        AccountingError (rows read are not rows staged plus quarantined), NothingToLoad (no table yet,
        and no file holds a value).
        """
        declared = self._declared()
        cleaning, decision = self._plan(declared, published)
        written = self._reused(cleaning) or self._rewritten(cleaning)
        done = self.manifest.then(
            step="sanitize",
            attempt=self.attempt,
            parts=written.parts,
            quarantine=written.quarantine,
            fields=tuple(staged.to_json() for staged in cleaning.staged),
            ddl=decision.ddl,
            notes=decision.notes,
            files=written.files,
            rows_read=sum(of.rows for of in written.files) if self.is_file else self.manifest.rows_read,
            rows_staged=self.staged,
            rows_quarantined=self.quarantine.rows,
        )
        return self._checked(self._with_keys(done, cleaning), has_columns=cleaning.has_columns)

    def _with_keys(self, done: Manifest, cleaning: Cleaning) -> Manifest:
        """Add the source's keys, as clean as the rows; none at all is how an empty source is told."""
        if not finds_deletes(self.resource, self.manifest.plan):
            return done
        of_keys = cleaning_of(self.resource.spec.primary_key, cleaning)
        fields = tuple(field.to_json() for field in of_keys.staged)
        return done.then(keys=clean_keys(done.keys, of_keys, self.landing, self.prefix), key_fields=fields)

    @property
    def _name(self) -> str:
        return f"{self.resource.dag_id}.{self.resource.name}"

    def _plan(self, declared: pa.Schema, published: tuple[Field, ...] | None) -> tuple[Cleaning, Decision]:
        spec, modes = self.resource.spec, self.resource.spec.schema_contract
        contract = Contract(self.resource.table_id, modes.tables, modes.columns, modes.types)
        if not declared.names and self.is_file:
            return plan_bare(published, contract)
        cleaning, decision = plan_cleaning(
            declared,
            self._wanted,
            published,
            contract,
            is_file=self.is_file,
            is_text=self._is_text,
        )
        if cleaning.has_columns:
            check_keys(spec.primary_key, cleaning.columns, contract.table)
            cleaning = replace(cleaning, keys=spec.primary_key)
            ddl = shaped(decision, spec.partition_by, spec.cluster_by, contract.table)
            return cleaning, replace(decision, ddl=ddl)
        if published is not None or not self.is_file:
            raise SchemaError(self._no_columns(declared))
        return cleaning, decision

    @property
    def _wanted(self) -> Wanted:
        spec, columns = self.resource.spec, self.resource.spec.columns
        return Wanted(
            columns.include,
            columns.exclude,
            columns.rename,
            columns.types,
            spec.on_unrepresentable,
            columns.on_unrepresentable,
            needed=tuple(spec.needed_columns()),
        )

    def _no_columns(self, declared: pa.Schema) -> str:
        found = (
            f"none of the columns {', '.join(declared.names)} can be"
            if declared.names
            else "no column is there to be"
        )
        return f"{self._name}: {found} loaded into {self.resource.table_id}: see columns and schema_contract"

    @property
    def _is_text(self) -> bool:
        spec = self.resource.spec
        return isinstance(spec, Files) and format_of(spec.format).is_text

    def _declared(self) -> pa.Schema:
        """Return the schema that extract declared, or infer it from every file of this load."""
        if self.manifest.schema:
            return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.manifest.schema)))
        assert isinstance(self.resource.spec, Files)
        reader = format_of(self.resource.spec.format)
        schemas = []
        for part, limit in self._takes:
            with self.landing.open(part) as stream, _naming(part):
                schemas.append(reader.infer(stream, limit))
        return merge_schemas(schemas)

    def _reused(self, cleaning: Cleaning) -> Written | None:
        """Take extract's own parts, where cleaning would write the very same rows again."""
        if self.is_file or not all(is_clean(self.landing, part, cleaning) for part in self.manifest.parts):
            return None
        self.staged = sum(part.rows or 0 for part in self.manifest.parts)
        return Written(self.manifest.parts)

    def _rewritten(self, cleaning: Cleaning) -> Written:
        with ExitStack() as stack:
            writer = stack.enter_context(PartWriter(self.landing, self.prefix, cleaning.arrow))
            aside = stack.enter_context(PartWriter(self.landing, self.prefix, QUARANTINE, stem="quarantine"))
            tallies = [self._clean_part(take, cleaning, writer, aside) for take in self._takes]
        files = tuple(tally for tally in tallies if tally)
        return Written(tuple(writer.parts), tuple(aside.parts), files)

    def _clean_part(
        self, take: Take, cleaning: Cleaning, writer: PartWriter, aside: PartWriter
    ) -> FileTally | None:
        part, limit = take
        staged, quarantined = self.staged, self.quarantine.rows
        of = part.source
        where = of.uri if of else part.uri
        for batch in first_records(self._batches(part), limit):
            done = clean(batch, cleaning, where if self.is_file else None)
            if done.rows.num_rows:
                writer.write(done.rows)
            self.staged += done.rows.num_rows
            self.quarantine.add(where, (*batch.rejects, *done.rejects), done.discarded, aside)
        bad = self.quarantine.rows - quarantined
        rows = self.staged - staged + bad
        demand_rows(part, rows)
        return FileTally(of.uri, of.version, of.modified, of.size, rows, bad) if of else None

    @cached_property
    def _takes(self) -> tuple[Take, ...]:
        """What of which part counts: a table's row limit was kept by extract."""
        limit = self.manifest.plan.row_limit if self.is_file else None
        return takes(self.manifest.parts, limit, self._batches)

    def _batches(self, part: Part) -> Iterator[Batch]:
        if not self.is_file:
            yield from table_batches(self.landing, part)
            return
        assert isinstance(self.resource.spec, Files)
        with self.landing.open(part) as stream, _naming(part):
            yield from format_of(self.resource.spec.format).read(stream)

    def _checked(self, done: Manifest, *, has_columns: bool) -> Manifest:
        if done.rows_read != done.rows_staged + done.rows_quarantined:
            raise AccountingError(
                f"{self._name}: {done.rows_read} rows read, but {done.rows_staged} staged and"
                f" {done.rows_quarantined} quarantined. Nothing was published; report this with the task's log"
            )
        if not self._allows(done):
            raise QuarantineError(self._bad(done, "more than max_bad_rows allows"))
        if not has_columns:
            raise self._no_table(done)
        return done

    def _allows(self, done: Manifest) -> bool:
        """Hold the limit; what a replay leaves in quarantine was within it when it came there."""
        was = done.extra.get("replay", {}).get("rows", 0)
        limit = self.resource.spec.max_bad_rows
        return done.rows_quarantined <= was or limit.allows(done.rows_quarantined, done.rows_read)

    def _no_table(self, done: Manifest) -> EtlFactoryError:
        """Explain that there is no table yet, and that no value shows which columns it would have."""
        table = self.resource.table_id
        if done.rows_quarantined:
            return QuarantineError(self._bad(done, f"and no other shows which columns {table} would have"))
        uris = ", ".join(tally.uri for tally in done.files)
        return NothingToLoad(
            f"{self._name}: no file holds a record with a value, so {table} cannot be made: {uris}."
            " Nothing was published; the next run reads them again"
        )

    def _bad(self, done: Manifest, why: str) -> str:
        parts = ", ".join(part.uri for part in done.quarantine)
        return (
            f"{self._name}: {done.rows_quarantined} of {done.rows_read} rows are bad, {why}."
            f" Nothing was published. All bad rows: {parts}. The first: {self.quarantine.first}."
            " Repair them at the source, set columns.types, or raise max_bad_rows to load the others and"
            " quarantine these"
        )


class _naming:
    """Put the object's address before the message of an error about its content."""

    def __init__(self, part: Part) -> None:
        self.where = part.source.uri if part.source else part.uri

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if kind is TerminalError:
            raise TerminalError(f"{self.where}: {error}") from error
