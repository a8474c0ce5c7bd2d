"""What a tenant's YAML may say; a source's own models live beside its source type."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from etl_factory.sources.specs import Spec, TaskDefaults
from etl_factory.sources.words import Name, TimeZone, shown

BYTES_PATTERN = r"^\d+\s*(MB|GB|TB|MiB|GiB|TiB)$"
_BYTES = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def _matching(pattern: str, expected: str) -> Any:
    """Return what makes an annotated text match a pattern, or say what was expected."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{shown(value)} is not {expected}")
        return value

    return AfterValidator(check)


def _text(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$"})


_PROJECT = r"[a-z][a-z0-9-]{0,28}[a-z0-9]"
_LOCATION = r"[A-Za-z]+(-[a-z0-9]+)*"
_DATASET = r"[A-Za-z][A-Za-z0-9_]{0,1000}"
_LANDING = r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/[A-Za-z0-9._=-]+)*/?"
_IDENTITY = r"[A-Za-z0-9._-]+@[A-Za-z0-9.-]+\.gserviceaccount\.com"
_EMAIL = r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>]+"

Project = Annotated[str, _matching(_PROJECT, "a Google Cloud project id"), _text(_PROJECT)]
Location = Annotated[
    str, _matching(_LOCATION, "a BigQuery location such as europe-central2 or EU"), _text(_LOCATION)
]
Dataset = Annotated[str, _matching(_DATASET, "a BigQuery dataset's name"), _text(_DATASET)]
Bucket = Annotated[
    str, _matching(_LANDING, "an address such as gs://acme-landing or gs://acme-landing/etl"), _text(_LANDING)
]
Identity = Annotated[str, _matching(_IDENTITY, "the address of a Google service account"), _text(_IDENTITY)]
Email = Annotated[str, _matching(_EMAIL, "an e-mail address"), _text(_EMAIL)]


def parse_bytes(value: Any) -> Any:
    """Turn `500GB` or `2TiB` into bytes; leave a whole number as it is."""
    if isinstance(value, str):
        match = re.match(BYTES_PATTERN, value)
        if not match or match.start(1) > 20:
            raise ValueError(f"{shown(value)} is not a size: write a number and a unit, such as 500GB")
        return int(value[: match.start(1)]) * _BYTES[match[1]]
    return value


Bytes = Annotated[
    int,
    Field(ge=10 * 10**6, lt=2**63, strict=True),
    BeforeValidator(parse_bytes),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": BYTES_PATTERN}, {"type": "integer"}]}),
]


class Notify(Spec):
    """Who hears of a failed task; `webhook` names the tenant's connection that holds the address."""

    email: tuple[Email, ...] = ()
    webhook: Name | None = None


class Limits(Spec):
    """What one DAG may use: tasks at once, and bytes that one BigQuery statement may bill."""

    max_active_tasks: Annotated[int, Field(ge=1, le=512, strict=True)] = 4
    maximum_bytes_billed: Bytes | None = None


class Tenant(Spec):
    """Whose data it is and where it goes: `tenant.yaml`."""

    tenant: Name
    description: str = ""
    project: Project
    location: Location
    dataset: Dataset
    landing: Bucket
    impersonate: Identity | None = None
    airflow_role: Annotated[str, Field(min_length=1)] | None = None
    timezone: TimeZone = "UTC"
    notify: Notify = Field(default_factory=Notify)
    limits: Limits = Field(default_factory=Limits)
    defaults: TaskDefaults = Field(default_factory=TaskDefaults)
