"""A file with rows in quarantine is read again at its version, and replaces its own rows, exactly once."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from duck import Client
from model_replays import Shelf, counted

from etl_factory.errors import EtlFactoryError, NothingToLoad, TerminalError
from etl_factory.operators import google
from etl_factory.sources.formats import format_of
from etl_factory.sources.formats.parsed import parsed
from etl_factory.sources.specs import CsvFormat

SECRET = "5ecret-canary"
CSV = ("load: transactional", "format: csv", "max_bad_rows: 60%", "columns: {types: {v: INT64}}")
MENDED = (*CSV[:1], 'format: {type: csv, null_values: ["", "n/a"]}', *CSV[2:])
LINES = ("load: transactional", "format: jsonl", "max_bad_rows: 60%", "primary_key: [id]")


@pytest.fixture
def shelf(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    made = Shelf(client, tmp_path)
    monkeypatch.setattr(google, "landing", lambda resource: made.landing)
    monkeypatch.setattr(google, "warehouse", lambda resource: made.warehouse)
    return made


def test_a_mended_format_brings_the_rows_of_a_csv_file(shelf: Shelf) -> None:
    shelf.bucket.put("a.csv", "id,v\n1,10\n2,n/a\n3,30\n4,many\n")
    shelf.bucket.put("b.csv", "id,v\n5,50\n5,50\n")
    shelf.files(*CSV)
    assert shelf.run() == {"inserted": 4, "quarantined": 2}

    shelf.files(*MENDED)
    assert shelf.replay() == {"loaded": 1, "stay": 1}
    assert shelf.rows() == [(1, 10), (2, None), (3, 30), (5, 50), (5, 50)]
    assert shelf.aside("record, value") == [(4, "many")]
    assert shelf.replay() == {"stay": 1}
    assert shelf.rows() == [(1, 10), (2, None), (3, 30), (5, 50), (5, 50)]
    with pytest.raises(NothingToLoad, match="no new or changed object"):
        shelf.run()


def test_a_newer_version_wins_whenever_it_comes(shelf: Shelf) -> None:
    shelf.bucket.put("a.csv", "id,v\n1,n/a\n2,20\n")
    shelf.bucket.put("b.csv", "id,v\n3,n/a\n4,40\n")
    shelf.files(*CSV)
    shelf.run()
    shelf.files(*MENDED)
    steps = shelf.steps(replay=True).extract().stage()
    shelf.bucket.put("a.csv", "id,v\n1,11\n2,22\n")
    shelf.run()

    assert counted(steps.publish())["loaded"] == 2
    assert shelf.rows() == [(1, 11), (2, 22), (3, None), (4, 40)]
    assert shelf.aside() == []


def test_an_object_that_is_gone_leaves_its_rows_in_quarantine(shelf: Shelf) -> None:
    shelf.bucket.put("a.csv", "id,v\n1,n/a\n2,20\n")
    shelf.files(*CSV)
    shelf.run()
    shelf.bucket.held.clear()
    shelf.files(*MENDED)

    with pytest.raises(TerminalError, match="\\(1: the object, at the version that was read, is gone"):
        shelf.replay()
    assert (shelf.rows(), shelf.aside()) == ([(2, 20)], [("n/a",)])


def test_a_worse_configuration_does_not_empty_the_table(shelf: Shelf) -> None:
    shelf.bucket.put("a.csv", "id,v\n1,n/a\n2,20\n3,30\n")
    shelf.files(*CSV)
    shelf.run()
    shelf.files(*CSV[:1], "format: {type: csv, delimiter: ';', column_names: [id]}", *CSV[2:3])

    with pytest.raises(EtlFactoryError):
        shelf.replay()
    assert (shelf.rows(), shelf.aside()) == ([(2, 20), (3, 30)], [("n/a",)])


def test_records_with_a_key(shelf: Shelf) -> None:
    shelf.bucket.put("a.jsonl", '{"id": 1, "v": 5}\n{"id": 2, "v": 6}\n')
    shelf.files(*LINES)
    shelf.run()
    shelf.bucket.put("b.jsonl", '{"id": 1, "v": "x"}\n{"id": 3, "v": 7}\n{"id": 4}\n')
    assert shelf.run() == {"inserted": 2, "quarantined": 1}
    assert shelf.aside("`key`, line") == [('{"id": "1"}', None)] or len(shelf.aside()) == 1
    shelf.files(*LINES, "on_unrepresentable: null")

    assert shelf.replay() == {"loaded": 1}
    assert shelf.rows() == [(1, None), (2, 6), (3, 7), (4, None)]


def test_what_is_masked_stays_masked_when_it_is_read_again(shelf: Shelf) -> None:
    masked = "columns: {types: {v: INT64}, exclude: [note], mask: {mail: redact}}"
    shelf.bucket.put("a.csv", f"id,v,mail,note\n1,10,{SECRET},{SECRET}\n2,n/a,{SECRET},{SECRET}\n")
    shelf.files(*CSV[:3], masked)
    assert shelf.run() == {"inserted": 1, "quarantined": 1}
    shelf.landing.objects.clear()
    shelf.files(*MENDED[:3], masked)

    assert shelf.replay() == {"loaded": 1}
    assert shelf.rows("id, v, mail") == [(1, 10, "REDACTED"), (2, None, "REDACTED")]
    copies = [parsed_rows(data) for uri, data in shelf.landing.objects.items() if "/parsed/" in uri]
    assert [[row["mail"] for row in rows] for rows in copies] == [["REDACTED", "REDACTED"]]
    assert not any("/raw/" in uri or SECRET.encode() in data for uri, data in shelf.landing.objects.items())


def parsed_rows(data: bytes) -> list[dict[str, Any]]:
    """Return the rows of what a copy with columns to hide has written; its bytes are compressed."""
    found = parsed(format_of(CsvFormat(type="csv"))).read(io.BytesIO(data))
    rows = [row for batch in found for row in batch.rows.to_pylist()]
    assert SECRET not in str(rows)
    return rows
