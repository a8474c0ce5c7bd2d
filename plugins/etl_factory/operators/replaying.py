"""Cleans the rows that a replay takes from quarantine: what fits now is staged, what does not stays where it is."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import groupby

import pyarrow as pa
import pyarrow.parquet as pq

from etl_factory.config.resource import Resource
from etl_factory.landing.manifest import Manifest, Part
from etl_factory.landing.objects import Landing
from etl_factory.landing.parts import PartWriter
from etl_factory.operators.declaring import Watch
from etl_factory.operators.quarantine import QUARANTINE, Quarantine
from etl_factory.operators.rewriting import Written
from etl_factory.operators.sanitizing import Sanitizer
from etl_factory.operators.table_parts import demand_rows
from etl_factory.schema.raw import unpack
from etl_factory.schema.rows import Batch, Reject, numbered
from etl_factory.schema.sanitize import Cleaned, Cleaning, clean
from etl_factory.schema.types import Field, staged_arrow
from etl_factory.sources.specs import Files
from etl_factory.warehouse.replay import ORIGIN

ROWS_AT_ONCE = 1000  # a row may be long
# The columns of a part by which a staged row finds its entries in quarantine, in the order of ORIGIN.
_PLACE = ("load_id", "file", "record", "is_value", "entries")


class ReplaySanitizer(Sanitizer):
    """One try of one table's sanitize in a replay."""

    def run(self, published: tuple[Field, ...] | None) -> Manifest:
        """Clean the rows; the staged ones carry their place in quarantine."""
        done = super().run(published)
        return done.then(fields=(*done.fields, *(field.to_json() for field in ORIGIN)))

    def _reused(self, cleaning: Cleaning) -> Written | None:
        return None

    def _rewritten(self, cleaning: Cleaning, watch: Watch | None = None) -> Written:
        self._staged = 0
        arrow = pa.schema([*cleaning.arrow, *(pa.field(f.name, staged_arrow(f)) for f in ORIGIN)])
        with ExitStack() as stack:
            writer = stack.enter_context(PartWriter(self.landing, self.prefix, arrow))
            aside = stack.enter_context(PartWriter(self.landing, self.prefix, QUARANTINE, stem="quarantine"))
            for part in self.manifest.parts:
                self._replay(part, cleaning, writer, aside)
        return Written(tuple(writer.parts), self._staged, self.bad, tuple(aside.parts))

    def _replay(self, part: Part, cleaning: Cleaning, writer: PartWriter, aside: PartWriter) -> None:
        read = 0
        for places, batch in self._taken(part):
            read += len(batch)
            # As a file's, so that each clean row says which of the batch it is.
            done = clean(batch, replace(cleaning, is_file=True))
            fit = _fit(done, places)
            stay = [reject for reject in done.rejects if reject.record not in fit]
            stay += [reject for reject in done.discarded if reject.record not in fit]
            self._stay(stay, places)
            self._note([reject for reject in done.discarded if reject.record in fit], places, aside)
            self._write(done.rows, fit, places, writer, cleaning)
        demand_rows(part, read)

    def _taken(self, part: Part) -> Iterator[tuple[list[dict[str, object]], Batch]]:
        """Yield the rows of a part in batches of one schema, each with its place in quarantine."""
        with self.landing.open(part) as stream:
            file = pq.ParquetFile(io.BufferedReader(stream))  # type: ignore[type-var]  # readable
            for rows in file.iter_batches(batch_size=ROWS_AT_ONCE):
                unpacked = [(unpack(row["packed"])[0], row) for row in rows.to_pylist()]
                for _, alike in groupby(unpacked, key=lambda pair: str(pair[0].schema)):
                    batches, places = zip(*alike, strict=True)
                    whole = pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
                    yield list(places), numbered(whole, 1)

    def _stay(self, rejects: list[Reject], places: list[dict[str, object]]) -> None:
        """Count the rows that stay; each once, however many of its values do not fit."""
        for reject in {reject.record: reject for reject in rejects}.values():
            place = places[reject.record - 1]
            own = replace(reject, record=int(str(place["record"])))
            self.bad.count(str(place["file"]), (own,))

    def _note(self, discarded: list[Reject], places: list[dict[str, object]], aside: PartWriter) -> None:
        """Note the values that are discarded of a row that is published now, at the row's own place."""
        for reject in discarded:
            place = places[reject.record - 1]
            own = replace(reject, record=int(str(place["record"])), raw=place["packed"])  # type: ignore[arg-type]  # bytes
            Quarantine(self.resource.name, str(place["load_id"])).add(str(place["file"]), (), (own,), aside)

    def _write(
        self, rows: pa.RecordBatch, fit: set[int], places: list[dict[str, object]], writer: PartWriter,
        cleaning: Cleaning,
    ) -> None:  # fmt: skip
        numbers = rows.column(rows.num_columns - 1).to_pylist()
        kept = rows.filter(pa.array([number in fit for number in numbers], pa.bool_()))
        if not kept.num_rows:
            return
        mine = [places[number - 1] for number in numbers if number in fit]
        origin = [
            pa.array([place[name] for place in mine], staged_arrow(f))
            for name, f in zip(_PLACE, ORIGIN, strict=True)
        ]
        columns = [*kept.columns[: len(cleaning.arrow)], *origin]
        writer.write(pa.RecordBatch.from_arrays(columns, schema=writer.schema))
        self._staged += kept.num_rows


def _fit(done: Cleaned, places: list[dict[str, object]]) -> set[int]:
    """Return which rows are to be published: of those that are published already, only ones that are whole now."""
    again = {reject.record for reject in done.discarded if places[reject.record - 1]["is_value"]}
    return set(done.rows.column(done.rows.num_columns - 1).to_pylist()) - again


def replay_sanitizer(resource: Resource, landing: Landing, manifest: Manifest, attempt: str) -> Sanitizer:
    """Return what cleans a replay's parts: a table's are of quarantined rows, a file's are the file itself."""
    kind = Sanitizer if isinstance(resource.spec, Files) else ReplaySanitizer
    return kind(resource, landing, manifest, attempt)


def told(done: Manifest, sanitizer: Sanitizer) -> Manifest:
    """Let the report show the first rows that stay."""
    replayed = {**done.extra["replay"], "first": sanitizer.bad.first}
    return done.then(extra={**done.extra, "replay": replayed})
