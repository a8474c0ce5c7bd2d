"""What a resource says of its columns, held against itself: names, repetitions, and columns it leaves out."""

from __future__ import annotations

from collections.abc import Iterator

from etl_factory.config.document import Steps
from etl_factory.schema.naming import LEGAL, column_name, is_reserved
from etl_factory.sources.specs import ResourceSpec
from etl_factory.sources.words import shown

Problem = tuple[Steps, str]


def column_problems(spec: ResourceSpec) -> Iterator[Problem]:
    """Find what no data can mend: the place inside the resource, and what is wrong there."""
    yield from _illegal_names(spec)
    yield from _shared_names(spec)
    yield from _repeated(spec)
    yield from _left_out(spec)
    yield from _hidden(spec)


def _illegal_names(spec: ResourceSpec) -> Iterator[Problem]:
    for original, name in spec.columns.rename.items():
        if not LEGAL.fullmatch(name) or is_reserved(name):
            message = (
                f"{shown(name)} cannot name a column in BigQuery: use at most 300 letters, digits and underscores,"
                " not beginning with a digit or a prefix that BigQuery keeps for itself"
            )
            yield ("columns", "rename", original), message


def _shared_names(spec: ResourceSpec) -> Iterator[Problem]:
    """Compare the columns known to be read: those included, or, of all, those that a key of ours names."""
    rename = spec.columns.rename
    known = spec.columns.include or tuple({**spec.needed_columns(), **rename})
    seen: dict[str, str] = {}
    for original in sorted(set(known), key=lambda name: (name in rename, known.index(name))):
        name = rename.get(original) or column_name(original)
        twin = seen.setdefault(name.lower(), original)
        if twin != original:
            message = (
                f"columns {shown(twin)} and {shown(original)} would both be called {shown(name)} in BigQuery, where"
                " names differ by more than case: rename one of them"
            )
            yield ("columns", "rename", original) if original in rename else ("columns", "include"), message


def _repeated(spec: ResourceSpec) -> Iterator[Problem]:
    lists: dict[Steps, tuple[str, ...]] = {
        ("primary_key",): spec.primary_key,
        ("cluster_by",): spec.cluster_by,
        ("columns", "include"): spec.columns.include,
        ("columns", "exclude"): spec.columns.exclude,
    }
    for place, names in lists.items():
        for index, name in enumerate(names):
            if name in names[:index]:
                yield (*place, index), f"{shown(name)} is given twice: once is enough"


def _left_out(spec: ResourceSpec) -> Iterator[Problem]:
    """The primary key and the cursor are held against include and exclude by the model itself."""
    chosen = spec.columns
    wanted: list[tuple[Steps, str]] = [
        *((("columns", "rename", name), name) for name in chosen.rename),
        *((("columns", "types", name), name) for name in chosen.types),
        *((("columns", "mask", name), name) for name in chosen.mask),
        *((("columns", "description", name), name) for name in chosen.description),
        *((("columns", "policy_tags", name), name) for name in chosen.policy_tags),
        *((("cluster_by", index), name) for index, name in enumerate(spec.cluster_by)),
    ]
    if spec.partition_by:
        wanted.append((("partition_by",), spec.partition_by))
    for place, name in wanted:
        if name in chosen.exclude:
            yield place, f"{shown(name)} is left out by columns.exclude: keep it, or do not name it here"
        elif chosen.include and name not in chosen.include:
            yield (
                place,
                f"{shown(name)} is not among columns.include: include it too (by the source's own name)",
            )


def _hidden(spec: ResourceSpec) -> Iterator[Problem]:
    """What is compared, or cut into days, must still tell rows apart, or in time, once it is hidden."""
    for name, mask in spec.columns.mask.items():
        place: Steps = ("columns", "mask", name)
        key, type_ = spec.needed_columns().get(name), spec.columns.types.get(name, "")
        if key == "cursor":
            yield place, f"{shown(name)} is the cursor, whose values are the watermark: it cannot be masked"
        elif key and not mask.keeps_rows_apart:
            yield (
                place,
                f"{shown(name)} is the {key}, and {mask.how} makes different keys equal: use sha256 or hmac",
            )
        if mask.is_text and name == spec.partition_by:
            yield place, f"{shown(name)} is partition_by, and {mask.how} makes text of it: use date_trunc"
        if mask.is_text and type_ not in ("", "STRING"):
            yield ("columns", "types", name), f"{shown(name)} is masked by {mask.how}, which is always STRING"
        elif not mask.is_text and type_ not in ("", "DATE", "DATETIME", "TIMESTAMP"):
            yield (
                ("columns", "types", name),
                f"{shown(name)} is masked by date_trunc, which is a DATE, DATETIME or TIMESTAMP",
            )
