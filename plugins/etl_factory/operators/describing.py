"""Brings the descriptions and policy tags of the published columns up to date, before any row is published."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from etl_factory.config.resource import Resource
from etl_factory.errors import AccessDeniedError, TerminalError
from etl_factory.schema.naming import column_name
from etl_factory.warehouse.client import Warehouse
from etl_factory.warehouse.describing import Words, described

if TYPE_CHECKING:
    from google.cloud.bigquery import Table

log = logging.getLogger(__name__)


def describe(resource: Resource, warehouse: Warehouse, held: Table) -> None:
    """Write what differs from config, by one request; nothing is asked when nothing differs.

    Raises TerminalError for a policy tag whose column the table does not have, and AccessDeniedError when it may
    not be set: no row is published into a column that should be protected and is not.
    """
    wanted = words_of(resource)
    if not wanted:
        return
    names = {field.name.lower() for field in held.schema}
    for name, words in wanted.items():
        if name not in names and words.policy_tag:
            raise TerminalError(_no_column(resource, name))
        if name not in names:
            log.warning("columns.description: %s has no column %r", resource.table_id, name)
    fields = described([field.to_api_repr() for field in held.schema], wanted)
    if fields is None:
        return
    try:
        warehouse.set_schema(held, fields)
    except AccessDeniedError as error:
        raise AccessDeniedError(
            f"{resource.table_id}: descriptions and policy tags of its columns may not be set: {error}. Grant this"
            " identity bigquery.tables.update and, for policy tags, bigquery.tables.setCategory (BigQuery Data Owner)."
            " Nothing was published"
        ) from error


def words_of(resource: Resource) -> dict[str, Words]:
    """Return what config says of each column, by the name that it is published under, in lower case."""
    columns = resource.spec.columns
    return {
        (columns.rename.get(name) or column_name(name)).lower(): Words(
            columns.description.get(name, ""), columns.policy_tags.get(name, "")
        )
        for name in (*columns.description, *columns.policy_tags)
    }


def _no_column(resource: Resource, name: str) -> str:
    return (
        f"{resource.dag_id}.{resource.name}: columns.policy_tags names a column that would be {name!r} in"
        f" {resource.table_id}, which has none of that name. Nothing was published: correct the source's name of it,"
        " or, if it holds no value yet, give its type under columns.types"
    )
