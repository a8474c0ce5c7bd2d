"""YAML as data with line numbers: safe, small, and refusing what people get wrong without noticing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from etl_factory.errors import ConfigError

Steps = tuple[str | int, ...]
MAX_BYTES = 1_000_000
MAX_DEPTH = 12
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]+)?")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_MARKS = ("delimiter", "quote", "escape")  # of a CSV file, which may well be control characters
_TEMPLATE = re.compile(r"\{\{|\{%|\{#")
_CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass
class Document:
    """One file's mapping, the line of every key and item, and what is wrong with its text."""

    file: str
    value: dict[str, Any] = field(default_factory=dict)
    lines: dict[Steps, int] = field(default_factory=dict)
    errors: list[ConfigError] = field(default_factory=list)

    def error(self, message: str, steps: Steps = ()) -> ConfigError:
        """Make an error at a place of this file, on its line, or on that of the nearest place around it."""
        return ConfigError(printable(message), file=self.file, line=self.line(steps), path=dotted(steps))

    def line(self, steps: Steps) -> int:
        """Return the line of a place, or of the nearest place around it."""
        return next((self.lines[steps[:n]] for n in range(len(steps), 0, -1) if steps[:n] in self.lines), 1)


def dotted(steps: Steps) -> str:
    """Spell a place as `resources.orders.primary_key[0]`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return printable(text.removeprefix("."))


def printable(text: object) -> str:
    """Spell out what no terminal, JSON or database takes as it is: control characters, names not in UTF-8."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def read_document(path: Path) -> Document:
    """Read one YAML file; what is wrong with it is in `errors`, and what could be read in `value`."""
    document = Document(printable(path))
    try:
        raw = path.read_bytes()
        if len(raw) > MAX_BYTES:
            raise ConfigError(
                f"the file has {len(raw)} bytes; at most {MAX_BYTES} are read", file=document.file
            )
        _Reader(document, raw.decode("utf-8-sig")).read()
    except OSError as error:
        document.errors.append(document.error(f"the file cannot be read: {error.strerror or error}"))
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        message = f"byte {error.object[error.start]:#04x} is not UTF-8: save the file as UTF-8"
        document.errors.append(ConfigError(message, file=document.file, line=line))
    except yaml.YAMLError as error:
        document.errors.append(_syntax_error(document.file, error))
    except ConfigError as error:
        document.errors.append(error)
    return document


def _syntax_error(file: str, error: yaml.YAMLError) -> ConfigError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return ConfigError(f"not valid YAML: {printable(problem)}", file=file, line=mark.line + 1 if mark else 1)


class _Reader:
    """Builds a document from the parser's events, one by one, so that no text can blow it up."""

    def __init__(self, document: Document, text: str) -> None:
        self.document = document
        self.events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)

    def read(self) -> None:
        """Read one document that is a mapping; raises ConfigError or YAMLError where it cannot go on."""
        next(self.events)
        if isinstance(next(self.events), yaml.StreamEndEvent):
            raise self.document.error("the file is empty: write at least the required keys")
        value = self._value(next(self.events), ())
        if not isinstance(value, dict):
            raise self.document.error("a mapping (key: value lines) is expected at the top of the file")
        self.document.value = value
        next(self.events)
        if not isinstance(follows := next(self.events), yaml.StreamEndEvent):
            message = "a second YAML document begins here: one file holds one document"
            raise ConfigError(message, file=self.document.file, line=_line(follows))

    def _value(self, event: Any, steps: Steps) -> Any:
        self.document.lines.setdefault(steps, _line(event))
        self._refuse_unsafe(event, steps)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(steps)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(steps)
        return self._scalar(event, steps)

    def _refuse_unsafe(self, event: Any, steps: Steps) -> None:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self.document.error("YAML anchors and aliases are not allowed: write the value out", steps)
        if getattr(event, "tag", None):
            raise self.document.error(f"YAML tag {event.tag} is not allowed", steps)
        if (found := _CONTROL.search(str(getattr(event, "value", "")))) and not _is_mark(steps):
            message = f"control character {printable(found[0])} is not allowed: remove it"
            raise ConfigError(message, file=self.document.file, line=_line(event), path=dotted(steps))
        if len(steps) > MAX_DEPTH:
            raise self.document.error(f"nested more than {MAX_DEPTH} levels deep", steps[:3])

    def _mapping(self, steps: Steps) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(key := next(self.events), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent):
                raise self.document.error("a key must be plain text", steps)
            here = (*steps, key.value)
            if key.value in found:
                first = self.document.lines[here]
                message = f"key {key.value!r} is given twice, first on line {first}"
                self.document.errors.append(
                    ConfigError(message, file=self.document.file, line=_line(key), path=dotted(here))
                )
            self.document.lines[here] = _line(key)
            self._refuse_unsafe(key, here)
            found[key.value] = self._value(next(self.events), here)
        return found

    def _sequence(self, steps: Steps) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            found.append(self._value(event, (*steps, len(found))))
        return found

    def _scalar(self, event: Any, steps: Steps) -> Any:
        text = str(event.value)
        if _TEMPLATE.search(text):
            message = "templates ({{, {% or {#) are not allowed: YAML holds plain values only"
            self.document.errors.append(self.document.error(message, steps))
        return text if event.style else resolve(text)


def _is_mark(steps: Steps) -> bool:
    return steps[-1:] != () and steps[-1] in _MARKS


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def resolve(text: str) -> Any:
    """Read an unquoted scalar by YAML 1.2's core rules: `no`, `on`, `22:30` and dates stay text."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
