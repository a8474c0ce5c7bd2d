"""What the SQL sources share: choosing columns, kinds of cursors, telling which name was meant, refused logins."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Protocol, TypeVar

from etl_factory.errors import AccessDeniedError, ConfigError, NotFoundError
from etl_factory.identity import store_command
from etl_factory.sources.base import Connection, Selection
from etl_factory.windows import CursorKind


class Named(Protocol):
    """A column of any source."""

    @property
    def name(self) -> str:
        """The column's own name."""


Column = TypeVar("Column", bound=Named)


def choose_columns(found: Sequence[Column], selection: Selection, where: str) -> list[Column]:
    """Apply include and exclude; raises NotFoundError for a name, also of a mask, that the relation lacks."""
    names = [column.name for column in found]
    cursor = (selection.cursor,) if selection.cursor else ()
    for asked in (*selection.include, *selection.exclude, *selection.mask, *selection.primary_key, *cursor):
        if asked not in names:
            raise NotFoundError(
                f"{where}: {selection.table or 'the query'} has no column {asked!r}{nearest(asked, names)}"
            )
    wanted = set(selection.include or names) - set(selection.exclude)
    return [column for column in found if column.name in wanted]


def known_kind(kind: CursorKind | None, type_name: str, selection: Selection) -> CursorKind:
    """Return the kind that the cursor's type makes it; raises ConfigError for a type that makes none."""
    if kind is None:
        raise ConfigError(
            f"cursor {selection.cursor!r} of {selection.table or 'the query'} is of type {type_name}: a cursor is a"
            " timestamp, a date or an integer"
        )
    return kind


def derived(query: str) -> str:
    """Write a query as a derived table `q`; a closing semicolon or line comment in it does no harm."""
    return f"({query.strip().rstrip(';')}\n) AS q"


def nearest(asked: str, names: Sequence[str]) -> str:
    """Return `; did you mean ...?`, or nothing when no name is near."""
    near = difflib.get_close_matches(asked, names, 1, 0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def login_refused(connection: Connection, where: str, text: str) -> AccessDeniedError:
    """Return the error of a login that the server refuses; it says how to store the right one."""
    command = store_command(connection.conn_id)
    return AccessDeniedError(
        f"{where}: login as {connection.login!r} was refused: {text}. Store the right login with {command}"
    )
