"""The error tree: drawn as it is, and each message where its reader looks."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from etl_factory import errors


def _tree(root: type[BaseException]) -> dict[str, str]:
    found: dict[str, str] = {}
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            found |= {child.__name__: root.__name__, **_tree(child)}
    return found


def test_the_docstring_draws_every_error_under_its_parent() -> None:
    lines = [line for line in (errors.__doc__ or "").splitlines() if "──" in line]
    drawn = {
        match[2]: "TerminalError" if match[1].strip(" │") or line.startswith(" " * 4) else "EtlFactoryError"
        for line in lines
        if (match := re.match(r"([ │]*)[├└]── (\w+)", line))
    }

    assert drawn == _tree(errors.EtlFactoryError)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errors.ConfigError("unknown key"), "unknown key"),
        (errors.ConfigError("unknown key", path="resources.orders"), "resources.orders: unknown key"),
        (
            errors.ConfigError("unknown key", file="acme/shop_db.yaml", line=7, path="resources.orders"),
            "acme/shop_db.yaml:7: resources.orders: unknown key",
        ),
        (
            errors.ConfigError("no such file", file="acme/shop_db.yaml", line=1),
            "acme/shop_db.yaml:1: no such file",
        ),
    ],
)
def test_a_config_error_says_where(error: errors.ConfigError, text: str) -> None:
    assert str(error) == text


def test_a_config_error_crosses_processes_whole() -> None:
    error = errors.ConfigError("unknown key", file="acme/shop_db.yaml", line=7, path="resources.orders")

    copy = pickle.loads(pickle.dumps(error))

    assert str(copy) == str(error)
    assert (copy.message, copy.file, copy.line, copy.path) == (
        error.message,
        error.file,
        error.line,
        error.path,
    )


@pytest.mark.parametrize("name", sorted(_tree(errors.EtlFactoryError)))
def test_every_error_says_what_it_is_for(name: str) -> None:
    error = getattr(errors, name)

    assert inspect.getdoc(error) != inspect.getdoc(errors.EtlFactoryError)


def test_a_retry_helps_with_nothing_but_a_transient_error() -> None:
    assert not issubclass(errors.TransientError, errors.TerminalError)
    assert [
        name for name, parent in _tree(errors.EtlFactoryError).items() if parent == "TransientError"
    ] == []
