"""What one step hands to the next: a plan stored before reading, and a manifest written last."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any, Literal

from etl_factory.errors import StaleError
from etl_factory.windows import Window

Mode = Literal["live", "backfill", "full_refresh", "replay"]


@dataclass(frozen=True)
class PlannedObject:
    """One source object that the run reads, at one version."""

    uri: str
    version: str
    size: int
    modified: str


@dataclass(frozen=True)
class Plan:
    """What a load id reads; stored once, before reading, so that a retry or clearing reads the same.

    `epoch` and `watermark` are the ledger's when the plan was made (`watermark` None: none yet).
    `reads` is the digest of what the config said to read; another digest makes the plan void.
    `planned_at` is when objects were listed, ISO 8601, UTC.
    `row_limit`: read no more rows than that, and publish none of them; None reads all.
    """

    load_id: str
    mode: Mode
    epoch: int
    watermark: str | None
    window: Window | None = None
    objects: tuple[PlannedObject, ...] = ()
    reads: str = ""
    planned_at: str = ""
    row_limit: int | None = None

    def with_objects(self, objects: tuple[PlannedObject, ...]) -> Plan:
        """Return the same plan over other objects."""
        return replace(self, objects=objects)


@dataclass(frozen=True)
class Part:
    """One object in the landing bucket.

    `rows` is None for a raw file that nobody has parsed yet. `generation` pins the object,
    `md5` (base64) is its content's. `source` is the object it came from, for files.
    """

    uri: str
    generation: int
    size: int
    md5: str
    rows: int | None = None
    source: PlannedObject | None = None


@dataclass(frozen=True)
class FileTally:
    """What became of one source object: rows parsed and rows quarantined."""

    uri: str
    version: str
    modified: str
    size: int
    rows: int
    quarantined: int


@dataclass(frozen=True)
class Manifest:
    """Everything a later task needs of an earlier one; `step` is the step that wrote it.

    `rows_read`: rows that the source counted (databases) or that were parsed and quarantined (files).
    `schema`: the declared Arrow schema, as base64 of its IPC form, empty before files are parsed.
    `fields`: BigQuery fields of the staging table (`schema.types.Field` as JSON), from sanitize on.
    `ddl`: what publish applies to the published table before its transaction (see schema.contract).
    `snapshot_at`: when the source was read, by the source's clock.
    `keys`: parts with the primary key of every row at the source, where deletes are looked for; `key_fields`
    are their BigQuery fields and `keys_table` the staging table that holds them, from sanitize and load on.
    `recorded`: the schema that the ledger keeps of the resource (see schema.recording), and from sanitize on the one
    that publish leaves there.
    `tallies`: parts with `files`, where they are more than a request can name; `files_table` is the staging table that
    holds them, from load on.
    `seals`: what each staging table was when it had been filled, by its id.
    """

    step: Literal["extract", "sanitize", "load"]
    attempt: str
    spec_digest: str
    plan: Plan
    snapshot_at: str
    parts: tuple[Part, ...] = ()
    rows_read: int = 0
    rows_staged: int = 0
    rows_quarantined: int = 0
    schema: str = ""
    recorded: str = ""
    fields: tuple[dict[str, Any], ...] = ()
    ddl: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    files: tuple[FileTally, ...] = ()
    quarantine: tuple[Part, ...] = ()
    staging_table: str = ""
    quarantine_table: str = ""
    keys: tuple[Part, ...] = ()
    key_fields: tuple[dict[str, Any], ...] = ()
    keys_table: str = ""
    tallies: tuple[Part, ...] = ()
    files_table: str = ""
    seals: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def then(self, **changes: Any) -> Manifest:
        """Return a copy with `changes`."""
        return replace(self, **changes)

    @property
    def bytes(self) -> int:
        """Size of all parts."""
        return sum(part.size for part in self.parts)

    @property
    def staging_tables(self) -> tuple[str, ...]:
        """All staging tables of this load: of its rows, its quarantine, its keys and its files."""
        return tuple(
            filter(None, (self.staging_table, self.quarantine_table, self.keys_table, self.files_table))
        )

    @property
    def checksum(self) -> str:
        """Fingerprint of the content of all listed objects, in order; empty when none is listed."""
        lists = (self.parts, self.quarantine, self.keys, self.tallies)
        content = [[(part.md5, part.rows, part.size) for part in parts] for parts in lists]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest() if any(lists) else ""


def dumps(document: Manifest | Plan) -> str:
    """Encode a manifest, with its checksum, or a plan as JSON text."""
    checksum = {"checksum": document.checksum} if isinstance(document, Manifest) else {}
    return json.dumps(vars(document) | checksum, default=_encode, sort_keys=True)


def _encode(value: Any) -> Any:
    """Encode a moment, or a part of the document: one by one, since a copy of ten thousand takes much memory."""
    return vars(value) if is_dataclass(value) else value.isoformat()


def load_plan(text: str) -> Plan:
    """Decode what `dumps` gave for a plan; raises StaleError for anything else."""
    with _decoding("plan"):
        return _plan(json.loads(text))


def load_manifest(text: str) -> Manifest:
    """Decode what `dumps` gave for a manifest; raises StaleError for anything else."""
    with _decoding("manifest"):
        document = json.loads(text)
        checksum = document.pop("checksum")
        manifest = _manifest(document)
    if manifest.checksum != checksum:
        raise StaleError(
            f"the manifest of {manifest.attempt} lists other objects than its checksum {checksum} is of, so it was"
            " changed. Nothing was published; clear the run from `extract`"
        )
    return manifest


@contextmanager
def _decoding(what: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StaleError(
            f"this run's {what} is not one of this version of ETL Factory ({type(error).__name__}: {error}):"
            " clear the run from `extract`"
        ) from error


def _manifest(document: dict[str, Any]) -> Manifest:
    return Manifest(
        **{
            **document,
            "plan": _plan(document["plan"]),
            "parts": tuple(map(_part, document["parts"])),
            "quarantine": tuple(map(_part, document["quarantine"])),
            "keys": tuple(map(_part, document["keys"])),
            "tallies": tuple(map(_part, document["tallies"])),
            "key_fields": tuple(document["key_fields"]),
            "files": tuple(FileTally(**tally) for tally in document["files"]),
            "fields": tuple(document["fields"]),
            "ddl": tuple(document["ddl"]),
            "notes": tuple(document["notes"]),
        }
    )


def _plan(document: dict[str, Any]) -> Plan:
    window = document["window"]
    objects = tuple(PlannedObject(**item) for item in document["objects"])
    return Plan(**{**document, "window": window and Window.from_json(window), "objects": objects})


def _part(document: dict[str, Any]) -> Part:
    source = document["source"]
    return Part(**{**document, "source": source and PlannedObject(**source)})
