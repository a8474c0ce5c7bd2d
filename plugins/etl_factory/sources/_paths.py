"""How a path with wildcards names objects: `*` and `?` stay inside a folder, `**` crosses folders.

s3://bucket/prices/*.csv          files of one folder
s3://bucket/prices/**/*.csv.gz    that folder and all below it
s3://bucket/prices/2025-0[1-6].csv
s3://bucket/prices/[!_]*.csv      one character that is none of these
s3://bucket/prices/[[]new].csv    a wildcard in brackets is that character itself: `[new].csv`
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from etl_factory.sources.specs import Files
from etl_factory.sources.words import refuse

Resource = TypeVar("Resource", bound=Files)
_WILD = re.compile(r"[*?\[]")
_TOKENS = re.compile(
    r"(?P<folders>(?<![^/])(?:\*\*/)+)|(?P<all>\*\*+)|(?P<run>\*)|(?P<one>\?)|\[(?P<set>!?\]?[^\]]*)\]"
)
_FIXED = {"folders": "(?:.*/)?", "all": ".*", "run": "[^/]*", "one": "[^/]"}


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
        shown = repr(path) if given in ("s3", "gs", "az") and "@" not in bucket else "of this kind"
        raise ValueError(f"path {shown} must start with {scheme}://")
    if "@" in bucket:
        raise ValueError(f"path must name a bucket after {scheme}://, and no login: that is `connection`'s")
    if not bucket or _WILD.search(bucket):
        raise ValueError(f"path {path!r} must name one bucket, without wildcards, after {scheme}://")
    _check_pattern(path, pattern, f"{scheme}://{bucket}/")
    return ObjectPath(scheme, bucket, pattern)


def split_object(uri: str) -> tuple[str, str]:
    """Split one object's address into its bucket and its name, in which nothing is a wildcard."""
    bucket, _, name = uri.partition("://")[2].partition("/")
    return bucket, name


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


def _check_pattern(path: str, pattern: str, bucket: str) -> None:
    if not pattern:
        raise ValueError(f"path {path!r} must name objects after the bucket, for example {bucket}**/*.csv")
    if pattern.endswith("/"):
        raise ValueError(
            f"path {path!r} names a folder: write {path}* for the objects in it, or {path}** for all below it"
        )
    try:
        _compile(pattern)
    except ValueError as error:
        raise ValueError(f"path {path!r}: {error}") from None


@lru_cache(maxsize=256)
def _compile(pattern: str) -> re.Pattern[str]:
    written, end = [], 0
    for token in _TOKENS.finditer(pattern):
        kind = token.lastgroup or ""
        written += [re.escape(pattern[end : token.start()]), _FIXED.get(kind) or _one_of(token["set"])]
        end = token.end()
    return re.compile("".join(written) + re.escape(pattern[end:]), re.DOTALL)


def _one_of(given: str) -> str:
    """Write what stands in brackets as a set of a regular expression; it never takes a slash."""
    is_negated = len(given) > 1 and given.startswith("!")
    listed = given[is_negated:]
    for low, high in re.findall(r"(?s)(.)-(.)", listed):
        if low > high:
            raise ValueError(f"the range {low}-{high} in [{given}] is the wrong way round")
    items = re.sub(r"(?s)(.)-(.)|(.)", _escaped_item, listed)
    return f"(?!/)[{'^' if is_negated else ''}{items}]" if listed else re.escape(f"[{given}]")


def _escaped_item(item: re.Match[str]) -> str:
    return re.escape(item[3]) if item[3] else f"{re.escape(item[1])}-{re.escape(item[2])}"
