"""Reads what stands above the records of a delimited file: title lines, comments, the header; finds its delimiter."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

from etl_factory.errors import TerminalError
from etl_factory.sources.formats._comments import without_comments
from etl_factory.sources.formats._records import Cutter
from etl_factory.sources.formats.base import Peekable
from etl_factory.sources.specs import CsvFormat

AUTO = "auto"
HEAD_BYTES = 1024 * 1024
_BREAK = re.compile(rb"\r\n|\n|\r")
_CANDIDATES, _SAMPLE_RECORDS = (b",", b";", b"\t", b"|"), 200
_NAMES = {b",": "','", b";": "';'", b"\t": "tab", b"|": "'|'"}


@dataclass(frozen=True)
class Head:
    """What the top of a file says: its columns, and how many lines stand above the first record.

    `spare`: the last column has no name, so that it is one only if a value is ever found in it.
    """

    cutter: Cutter
    names: tuple[str, ...]
    lines: int
    spare: bool = False


def read_head(
    source: Peekable, spec: CsvFormat, found: Callable[[str], None]
) -> tuple[Head, Peekable] | None:
    """Take title lines and header from UTF-8 text; return them and the records, None where there is nothing.

    Raises TerminalError for a header that is not whole, and for a delimiter that cannot be told.
    """
    lines = skip_lines(source, spec.skip_rows)
    lines += _skip_matching(source, _above(spec))
    cutter = _cutter(source, spec, found)
    records = without_comments(source, cutter)
    first = _first(records, cutter)
    if first is None:
        return None
    header, record = first
    if spec.header:
        records.take(len(record))
        lines += len(_BREAK.findall(record))
    names, spare = _names(header, cutter.records(_sample(records), _SAMPLE_RECORDS), spec)
    return Head(cutter, tuple(names), lines, spare), records


def skip_lines(source: Peekable, count: int) -> int:
    """Take so many lines, or what there is; return how many."""
    taken = 0
    while taken < count and (text := source.peek(HEAD_BYTES)):
        # A line feed may follow a carriage return at the end of the look.
        whole = text[:-1] if text.endswith(b"\r") and len(text) == HEAD_BYTES else text
        ends = [found.end() for found in islice(_BREAK.finditer(whole), count - taken)]
        taken += len(ends)
        source.take(ends[-1] if taken == count else len(whole))
    return taken


def _above(spec: CsvFormat) -> re.Pattern[bytes]:
    """What may stand above the first record: comments, and empty lines above a header."""
    comment = re.escape(spec.comment.encode())
    parts = [rb"%s[^\r\n]*+(?:\r\n|\n|\r)" % comment] if comment else []
    return re.compile(b"(?:%s)*+" % b"|".join([*parts, rb"\r\n|\n|\r"] if spec.header else parts))


def _skip_matching(source: Peekable, pattern: re.Pattern[bytes]) -> int:
    found = pattern.match(source.peek(HEAD_BYTES))
    return len(_BREAK.findall(source.take(found.end()))) if found else 0


def _cutter(source: Peekable, spec: CsvFormat, found: Callable[[str], None]) -> Cutter:
    marks = spec.quote.encode(), spec.escape.encode(), spec.comment.encode()
    if spec.delimiter != AUTO:
        return Cutter(spec.delimiter.encode(), *marks)
    sample = _sample(source)
    if not sample:
        return Cutter(_CANDIDATES[0], *marks)
    delimiter = _detected(sample, Cutter(b"", *marks))
    found(f"delimiter detected as {_NAMES[delimiter]}")
    return Cutter(delimiter, *marks)


def _sample(source: Peekable) -> bytes:
    text = source.peek(HEAD_BYTES)
    return text if len(text) == HEAD_BYTES or not text else text + b"\n"


def _detected(sample: bytes, marks: Cutter) -> bytes:
    """Choose the delimiter that gives every first record as many fields, and more than one."""
    shares = {c: _share(sample, replace(marks, delimiter=c)) for c in _CANDIDATES if c != marks.quote}
    best = max(shares.values())
    if not best:
        return next((c for c in shares if c not in sample), _CANDIDATES[0])
    likely = [candidate for candidate, share in shares.items() if share == best]
    if len(likely) > 1 or best < 0.9:
        names = " and ".join(_NAMES[c] for c, share in shares.items() if share)
        raise TerminalError(
            f"format.delimiter is auto, but the first records do not tell it: {names} cut them equally well or"
            " badly. Set format.delimiter"
        )
    return likely[0]


def _share(sample: bytes, cutter: Cutter) -> float:
    """Return how many of the first records have as many fields as the very first one, if that is more than one."""
    text = (
        without_comments(Peekable(io.BytesIO(sample)), cutter).peek(len(sample)) if cutter.comment else sample
    )
    widths = [len(record) for record in cutter.records(text, _SAMPLE_RECORDS)]
    return widths.count(widths[0]) / len(widths) if widths and widths[0] > 1 else 0


def _first(records: Peekable, cutter: Cutter) -> tuple[list[bytes], bytes] | None:
    """Return the fields of the first record that is no empty line, and all text up to its end."""
    sample = _sample(records)
    blank = re.match(rb"[\r\n]*+", sample)
    start = blank.end() if blank else 0
    if start == len(sample):
        return None
    record = cutter.first(sample[start:])
    if record is None:
        raise TerminalError(
            f"the first record is longer than {HEAD_BYTES} bytes, or opens a {_mark(cutter)} that is never closed."
            " Nothing of the file was loaded; repair it, or correct format.quote, format.escape and"
            " format.skip_rows in the source's YAML"
        )
    return cutter.fields(record), sample[: start + len(record)]


def _mark(cutter: Cutter) -> str:
    return (cutter.quote or cutter.escape).decode()


def _names(first: list[bytes], records: list[list[bytes]], spec: CsvFormat) -> tuple[list[str], bool]:
    """Name the columns; a delimiter at the end of every line makes no column, be it in the header or not."""
    if spec.column_names:
        return _given_names(len(first), any(first[-1:]), spec)
    if not spec.header:
        return unique_names([""] * len(first)), False
    header = [_decoded(name, spec) for name in first]
    longer = [record for record in records if len(record) == len(header) + 1]
    if len(longer) * 2 > len(records) and not any(record[-1] for record in longer):
        header.append("")
    return unique_names(header), len(header) > 1 and not header[-1].strip()


def _given_names(width: int, is_filled: bool, spec: CsvFormat) -> tuple[list[str], bool]:
    names = list(spec.column_names)
    if width == len(names) + 1 and not is_filled:
        return unique_names([*names, ""]), True
    if width != len(names):
        raise TerminalError(
            f"format.column_names gives {len(names)} names, but the first record has {width} fields"
        )
    return names, False


def _decoded(name: bytes, spec: CsvFormat) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise TerminalError(
            f"the header is not {spec.encoding} text: {name!r}. Set format.encoding to the file's, such as"
            " windows-1250, or to auto"
        ) from error


def unique_names(header: list[str]) -> list[str]:
    """Name every column: an empty header is `column_<n>`, a repeated one gets `_2`, `_3` and so on."""
    names: list[str] = []
    for position, given in enumerate(header, 1):
        base = given.strip() or f"column_{position}"
        name, number = base, 1
        while name in names:
            number += 1
            name = f"{base}_{number}"
        names.append(name)
    return names
