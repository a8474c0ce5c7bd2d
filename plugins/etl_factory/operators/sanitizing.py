"""Turns what extract left into clean Parquet parts, a quarantine part, and the schema of both."""

from __future__ import annotations

import base64
import logging
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property

import pyarrow as pa

from etl_factory.config.resource import Resource
from etl_factory.errors import NothingToLoad, SchemaError, about
from etl_factory.landing.ahead import ahead
from etl_factory.landing.manifest import FileTally, Manifest, Part
from etl_factory.landing.objects import Landing
from etl_factory.landing.prefetch import ReadAhead
from etl_factory.operators.declaring import Moved, Watch, declared, origin, steady, widened
from etl_factory.operators.deletes import finds_deletes
from etl_factory.operators.findings import Findings
from etl_factory.operators.quarantine import Quarantine
from etl_factory.operators.references import referred
from etl_factory.operators.rewriting import Rewriting, Written
from etl_factory.operators.sampling import Take, takes
from etl_factory.operators.sanitizing_keys import clean_keys, cleaning_of
from etl_factory.operators.table_parts import is_clean, table_batches
from etl_factory.operators.tallies import write_tallies
from etl_factory.operators.trial import Trial
from etl_factory.operators.verdicts import hold, no_columns
from etl_factory.schema.contract import Contract, Decision, check_keys, shaped
from etl_factory.schema.recording import record, recorded
from etl_factory.schema.rows import Batch, first_records
from etl_factory.schema.sanitize import Cleaning, plan_bare, plan_cleaning
from etl_factory.schema.types import Field
from etl_factory.schema.wanted import Wanted
from etl_factory.sources.formats import format_of
from etl_factory.sources.formats.base import Format, Seen, Spelt
from etl_factory.sources.formats.lattice import merge_schemas
from etl_factory.sources.formats.parsed import parsed
from etl_factory.sources.specs import Files

log = logging.getLogger(__name__)


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
        self.bad = Quarantine(resource.name, manifest.plan.load_id)
        self.findings = Findings()
        self._tries = 0

    def run(self, published: tuple[Field, ...] | None) -> Manifest:
        """Clean every part; return the manifest of this step.

        Raises SchemaError (names, types, contract), QuarantineError (more bad rows than allowed),
        AccountingError (rows read are not rows staged plus quarantined), NothingToLoad (no table yet,
        and no file holds a value).
        """
        with closing(self.ahead):
            return self._run(published)

    def _run(self, published: tuple[Field, ...] | None) -> Manifest:
        made = self._made(published)
        written, decision = made.written, made.decision
        self.bad = written.bad
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
            rows_staged=written.staged,
            rows_quarantined=written.bad.rows,
            recorded=record(made.schema, self.resource.format_digest),
            extra=self.manifest.extra | {"unseen": made.unseen},
        )
        done = self._with_keys(done, made.cleaning)
        hold(self.resource, done, written.bad.first, has_columns=made.cleaning.has_columns)
        return done

    def _made(self, published: tuple[Field, ...] | None) -> Made:
        if not isinstance(self._reader, Spelt):
            return self._by_declaration(published)
        return self._by_record(published) or self._by_values(self._reader, published)

    def _by_record(self, published: tuple[Field, ...] | None) -> Made | None:
        """Clean by the schema that the ledger keeps; None where there is none, or the data show a change."""
        held = self._held
        watch = self._watch(held, published) if held and published else None
        if not held or not watch:
            return None
        try:
            written = self._rewritten(watch.cleaning, watch)
            _, decision = self._plan(watch.declared(), published)
        except Moved as change:
            log.info("%s: looking at all values of the files for their schema: %s", self._name, change)
            return None
        return Made(watch.cleaning, decision, written, held, watch.unseen)

    def _by_values(self, reader: Spelt, published: tuple[Field, ...] | None) -> Made:
        """Look at all values for the schema; what the ledger keeps is joined, for the next load."""

        def begun(shown: pa.Schema) -> Rewriting | None:
            try:
                return self._rewriting(self._plan(shown, published)[0])
            except (SchemaError, NothingToLoad):  # what all values show says whether it is so
                return None

        with Trial(begun, reader.taken_as) as trial:
            shown = self._shown(reader, trial)
            cleaning, decision = self._plan(shown, published)
            written = trial.written(shown, cleaning) or self._rewritten(cleaning)
        return Made(cleaning, decision, written, merge_schemas([of for of in (self._held, shown) if of]))

    def _shown(self, reader: Spelt, trial: Trial) -> pa.Schema:
        shown = before = pa.schema([])
        for part, limit in self._takes:
            with ahead(self._seen(reader, part, limit)) as seen:
                for batch, own in seen:
                    shown = merge_schemas([before, own])
                    trial.add(part, batch, shown)
            trial.end(part)
            before = shown
        return shown

    def _seen(self, reader: Spelt, part: Part, limit: int | None) -> Generator[Seen, None, None]:
        with self.ahead.open(part) as stream, about(origin(part)):
            yield from reader.look(stream, limit)
        self.findings.add(origin(part), reader.findings)

    def _by_declaration(self, published: tuple[Field, ...] | None) -> Made:
        """Clean by the schema that the source, or every file, declares."""
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
        """Return what watches over the values."""
        if self.manifest.plan.row_limit is not None:
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
            is_text=isinstance(self._reader, Spelt),
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
    def _reader(self) -> Format | None:
        """What reads files; None for a table."""
        if not isinstance(self.resource.spec, Files):
            return None
        reader = format_of(self.resource.spec.format)
        return parsed(reader) if self._is_parsed else reader

    def _declared(self) -> pa.Schema:
        """Return the schema that extract declared of a table, or that which the files of this load declare."""
        if self._reader is None:
            return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.manifest.schema)))
        return declared([part for part, _ in self._takes], self.ahead.open, self._reader)

    def _referred(self, cleaning: Cleaning) -> Written | None:
        """Take the one file itself, where cleaning would add no more to its rows than where they are from."""
        part = referred(self.resource, self.landing, self.manifest, cleaning) if self.is_file else None
        if part is None or part.source is None:
            return None
        of, rows = part.source, part.rows or 0
        return Written(
            (part,), rows, self.bad, files=(FileTally(of.uri, of.version, of.modified, of.size, rows, 0),)
        )

    def _reused(self, cleaning: Cleaning) -> Written | None:
        """Take extract's own parts, where cleaning would write the very same rows again."""
        if self.is_file or not all(is_clean(self.landing, part, cleaning) for part in self.manifest.parts):
            return None
        return Written(self.manifest.parts, sum(part.rows or 0 for part in self.manifest.parts), self.bad)

    def _rewritten(self, cleaning: Cleaning, watch: Watch | None = None) -> Written:
        with self._rewriting(cleaning) as rewriting:
            for part, limit in self._takes:
                with ahead(self._batches(part, cleaning.wanted)) as batches:
                    for batch in first_records(batches, limit):
                        if watch:
                            watch.see(batch)
                        rewriting.add(part, batch)
                rewriting.end(part)
        return rewriting.written

    def _rewriting(self, cleaning: Cleaning) -> Rewriting:
        """Return what cleans all records; parts of one that was given up may still be there, under another prefix."""
        prefix, self._tries = self.prefix + "/again" * self._tries, self._tries + 1
        bad = Quarantine(self.resource.name, self.manifest.plan.load_id)
        return Rewriting(self.landing, prefix, cleaning, bad)

    @cached_property
    def _takes(self) -> tuple[Take, ...]:
        """What of which part counts: a table's row limit was kept by extract."""
        limit = self.manifest.plan.row_limit if self.is_file else None
        return takes(self.manifest.parts, limit, self._batches)

    def _batches(self, part: Part, wanted: pa.Schema | None = None) -> Generator[Batch, None, None]:
        reader = self._reader
        if reader is None:
            yield from table_batches(self.landing, part)
            return
        with self.ahead.open(part) as stream, about(origin(part)):
            yield from reader.read(stream) if wanted is None else reader.read_as(stream, wanted)
        self.findings.add(origin(part), reader.findings)
