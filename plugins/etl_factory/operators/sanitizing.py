"""Turns what extract left into clean Parquet parts, a quarantine part, and the schema of both."""

from __future__ import annotations

import base64
import logging
from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import cached_property

import pyarrow as pa

from etl_factory.config.resource import Resource
from etl_factory.errors import SchemaError, about
from etl_factory.landing.ahead import ahead
from etl_factory.landing.manifest import FileTally, Manifest, Part
from etl_factory.landing.objects import Landing
from etl_factory.landing.parts import PartWriter
from etl_factory.landing.prefetch import ReadAhead
from etl_factory.operators.declaring import Moved, Watch, inferred, origin, steady, widened
from etl_factory.operators.deletes import finds_deletes
from etl_factory.operators.findings import Findings
from etl_factory.operators.quarantine import QUARANTINE, Quarantine
from etl_factory.operators.references import referred
from etl_factory.operators.sampling import Take, takes
from etl_factory.operators.sanitizing_keys import clean_keys, cleaning_of
from etl_factory.operators.table_parts import demand_rows, is_clean, table_batches
from etl_factory.operators.tallies import write_tallies
from etl_factory.operators.verdicts import hold, no_columns
from etl_factory.schema.contract import Contract, Decision, check_keys, shaped
from etl_factory.schema.recording import record, recorded
from etl_factory.schema.rows import Batch, first_records
from etl_factory.schema.sanitize import Cleaning, clean, plan_bare, plan_cleaning
from etl_factory.schema.types import Field
from etl_factory.schema.wanted import Wanted
from etl_factory.sources.formats import format_of
from etl_factory.sources.formats.base import Format
from etl_factory.sources.formats.lattice import merge_schemas
from etl_factory.sources.formats.parsed import Parsed
from etl_factory.sources.specs import Files

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Written:
    """The parts that hold the clean rows and the bad ones, and what became of each source object."""

    parts: tuple[Part, ...]
    quarantine: tuple[Part, ...] = ()
    files: tuple[FileTally, ...] = ()


@dataclass(frozen=True)
class Made:
    """What became of a load: `schema` is what its columns were declared as, `unseen` names those that no file had."""

    cleaning: Cleaning
    decision: Decision
    written: Written
    schema: pa.Schema
    unseen: tuple[str, ...] = ()


class Sanitizer:
    """One try of one resource's sanitize."""

    def __init__(self, resource: Resource, landing: Landing, manifest: Manifest, attempt: str) -> None:
        self.resource, self.landing, self.manifest, self.attempt = resource, landing, manifest, attempt
        self.prefix = f"{resource.target.landing_prefix(manifest.plan.load_id)}/{attempt}"
        self.is_file = isinstance(resource.spec, Files)
        self.ahead = ReadAhead(landing, manifest.parts if self.is_file else ())
        self.staged, self.quarantine = 0, Quarantine(resource.name, manifest.plan.load_id)
        self.findings = Findings()

    def run(self, published: tuple[Field, ...] | None) -> Manifest:
        """Clean every part; return the manifest of this step.

        Raises SchemaError (names, types, contract), QuarantineError (more bad rows than allowed),
        AccountingError (rows read are not rows staged plus quarantined), NothingToLoad (no table yet,
        and no file holds a value).
        """
        with closing(self.ahead):
            return self._run(published)

    def _run(self, published: tuple[Field, ...] | None) -> Manifest:
        made = self._read_once(published) or self._read_twice(published)
        written, decision = made.written, made.decision
        done = self.manifest.then(
            step="sanitize",
            attempt=self.attempt,
            parts=written.parts,
            quarantine=written.quarantine,
            fields=tuple(staged.to_json() for staged in made.cleaning.staged),
            ddl=decision.ddl,
            notes=(*decision.notes, *self.findings.notes),
            files=written.files,
            tallies=write_tallies(written.files, self.landing, self.prefix),
            rows_read=sum(of.rows for of in written.files) if self.is_file else self.manifest.rows_read,
            rows_staged=self.staged,
            rows_quarantined=self.quarantine.rows,
            recorded=record(made.schema, self.resource.format_digest),
            extra=self.manifest.extra | {"unseen": made.unseen},
        )
        done = self._with_keys(done, made.cleaning)
        hold(self.resource, done, self.quarantine.first, has_columns=made.cleaning.has_columns)
        return done

    def _read_once(self, published: tuple[Field, ...] | None) -> Made | None:
        """Clean by the schema that the ledger keeps; None where there is none, or the data show a change."""
        held = self._held
        watch = self._watch(held, published) if held and published else None
        if not held or not watch:
            return None
        try:
            written = self._rewritten(watch.cleaning, watch)
            _, decision = self._plan(watch.declared(), published)
        except Moved as change:
            log.info("%s: reading the files again for their schema: %s", self._name, change)
            self.staged, self.quarantine = 0, Quarantine(self.resource.name, self.manifest.plan.load_id)
            self.prefix += "/again"
            return None
        return Made(watch.cleaning, decision, written, held, watch.unseen)

    def _read_twice(self, published: tuple[Field, ...] | None) -> Made:
        """Read all values for the schema, then clean; what the ledger keeps is joined, for the next load."""
        declared = self._declared()
        cleaning, decision = self._plan(declared, published)
        written = self._referred(cleaning)
        cleaning = cleaning.bare if written else cleaning
        written = written or self._reused(cleaning) or self._rewritten(cleaning)
        return Made(cleaning, decision, written, merge_schemas([of for of in (self._held, declared) if of]))

    @cached_property
    def _held(self) -> pa.Schema | None:
        """The schema that the ledger keeps of these files; a full refresh starts anew."""
        if not self.is_file or self.manifest.plan.mode == "full_refresh":
            return None
        return recorded(self.manifest.recorded, self.resource.format_digest)

    def _watch(self, held: pa.Schema, published: tuple[Field, ...]) -> Watch | None:
        """Return what watches over one reading of text; types that files declare are read at once anyway."""
        if not self._is_text or self.manifest.plan.row_limit is not None:
            return None
        try:
            schema = steady(held, published, self._wanted, self._contract)
            cleaning = self._plan(schema, published)[0] if schema else None
        except SchemaError:
            return None
        if schema is None or cleaning is None:
            return None
        return Watch(schema, cleaning, widened(cleaning, self._contract, self._wanted.types))

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
        spec, contract = self.resource.spec, self._contract
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
        if isinstance(spec, Files):
            cleaning = cleaning.spelt(format_of(spec.format).spelling)
        if cleaning.has_columns:
            check_keys(spec.primary_key, cleaning.columns, contract.table)
            cleaning = replace(cleaning, keys=spec.primary_key)
            ddl = shaped(decision, spec.partition_by, spec.cluster_by, contract.table)
            return cleaning, replace(decision, ddl=ddl)
        if published is not None or not self.is_file:
            raise no_columns(self.resource, declared.names)
        return cleaning, decision

    @property
    def _contract(self) -> Contract:
        modes = self.resource.spec.schema_contract
        return Contract(self.resource.table_id, modes.tables, modes.columns, modes.types)

    @property
    def _wanted(self) -> Wanted:
        spec, columns = self.resource.spec, self.resource.spec.columns
        return Wanted(
            columns.include,
            () if self._is_parsed else columns.exclude,
            columns.rename,
            columns.types,
            spec.on_unrepresentable,
            columns.on_unrepresentable,
            needed=tuple(spec.needed_columns()),
            records=isinstance(spec, Files) and getattr(spec.format, "nested", "json") == "record",
            hashed=tuple(name for name, mask in columns.mask.items() if mask.is_text),
        )

    @property
    def _is_parsed(self) -> bool:
        """Whether extract has parsed the files already, and left out what may not be kept."""
        return bool(self.manifest.extra.get("parsed"))

    @cached_property
    def _reader(self) -> Format:
        assert isinstance(self.resource.spec, Files)
        reader = format_of(self.resource.spec.format)
        return Parsed(reader) if self._is_parsed else reader

    @property
    def _is_text(self) -> bool:
        spec = self.resource.spec
        return isinstance(spec, Files) and format_of(spec.format).is_text

    def _declared(self) -> pa.Schema:
        """Return the schema that extract declared, or infer it from every file of this load."""
        if self.manifest.schema:
            return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.manifest.schema)))
        return inferred(self._takes, self.ahead.open, self._reader)

    def _referred(self, cleaning: Cleaning) -> Written | None:
        """Take the one file itself, where cleaning would add no more to its rows than where they are from."""
        part = referred(self.resource, self.landing, self.manifest, cleaning) if self.is_file else None
        if part is None or part.source is None:
            return None
        of, self.staged = part.source, part.rows or 0
        return Written((part,), files=(FileTally(of.uri, of.version, of.modified, of.size, self.staged, 0),))

    def _reused(self, cleaning: Cleaning) -> Written | None:
        """Take extract's own parts, where cleaning would write the very same rows again."""
        if self.is_file or not all(is_clean(self.landing, part, cleaning) for part in self.manifest.parts):
            return None
        self.staged = sum(part.rows or 0 for part in self.manifest.parts)
        return Written(self.manifest.parts)

    def _rewritten(self, cleaning: Cleaning, watch: Watch | None = None) -> Written:
        with ExitStack() as stack:
            writer = stack.enter_context(PartWriter(self.landing, self.prefix, cleaning.arrow))
            aside = stack.enter_context(PartWriter(self.landing, self.prefix, QUARANTINE, stem="quarantine"))
            tallies = [self._clean_part(take, cleaning, writer, aside, watch) for take in self._takes]
        files = tuple(tally for tally in tallies if tally)
        return Written(tuple(writer.parts), tuple(aside.parts), files)

    def _clean_part(
        self, take: Take, cleaning: Cleaning, writer: PartWriter, aside: PartWriter, watch: Watch | None
    ) -> FileTally | None:
        part, limit = take
        staged, quarantined = self.staged, self.quarantine.rows
        of, where = part.source, origin(part)
        with ahead(self._batches(part, cleaning.wanted)) as batches:
            for batch in first_records(batches, limit):
                if watch:
                    watch.see(batch)
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

    def _batches(self, part: Part, wanted: pa.Schema | None = None) -> Generator[Batch, None, None]:
        if not self.is_file:
            yield from table_batches(self.landing, part)
            return
        reader = self._reader
        kept = None if wanted is None else reader.again(part.uri, wanted)
        if kept is not None:
            yield from kept
        else:
            with self.ahead.open(part) as stream, about(origin(part)):
                yield from reader.read(stream) if wanted is None else reader.read_as(stream, wanted)
        self.findings.add(origin(part), reader.findings)
