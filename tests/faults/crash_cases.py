"""What the crash trials load: each source type with each strategy, and what each must publish from a source's past."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Object:
    """One source object: when its store says it was modified, and the rows it holds, in their order."""

    modified: datetime
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class State:
    """What a source held at one moment: the rows of a table, or objects by address.

    `is_read`: some run has certainly read and published this very state.
    """

    rows: tuple[Row, ...] = ()
    objects: Mapping[str, Object] = field(default_factory=dict)
    is_read: bool = False


Expectation = tuple[Counter[Row], Counter[Row]]
"""The rows that must be published, and those that may be besides, each as many times at most."""
Oracle = Callable[[Sequence[State], Sequence[Row]], Expectation]
"""Says from a source's past, the present state last, what must and may be published; it may look at what is."""


def plain(value: Any) -> Any:
    """Spell a value so that two spellings are equal exactly when the values are."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}" if value else "0"
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    return value


def by_key(states: Sequence[State], _: Sequence[Row] = ()) -> Expectation:
    """Every row now at the source; one that was deleted stays in the version that was read."""
    must = {row[0]: row for row in states[-1].rows}
    may: dict[Any, Row] = {}
    for state in states[:-1]:
        for row in state.rows:
            if row[0] not in must:
                (must if state.is_read else may)[row[0]] = row
    return Counter(must.values()), Counter(row for key, row in may.items() if key not in must)


def by_key_with_marks(states: Sequence[State], _: Sequence[Row] = ()) -> Expectation:
    """As by key, and each row says whether it was deleted."""
    must, may = by_key(states)
    here = {row[0] for row in states[-1].rows}
    return _tagged(must, lambda row: row[0] not in here), _tagged(may, lambda row: row[0] not in here)


def current_keys(states: Sequence[State], _: Sequence[Row] = ()) -> Expectation:
    """Every row now at the source, and nothing that was deleted."""
    return Counter(states[-1].rows), Counter()


def versions_by_time(states: Sequence[State], _: Sequence[Row] = ()) -> Expectation:
    """Every version that a snapshot showed, once; those of the last snapshot are current."""
    current = set(states[-1].rows)
    shown = {row for state in states if state.is_read for row in state.rows} | current
    perhaps = {row for state in states for row in state.rows} - shown
    return Counter((*row, row in current) for row in shown), Counter((*row, False) for row in perhaps)


def dated_snapshots(states: Sequence[State], held: Sequence[Row] = ()) -> Expectation:
    """Whole snapshots side by side, the present state's last; each that was read is there."""
    dates = sorted({row[-1] for row in held})
    groups = {date: Counter(row[:-1] for row in held if row[-1] == date) for date in dates}
    shown = {date: min(states, key=lambda state: _distance(state, group)) for date, group in groups.items()}
    if dates:
        shown[dates[-1]] = states[-1]
    wanted = [("missing", state) for state in states if state.is_read and state not in shown.values()]
    return Counter((*row, date) for date, state in (*shown.items(), *wanted) for row in state.rows), Counter()


def _distance(state: State, group: Counter[Row]) -> int:
    rows = Counter(state.rows)
    return (rows - group).total() + (group - rows).total()


def _tagged(rows: Counter[Row], tag: Callable[[Row], bool]) -> Counter[Row]:
    return Counter({(*row, tag(row)): count for row, count in rows.items()})


def every_version(states: Sequence[State], _: Sequence[Row] = ()) -> Expectation:
    """Every version that a run has read, as many times as the source held it at once."""
    must, ever = Counter[Row](), Counter[Row]()
    for state in states:
        ever |= Counter(state.rows)
        if state.is_read:
            must |= Counter(state.rows)
    return must, ever - must


def snapshot(states: Sequence[State], _: Sequence[Row] = ()) -> Expectation:
    """What the source holds now, and nothing else."""
    return Counter(states[-1].rows), Counter()


def by_object(states: Sequence[State], _: Sequence[Row] = ()) -> Expectation:
    """The rows of every object's newest version; those of one that was deleted stay if they were read."""
    must = dict(states[-1].objects)
    may: dict[str, Object] = {}
    for state in states[:-1]:
        for uri, item in state.objects.items():
            if uri not in must:
                (must if state.is_read else may)[uri] = item
    return _rows(must.values()), _rows(item for uri, item in may.items() if uri not in must)


def by_object_and_key(states: Sequence[State], _: Sequence[Row] = ()) -> Expectation:
    """Of every key the row of the object modified last; no object ever loses a key or goes."""
    rows: dict[Any, Row] = {}
    for _, item in sorted(states[-1].objects.items(), key=_age):
        rows.update({row[0]: row for row in item.rows})
    return Counter(rows.values()), Counter()


def all_objects(states: Sequence[State], _: Sequence[Row] = ()) -> Expectation:
    """The rows of all objects there are now."""
    return _rows(states[-1].objects.values()), Counter()


def latest_object(states: Sequence[State], _: Sequence[Row] = ()) -> Expectation:
    """The rows of the object modified last."""
    _, item = max(states[-1].objects.items(), key=_age)
    return Counter(item.rows), Counter()


def _age(item: tuple[str, Object]) -> tuple[datetime, str]:
    return item[1].modified, item[0]


def _rows(objects: Iterable[Object]) -> Counter[Row]:
    return Counter(row for item in objects for row in item.rows)


@dataclass(frozen=True)
class Case:
    """One source type with one strategy.

    `spec` is the resource's YAML without its table or path. `cursor`: the SQL type of the cursor column.
    `rewrites`: sanitize writes parts of its own. `twins`: the source holds equal rows. `loses_rows`: rows or objects
    may be deleted at the source. `spoilt`: a record that every object ends with, and that cannot be loaded. `told`:
    SQL of what is compared besides the source's columns. `grows_by`: the ledger's counts that add rows; `shrinks`: its
    `deleted` takes rows away.
    """

    type: str
    strategy: str
    oracle: Oracle
    spec: Mapping[str, Any]
    cursor: str = ""
    rewrites: bool = False
    twins: bool = False
    loses_rows: bool = True
    spoilt: bytes = b""
    told: tuple[str, ...] = ()
    grows_by: tuple[str, ...] = ("inserted",)
    shrinks: bool = True

    @property
    def name(self) -> str:
        """How reports call it."""
        return f"{self.type} {self.strategy}"

    @property
    def is_file(self) -> bool:
        """Whether the source is a store of objects."""
        return self.type in ("gcs", "s3", "azure_blob")


KEYED = {"load": "transactional", "cursor": "updated_at", "lag": "0s", "primary_key": ["id"]}
UNKEYED = {"load": "transactional", "cursor": "updated_at", "lag": "0s"}
RENAMED = {"columns": {"rename": {"label": "Label"}}}
INSTANTS = {"postgres": "timestamptz", "mysql": "timestamp(6) NULL", "bigquery": "TIMESTAMP"}
FORMATS = {"gcs": "jsonl", "s3": "csv", "azure_blob": "parquet"}
SPOILT = {"csv": "99999,Zepsuty,dwa złote,\n".encode(), "jsonl": b'{"id": 99999, "amount": "two"\n'}


def _tables(type_: str, cursor: str) -> tuple[Case, ...]:
    rewrites = type_ != "bigquery"
    remove = {**KEYED, "deletes": "remove", "max_deletes": "50%"}
    mark = {**KEYED, "deletes": "mark", "max_deletes": "50%"}
    dated = {"load": "catalog", "history": "snapshots"}
    scd2 = {"load": "catalog", "history": "scd2", "primary_key": ["id"]}
    versions = {"told": ("_etl_is_current",), "grows_by": ("inserted", "updated"), "shrinks": False}
    return (
        Case(type_, "keyed, remove", current_keys, remove, cursor),
        Case(
            type_,
            "keyed, mark",
            by_key_with_marks,
            mark,
            cursor,
            told=("_etl_deleted_at IS NOT NULL",),
            shrinks=False,
        ),
        Case(type_, "catalog, snapshots", dated_snapshots, dated, cursor, told=("_etl_snapshot_at",)),
        Case(type_, "catalog, scd2", versions_by_time, scd2, cursor, **versions),
        Case(type_, "keyed", by_key, {**KEYED, **RENAMED}, cursor, rewrites=rewrites),
        Case(type_, "unkeyed", every_version, UNKEYED, cursor, twins=True),
        Case(type_, "catalog", snapshot, {"load": "catalog", **RENAMED}, cursor, rewrites, twins=True),
    )


def _files(type_: str, format_: str) -> tuple[Case, ...]:
    text: dict[str, Any] = {} if format_ == "parquet" else {"columns": {"types": {"amount": "NUMERIC"}}}
    base = {"format": format_, **text}
    new, catalog = {"load": "transactional", **base}, {"load": "catalog", **base}
    return (
        Case(type_, "files keyed", by_object_and_key, {**new, "primary_key": ["id"]}, "", True, False, False),
        Case(
            type_,
            "files unkeyed",
            by_object,
            {**new, "max_bad_rows": "20%"},
            rewrites=True,
            twins=True,
            spoilt=SPOILT.get(format_, b""),
        ),
        Case(type_, "files all", all_objects, catalog, rewrites=True, twins=True),
        Case(type_, "files latest", latest_object, {**catalog, "files": "latest"}, rewrites=True),
    )


CASES: tuple[Case, ...] = (
    *(case for type_, cursor in INSTANTS.items() for case in _tables(type_, cursor)),
    *(case for type_, format_ in FORMATS.items() for case in _files(type_, format_)),
    Case("postgres", "keyed, lag", by_key, {**KEYED, "lag": "10m"}, INSTANTS["postgres"]),
    Case("postgres", "keyed, integer", by_key, {**KEYED, "lag": 0}, "bigint"),
    Case(
        "mysql",
        "unkeyed, naive",
        every_version,
        {**UNKEYED, "cursor_timezone": "UTC"},
        "datetime(6)",
        twins=True,
    ),
)
