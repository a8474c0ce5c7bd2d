"""Turns what extract left into clean Parquet parts, a quarantine part, and the schema of both."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from etl_factory.config.resource import Resource
from etl_factory.errors import AccountingError, NothingToLoad, QuarantineError, SchemaError, TerminalError
from etl_factory.landing.manifest import FileTally, Manifest, Part, PlannedObject
from etl_factory.landing.objects import Landing
from etl_factory.landing.parts import PartWriter
from etl_factory.schema.contract import Contract, Decision, check_keys
from etl_factory.schema.rows import Batch, Reject
from etl_factory.schema.sanitize import RECORD, SOURCE_URI, Cleaning, Wanted, clean, plan_cleaning
from etl_factory.schema.types import Field
from etl_factory.sources.formats import format_of
from etl_factory.sources.formats.lattice import merge_schemas
from etl_factory.sources.specs import Files

log = logging.getLogger(__name__)
QUARANTINE = pa.schema(
    [
        pa.field("resource", pa.string()),
        pa.field("load_id", pa.string()),
        pa.field("file", pa.string()),
        pa.field("record", pa.int64()),
        pa.field("line", pa.int64()),
        pa.field("column", pa.string()),
        pa.field("value", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("row", pa.string()),
        pa.field("quarantined_at", pa.timestamp("us", "UTC")),
    ]
)
SHOWN = 5


@dataclass
class Tally:
    """What has been counted so far; `rejects` holds the first few, for messages."""

    staged: int = 0
    quarantined: int = 0
    discarded: int = 0
    shown: list[tuple[str, Reject]] = field(default_factory=list)


class Sanitizer:
    """One try of one resource's sanitize."""

    def __init__(self, resource: Resource, landing: Landing, manifest: Manifest, attempt: str) -> None:
        self.resource, self.landing, self.manifest, self.attempt = resource, landing, manifest, attempt
        self.prefix = f"{resource.target.landing_prefix(manifest.plan.load_id)}/{attempt}"
        self.is_file = isinstance(resource.spec, Files)
        self.tally = Tally()

    def run(self, published: tuple[Field, ...] | None) -> Manifest:
        """Clean every part; return the manifest of this step.

        Raises SchemaError (names, types, contract), QuarantineError (more bad rows than allowed),
        AccountingError (rows read are not rows staged plus quarantined).
        """
        declared = self._declared()
        if not declared.names and not self.is_file:
            raise SchemaError(f"{self._name}: the source has no columns to load")
        if not declared.names:
            return self._nothing(published)
        cleaning, decision = self._plan(declared, published)
        with ExitStack() as stack:
            writer = stack.enter_context(PartWriter(self.landing, self.prefix, cleaning.arrow))
            aside = stack.enter_context(PartWriter(self.landing, self.prefix, QUARANTINE, stem="quarantine"))
            files = tuple(self._clean_part(part, cleaning, writer, aside) for part in self.manifest.parts)
        done = self.manifest.then(
            step="sanitize",
            attempt=self.attempt,
            parts=tuple(writer.parts),
            quarantine=tuple(aside.parts),
            fields=tuple(staged.to_json() for staged in cleaning.staged),
            ddl=self._ddl(decision),
            notes=decision.notes,
            files=tuple(tally for tally in files if tally) if self.is_file else (),
            rows_read=sum(tally.rows for tally in files) if self.is_file else self.manifest.rows_read,
            rows_staged=self.tally.staged,
            rows_quarantined=self.tally.quarantined,
        )
        return self._checked(done)

    @property
    def _name(self) -> str:
        return f"{self.resource.dag_id}.{self.resource.name}"

    def _plan(self, declared: pa.Schema, published: tuple[Field, ...] | None) -> tuple[Cleaning, Decision]:
        spec = self.resource.spec
        modes = spec.schema_contract
        cleaning, decision = plan_cleaning(
            declared,
            Wanted(spec.columns.include, spec.columns.exclude, spec.columns.rename, spec.columns.types),
            published,
            Contract(self.resource.table_id, modes.tables, modes.columns, modes.types),
            is_file=self.is_file,
            is_text=self._is_text,
        )
        check_keys(spec.primary_key, cleaning.columns, self.resource.table_id)
        return cleaning, decision

    @property
    def _is_text(self) -> bool:
        spec = self.resource.spec
        return isinstance(spec, Files) and format_of(spec.format).is_text

    def _ddl(self, decision: Decision) -> tuple[dict[str, object], ...]:
        """Complete a create with partitioning and clustering, by the columns' published names."""
        names = {column.original: column.field.name for column in decision.columns}
        spec = self.resource.spec
        for key in (*((spec.partition_by,) if spec.partition_by else ()), *spec.cluster_by):
            if key not in names:
                raise SchemaError(
                    f"{self._name}: partition_by or cluster_by names {key!r}, which the data does not have"
                )
        shape = {
            "partition_by": names[spec.partition_by] if spec.partition_by else None,
            "cluster_by": [names[key] for key in spec.cluster_by],
        }
        return tuple({**op, **shape} if op["op"] == "create" else op for op in decision.ddl)

    def _declared(self) -> pa.Schema:
        """Return the schema that extract declared, or infer it from every file of this load."""
        if self.manifest.schema:
            return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.manifest.schema)))
        assert isinstance(self.resource.spec, Files)
        reader = format_of(self.resource.spec.format)
        schemas = []
        for part in self.manifest.parts:
            with self.landing.open(part) as stream, _naming(part):
                schemas.append(reader.infer(stream))
        return merge_schemas(schemas)

    def _clean_part(self, part: Part, cleaning: Cleaning, writer: PartWriter, aside: PartWriter) -> FileTally:
        staged, quarantined = self.tally.staged, self.tally.quarantined
        where = part.source.uri if part.source else part.uri
        for batch in self._batches(part):
            done = clean(batch, cleaning, where if self.is_file else None)
            if done.rows.num_rows:
                writer.write(done.rows)
            self.tally.staged += done.rows.num_rows
            self._set_aside(where, (*batch.rejects, *done.rejects), done.discarded, aside)
        rows = self.tally.staged - staged + self.tally.quarantined - quarantined
        if not part.source:
            self._check_part(part, rows)
            return FileTally(part.uri, "", "", part.size, rows, self.tally.quarantined - quarantined)
        of = part.source
        return FileTally(of.uri, of.version, of.modified, of.size, rows, self.tally.quarantined - quarantined)

    def _check_part(self, part: Part, rows: int) -> None:
        if part.rows is not None and part.rows != rows:
            raise AccountingError(f"{self._name}: {part.uri} holds {rows} rows, extract wrote {part.rows}")

    def _batches(self, part: Part) -> Iterator[Batch]:
        with self.landing.open(part) as stream:
            if self.is_file:
                assert isinstance(self.resource.spec, Files)
                with _naming(part):
                    yield from format_of(self.resource.spec.format).read(stream)
                return
            number = 0
            for rows in pq.ParquetFile(io.BufferedReader(stream)).iter_batches(batch_size=65_536):  # type: ignore[type-var]  # readable
                records = pa.array(range(number + 1, number + 1 + rows.num_rows), pa.int64())
                number += rows.num_rows
                yield Batch(rows, records)

    def _set_aside(
        self, where: str, rejects: tuple[Reject, ...], discarded: tuple[Reject, ...], aside: PartWriter
    ) -> None:
        self.tally.quarantined += len(rejects)
        self.tally.discarded += len(discarded)
        self.tally.shown += [(where, reject) for reject in rejects][: SHOWN - len(self.tally.shown)]
        if rejects or discarded:
            aside.write(self._quarantine_rows(where, (*rejects, *discarded)))

    def _quarantine_rows(self, where: str, rejects: tuple[Reject, ...]) -> pa.RecordBatch:
        moment = datetime.now(UTC)
        rows = [
            {
                "resource": self.resource.name,
                "load_id": self.manifest.plan.load_id,
                "file": where,
                "record": reject.record,
                "line": reject.line,
                "column": reject.column,
                "value": reject.value,
                "reason": reject.reason,
                "row": reject.row,
                "quarantined_at": moment,
            }
            for reject in rejects
        ]
        return pa.RecordBatch.from_pylist(rows, QUARANTINE)

    def _checked(self, done: Manifest) -> Manifest:
        if done.rows_read != done.rows_staged + done.rows_quarantined:
            raise AccountingError(
                f"{self._name}: {done.rows_read} rows read, but {done.rows_staged} staged and"
                f" {done.rows_quarantined} quarantined. Nothing was published; report this with the task's log"
            )
        if not self.resource.spec.max_bad_rows.allows(done.rows_quarantined, done.rows_read):
            raise QuarantineError(self._too_many(done))
        return done

    def _too_many(self, done: Manifest) -> str:
        first = "; ".join(
            f"{where}, record {reject.record}{f', column {reject.column!r}' if reject.column else ''}:"
            f" {reject.value[:80]!r} {reject.reason}"
            for where, reject in self.tally.shown
        )
        parts = ", ".join(part.uri for part in done.quarantine)
        return (
            f"{self._name}: {done.rows_quarantined} of {done.rows_read} rows are bad, more than max_bad_rows allows."
            f" Nothing was published. All bad rows: {parts}. The first: {first}. Repair them at the source, set"
            " columns.types, or raise max_bad_rows to load the others and quarantine these"
        )

    def _nothing(self, published: tuple[Field, ...] | None) -> Manifest:
        """Return the manifest of files that hold no record: their earlier rows go, and they count as loaded.

        Raises NothingToLoad when there is no table yet, since no file says which columns it would have.
        """
        if published is None:
            uris = ", ".join(part.source.uri for part in self.manifest.parts if part.source)
            raise NothingToLoad(
                f"{self._name}: no file holds a record or a header, so {self.resource.table_id} cannot be made:"
                f" {uris}. Nothing was published; the next run reads them again"
            )
        fields = (*(field for field in published if not field.name.startswith("_etl_")), SOURCE_URI, RECORD)
        empty = tuple(_empty_tally(part.source) for part in self.manifest.parts if part.source)
        return self.manifest.then(
            step="sanitize",
            attempt=self.attempt,
            parts=(),
            files=empty,
            fields=tuple(field.to_json() for field in fields),
        )


def _empty_tally(of: PlannedObject) -> FileTally:
    return FileTally(of.uri, of.version, of.modified, of.size, 0, 0)


class _naming:
    """Put the object's address before the message of an error about its content."""

    def __init__(self, part: Part) -> None:
        self.where = part.source.uri if part.source else part.uri

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if kind is TerminalError:
            raise TerminalError(f"{self.where}: {error}") from error
