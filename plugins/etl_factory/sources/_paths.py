"""How a path with wildcards names objects: `*` and `?` stay inside a folder, `**` crosses folders.

s3://bucket/prices/*.csv          files of one folder
s3://bucket/prices/**/*.csv.gz    that folder and all below it
s3://bucket/prices/2025-0[1-6].csv
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeVar

from etl_factory.sources.specs import Files
from etl_factory.sources.words import refuse

Resource = TypeVar("Resource", bound=Files)
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class ObjectPath:
    """A parsed path: scheme, bucket (or container), and the pattern of object names."""

    scheme: str
    bucket: str
    pattern: str

    @property
    def prefix(self) -> str:
        """Longest literal beginning of the names, to list no more than needed."""
        wild = _WILD.search(self.pattern)
        return self.pattern[: wild.start()] if wild else self.pattern

    def matches(self, name: str) -> bool:
        """Whether an object's name matches; folder markers never do."""
        return not name.endswith("/") and bool(_compile(self.pattern).fullmatch(name))

    def uri(self, name: str) -> str:
        """Return the full address of an object."""
        return f"{self.scheme}://{self.bucket}/{name}"


def parse_path(path: str, scheme: str) -> ObjectPath:
    """Split `scheme://bucket/pattern`; raises ValueError saying what is wrong and what was expected."""
    given, separator, rest = path.partition("://")
    bucket, _, pattern = rest.partition("/")
    if not separator or given != scheme:
        # any other address may carry a signature
        shown = repr(path) if given in ("s3", "gs", "az") else "of this kind"
        raise ValueError(f"path {shown} must start with {scheme}://")
    if not bucket or _WILD.search(bucket):
        raise ValueError(f"path {path!r} must name one bucket, without wildcards, after {scheme}://")
    if not pattern:
        raise ValueError(
            f"path {path!r} must name objects after the bucket, for example {scheme}://{bucket}/**/*.csv"
        )
    return ObjectPath(scheme, bucket, pattern)


def check_paths(resources: dict[str, Resource], scheme: str) -> dict[str, Resource]:
    """Pass resources whose paths all fit the scheme; else fail validation at each path that does not."""
    problems: dict[tuple[str, ...], str] = {}
    for name, resource in resources.items():
        try:
            parse_path(resource.path, scheme)
        except ValueError as error:
            problems[name, "path"] = str(error)
    if problems:
        refuse(problems)
    return resources


def _compile(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", pattern)
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile(
        "".join(wild.get(part) or (part if part.startswith("[") else re.escape(part)) for part in parts)
    )
