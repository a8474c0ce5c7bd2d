"""Descriptions and policy tags: written once, only where they differ, and before any row is published."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from etl_factory.config.resource import Resource
from etl_factory.errors import AccessDeniedError, TerminalError, TransientError
from etl_factory.operators.describing import describe
from etl_factory.warehouse.client import Warehouse
from etl_factory.warehouse.describing import Words, described
from examples import Write
from fakes import resource_of

TAG = "projects/p/locations/eu/taxonomies/1/policyTags/2"
OTHER = "projects/p/locations/eu/taxonomies/1/policyTags/3"
ID, BORN = (
    {"name": "id", "type": "INTEGER", "mode": "REQUIRED"},
    {"name": "Born", "type": "DATE", "mode": "NULLABLE"},
)
TAGGED = {**BORN, "policyTags": {"names": [TAG]}, "description": "Birthday"}
COLUMNS = (
    "columns: {rename: {birth date: born}, description: {birth date: Birthday},"
    f" policy_tags: {{birth date: {TAG}}}}}"
)


@pytest.fixture
def people(write: Write) -> Resource:
    return resource_of(write, f"table: public.people\nload: catalog\n{COLUMNS}")


def test_what_differs_is_changed_and_the_rest_is_as_it_was() -> None:
    masked = {**ID, "policyTags": {"names": [OTHER]}, "dataPolicies": [{"name": "x"}]}

    assert described([masked, BORN], {"born": Words("Birthday", TAG)}) == (masked, TAGGED)
    assert described([masked, BORN], {"id": Words("Key")}) == ({**masked, "description": "Key"}, BORN)
    assert described([{**BORN, "policyTags": {"names": [OTHER]}}], {"born": Words("", TAG)}) == (
        {**BORN, "policyTags": {"names": [TAG]}},
    )


def test_nothing_is_written_where_nothing_differs() -> None:
    assert described([ID, TAGGED], {"born": Words("Birthday", TAG)}) is None
    assert described([ID, TAGGED], {"born": Words()}) is None
    assert described([ID, TAGGED], {}) is None


class Held:
    """BigQuery at the network's edge: one table, and the requests for it."""

    is_mtls = False

    def __init__(self, fields: list[dict[str, Any]]) -> None:
        self.document = {
            "tableReference": {"projectId": "acme-analytics", "datasetId": "raw", "tableId": "shop__orders"},
            "schema": {"fields": fields}, "etag": "first", "id": "acme-analytics:raw.shop__orders",
        }  # fmt: skip
        self.status, self.seen = 200, []

    def request(self, method: str, url: str, data: Any = None, headers: Any = None, **_: Any) -> Any:
        import requests

        self.seen.append((method, json.loads(data) if data else None, dict(headers or {})))
        answer = requests.Response()
        answer.request = requests.Request(method, url).prepare()
        answer.status_code = self.status if method == "PATCH" else 200
        error = {"error": {"code": self.status, "message": "refused", "errors": [{"reason": "x"}]}}
        answer._content = json.dumps(error if answer.status_code != 200 else self.document).encode()
        answer.headers["content-type"] = "application/json"
        return answer


def warehouse(held: Held, resource: Resource) -> Warehouse:
    client = bigquery.Client("acme-analytics", AnonymousCredentials(), _http=held)
    return Warehouse(client, resource.target)


def test_one_request_sends_the_schema_as_it_was_read_under_its_etag(people: Resource) -> None:
    held = Held([ID, BORN])
    made = warehouse(held, people)
    describe(people, made, made.table(people.table_id))

    (method, body, headers) = held.seen[-1]
    assert (method, body["schema"]["fields"]) == ("PATCH", [ID, TAGGED])
    assert headers["If-Match"] == "first"
    assert len(held.seen) == 2

    held.document["schema"] = body["schema"]
    describe(people, made, made.table(people.table_id))
    assert [method for method, _, _ in held.seen[2:]] == ["GET"]


def test_without_words_nothing_is_looked_at(write: Write) -> None:
    plain = resource_of(write, "table: public.people\nload: catalog")
    describe(plain, None, None)  # type: ignore[arg-type]  # neither is asked


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (403, AccessDeniedError, "bigquery.tables.setCategory"),
        (412, TransientError, "changed meanwhile"),
        (400, TerminalError, "refused"),
    ],
)
def test_a_refusal_stops_the_publish(
    people: Resource, status: int, error: type[Exception], message: str
) -> None:
    held = Held([ID, BORN])
    held.status = status
    made = warehouse(held, people)
    table = made.table(people.table_id)
    with pytest.raises(error, match=message):
        describe(people, made, table)


def test_a_tag_for_no_column_stops_the_publish(people: Resource) -> None:
    made = warehouse(Held([ID]), people)
    table = made.table(people.table_id)
    with pytest.raises(TerminalError, match="policy_tags names a column that would be 'born'"):
        describe(people, made, table)


def test_a_description_for_no_column_is_noted(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    people = resource_of(write, "table: public.people\nload: catalog\ncolumns: {description: {gone: Gone}}")
    made = warehouse(held := Held([ID]), people)
    with caplog.at_level(logging.WARNING):
        describe(people, made, made.table(people.table_id))
    assert "has no column 'gone'" in caplog.text
    assert [method for method, _, _ in held.seen] == ["GET"]
