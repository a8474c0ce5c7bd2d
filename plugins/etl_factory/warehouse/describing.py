"""Descriptions and policy tags of a published table's columns.

Policy tags are no part of DDL, only of the schema that the REST API reads and writes, a column has one at most,
and it must be of the dataset's location; so both are set by one tables.patch, which sends the schema as it was
read with what is wanted, under the etag of that reading.
https://cloud.google.com/bigquery/docs/column-level-security
https://cloud.google.com/bigquery/docs/reference/rest/v2/tables/patch
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Words:
    """What config says of a column; what it does not say stays as it is."""

    description: str = ""
    policy_tag: str = ""


def described(
    schema: Sequence[Mapping[str, Any]], wanted: Mapping[str, Words]
) -> tuple[dict[str, Any], ...] | None:
    """Return a table's fields with the words for its columns, by lower-case name; None if they have them already."""
    fields = tuple(_described(field, wanted.get(field["name"].lower(), Words())) for field in schema)
    return None if fields == tuple(map(dict, schema)) else fields


def _described(field: Mapping[str, Any], words: Words) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if words.description and words.description != field.get("description"):
        changes["description"] = words.description
    tags = (field.get("policyTags") or {}).get("names")
    if words.policy_tag and list(tags or ()) != [words.policy_tag]:
        changes["policyTags"] = {"names": [words.policy_tag]}
    return {**field, **changes}
