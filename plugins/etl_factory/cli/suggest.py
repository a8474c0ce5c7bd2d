"""Turns what `discover` found into YAML resources, to paste into a source's file and to think over."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml

from etl_factory.schema.naming import column_name
from etl_factory.sources.base import Found
from etl_factory.sources.words import NAME_LENGTH

_PART = re.compile(r'"(?:[^"]|"")*"|`(?:[^`]|``)*`|[^.]+')
_CHANGED = re.compile(r"(last_?)?(updated|modified|changed)(_?(at|on|time|date|ts))?", re.IGNORECASE)


class _Dumper(yaml.SafeDumper):
    """Prints lists as people write short ones: [a, b]."""


_Dumper.add_representer(
    list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)
)


def resources_of(found: Iterable[Found], timezone: str) -> dict[str, dict[str, Any]]:
    """Suggest a resource for each find, named after it; a local cursor is taken to be of `timezone`."""
    suggested: dict[str, dict[str, Any]] = {}
    for item in found:
        name = _free_name(item, suggested)
        suggested[name] = _files(item) if "://" in item.name else _table(item, timezone)
    return suggested


def to_yaml(resources: dict[str, dict[str, Any]]) -> str:
    """Print resources as they stand in a source's file."""
    document = {"resources": resources}
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
    return text.rstrip()


def _table(found: Found, timezone: str) -> dict[str, Any]:
    cursor, kind = next(
        (
            (name, kind)
            for name, type_ in found.columns
            if _CHANGED.fullmatch(name) and (kind := _kind(type_))
        ),
        ("", ""),
    )
    keys = {"primary_key": list(found.primary_key)} if found.primary_key else {}
    if not cursor:
        return {"table": found.name, "load": "catalog"}
    zone = {"cursor_timezone": timezone} if kind == "naive" else {}
    return {"table": found.name, "load": "transactional", "cursor": cursor, **zone, **keys}


def _files(found: Found) -> dict[str, Any]:
    return {"path": f"{found.name}**/*.csv", "format": "csv", "load": "transactional"}


def _kind(type_: str) -> str:
    """Tell a time with a zone from one without, by the name that the source gives to its type."""
    text = type_.lower()
    if text.startswith("datetime") or "without time zone" in text:
        return "naive"
    return "instant" if text.startswith("timestamp") else ""


def _free_name(found: Found, taken: Iterable[str]) -> str:
    """Name a resource by the last part of what was found, or by as many parts as make it the only one."""
    parts = [_plain(part) for part in _PART.findall(found.name.partition("://")[2] or found.name)]
    for used in range(1, len(parts) + 1):
        name = _name("_".join(parts[-used:]))
        if name not in taken:
            return name
    return next(
        f"{name[: NAME_LENGTH - 4]}_{i}"
        for i in range(2, 999)
        if f"{name[: NAME_LENGTH - 4]}_{i}" not in taken
    )


def _plain(part: str) -> str:
    return part.strip('"`/')


def _name(text: str) -> str:
    name = re.sub(r"_+", "_", column_name(text)).strip("_")
    return (name if name[:1].isalpha() else f"t_{name}")[:NAME_LENGTH].strip("_")
