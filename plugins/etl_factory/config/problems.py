"""Pydantic's findings in a document as config errors in plain words: where, what, and what was expected."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from etl_factory.config.document import Document, Steps
from etl_factory.errors import ConfigError
from etl_factory.sources.words import shown

MAX_FINDINGS = 50
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list, such as [a, b]",
    "dict_type": "a mapping (key: value lines)",
    "model_type": "a mapping (key: value lines)",
    "model_attributes_type": "a mapping (key: value lines)",
    "dict_attributes_type": "a mapping (key: value lines)",
}


def config_errors(
    error: ValidationError, document: Document, model: type[BaseModel]
) -> tuple[ConfigError, ...]:
    """Translate the findings of one validation, in the order of the file: as many as a person reads."""
    count = error.error_count()
    found = [_place(item, document, model) for item in islice(_spread(error), MAX_FINDINGS)]
    found.sort(key=lambda e: (e.line, e.path))
    more = document.error(f"{count - MAX_FINDINGS} more findings: correct these first")
    return (*found, more) if count > MAX_FINDINGS else tuple(found)


def _spread(error: ValidationError) -> Iterator[dict[str, Any]]:
    """Take apart the findings that name several places of their own."""
    for item in error.errors(include_url=False):
        if item["type"] == "problems":
            for place, message in item["ctx"]["at"].items():
                yield {"type": "problem", "loc": (*item["loc"], *place), "msg": message, "input": None}
        else:
            yield dict(item)


def _place(item: dict[str, Any], document: Document, model: type[BaseModel]) -> ConfigError:
    message, last = _message(item, model), None
    if item["type"].startswith("union_tag"):
        last = item["ctx"]["discriminator"].strip("'")
    return document.error(message, _steps(item["loc"], document.value, last))


def _steps(loc: Iterable[str | int], value: Any, last: str | None) -> Steps:
    """Turn pydantic's location into the file's own, without the tags of the unions on the way."""
    steps: list[str | int] = []
    *inner, final = [*loc, last] if last else list(loc) or [""]
    for step in inner:
        if (isinstance(value, dict) and step in value) or (isinstance(value, list) and isinstance(step, int)):
            steps.append(step)
            value = value[step]  # type: ignore[index]  # checked just above
    return tuple(steps) if final in ("", "[key]") or _is_tag(final, value) else (*steps, final)


def _is_tag(step: str | int, value: Any) -> bool:
    """Tell a union's tag, which names the kind of `value`, from a key that is missing in it."""
    return isinstance(value, dict) and step in value.values() and step not in value


def _message(item: dict[str, Any], model: type[BaseModel]) -> str:
    kind, context = item["type"], item.get("ctx", {})
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, not {_given(item['input'])}"
    written: dict[str, Callable[[], str]] = {
        "missing": lambda: "this key is required",
        "value_error": lambda: str(context["error"]),
        "extra_forbidden": lambda: _unknown_key(str(item["loc"][-1]), keys_at(model, item["loc"])),
        "literal_error": lambda: one_of(item["input"], _quoted(context["expected"])),
        "union_tag_invalid": lambda: one_of(context["tag"], _quoted(context["expected_tags"])),
        "union_tag_not_found": lambda: "this key is required",
        "string_pattern_mismatch": lambda: f"{shown(item['input'])} does not match {context['pattern']}",
        "too_short": lambda: "at least one entry is required",
    }
    return written[kind]() if kind in written else str(item["msg"])


def _quoted(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


def _given(value: Any) -> str:
    if value is None:
        return "nothing (leave the key out instead)"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else shown(value)


def _unknown_key(key: str, known: Iterable[str]) -> str:
    return f"unknown key{nearest(key, known)}; known keys: {', '.join(known)}"


def one_of(value: Any, allowed: Iterable[str]) -> str:
    """Say that a value is none of those allowed, and which one was probably meant."""
    return f"{shown(value)} is not one of {', '.join(allowed)}{nearest(str(value), allowed)}"


def nearest(asked: str, names: Iterable[str]) -> str:
    """Return `; did you mean ...?`, or nothing when no name is near."""
    near = difflib.get_close_matches(asked, list(names), 1, 0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def keys_at(model: Any, loc: Iterable[str | int]) -> tuple[str, ...]:
    """Return the keys that the model allows beside the last step of a location."""
    *steps, _ = loc
    for step in steps:
        model = _descend(model, step)
    return tuple(model.model_fields) if _is_model(model) else ()


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _descend(annotation: Any, step: str | int) -> Any:
    """Return the type of what is at `step` inside a value of the annotated type."""
    if _is_model(annotation):
        return _plain(annotation.model_fields[step].annotation)
    if get_origin(annotation) in (Union, UnionType):
        members = [_plain(member) for member in get_args(annotation) if member is not type(None)]
        tagged = [member for member in members if _is_model(member) and step in _tags(member)]
        return tagged[0] if tagged else _descend(members[0], step)
    arguments = get_args(annotation)
    return _plain(arguments[0] if get_origin(annotation) is tuple else arguments[-1])


def _plain(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    members = [m for m in get_args(annotation) if m is not type(None)]
    is_optional = get_origin(annotation) in (Union, UnionType) and len(members) == 1
    return _plain(members[0]) if is_optional else annotation


def _tags(model: type[BaseModel]) -> set[Any]:
    literals = (field.annotation for field in model.model_fields.values())
    return {value for a in literals if get_origin(a) is Literal for value in get_args(a)}
