"""`etl-factory run`, `check` and `discover` as processes, on the local servers and a config root of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
import pytest
from command_line import Command, only_json

from examples import Write

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

DATABASE, USER, CANARY = "etl_cli", "etl_cli_reader", "canary/p4ss#1"
TENANT = """\
tenant: initech
project: initech-data
location: EU
dataset: cli
landing: gs://initech-landing
airflow_role: nobody_made_this_role
defaults: {retries: 5, retry_delay: 10m}
"""
SOURCE = """\
source: office
type: postgres
connection: office
resources:
  staplers: {table: public.staplers, load: transactional, cursor: updated_at, primary_key: [id]}
  floors: {table: public.floors, load: catalog}
  labels: {table: public.labels, load: transactional, cursor: at, primary_key: [id], max_bad_rows: 1}
"""
MENDED = SOURCE.replace(
    "max_bad_rows: 1", "columns: {rename: {printed: printed_text}, types: {printed: STRING}}"
)
BROKEN = """\
source: attic
type: postgres
connection: attic
resources:
  attic: {table: public.attic, load: catalog}
"""


@pytest.fixture(scope="module")
def office(stack: Mapping[str, str]) -> Iterator[str]:
    """Make a database with some tables, an account that reads them, and the landing bucket; return its address."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery, storage

    warehouse = bigquery.Client(project="initech-data", credentials=AnonymousCredentials())
    for dataset in ("cli", "cli_etl"):  # left by an earlier test run, where the stack is kept
        warehouse.delete_dataset(dataset, delete_contents=True, not_found_ok=True)
    admin = stack["POSTGRES_URL"]
    drop = (f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)", f"DROP ROLE IF EXISTS {USER}")
    execute(admin, *drop, f"CREATE DATABASE {DATABASE}", f"CREATE ROLE {USER} LOGIN PASSWORD '{CANARY}'")
    inside = admin.rpartition("/")[0] + f"/{DATABASE}"
    execute(
        inside,
        "CREATE TABLE staplers (id int PRIMARY KEY, colour text, updated_at timestamptz)",
        "INSERT INTO staplers SELECT i, 'red', timestamptz '2026-01-01 00:00Z' + i * interval '1 day'"
        " FROM generate_series(0, 9) i",
        "CREATE TABLE floors (no int)",
        "CREATE TABLE labels (id int PRIMARY KEY, printed date, at timestamptz DEFAULT now())",
        "INSERT INTO labels VALUES (1, '2026-01-01'), (2, 'infinity')",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {USER}",
    )
    client = storage.Client(project="initech-data", credentials=AnonymousCredentials())
    if not client.lookup_bucket("initech-landing"):
        client.create_bucket("initech-landing")
    yield f"postgres://{USER}:{quote(CANARY, safe='')}@{inside.rpartition('@')[2]}"
    execute(admin, *drop)


def execute(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements, each committed; return the rows of the last."""
    with closing(psycopg2.connect(url.replace("+psycopg2", ""))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def root(write: Write) -> Path:
    return write({"initech/tenant.yaml": TENANT, "initech/office.yaml": SOURCE, "initech/attic.yaml": BROKEN})


@pytest.fixture
def bare(stack: Mapping[str, str], tmp_path: Path) -> dict[str, str]:
    """Return an environment with the servers, and with no Airflow but the one that the command makes."""
    (tmp_path / "tmp").mkdir()
    mine = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path / "tmp")}
    kept = {name: value for name, value in stack.items() if not name.startswith(("AIRFLOW", "ETL_FACTORY"))}
    secrets = {name: value for name, value in stack.items() if name.startswith("ETL_FACTORY_SECRET")}
    google = {"AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": stack["AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT"]}
    return {"PATH": os.environ["PATH"], **kept, **secrets, **google, **mine}


def rows(table: str) -> list[tuple[Any, ...]]:
    """Return a published table's rows, by its first column."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    client = bigquery.Client(project="initech-data", credentials=AnonymousCredentials())
    return sorted(tuple(row.values()) for row in client.query_and_wait(f"SELECT * FROM cli.{table}"))


def test_a_run_on_a_config_root_and_a_secret_never_seen_before(
    command: Command, office: str, root: Path, bare: dict[str, str], tmp_path: Path
) -> None:
    kept = command("secret", "set", "initech", "office", "-", env=bare, given=office)
    assert kept.returncode == 0, kept.stderr

    done = command("run", "initech", "office", "--config-root", root, "--full-refresh", "--json", env=bare)
    assert done.returncode == 0, done.stdout + done.stderr
    document = only_json(done.stdout)
    staplers, floors, labels = document["resources"]
    assert (document["ok"], staplers["outcome"], floors["outcome"]) == (True, "published", "published")
    assert (staplers["mode"], staplers["rows_extracted"], staplers["rows_staged"]) == ("full_refresh", 10, 10)
    assert staplers["published"]["inserted"] == 10
    assert (floors["rows_extracted"], floors["rows_quarantined"]) == (0, 0)
    assert (labels["rows_staged"], labels["rows_quarantined"]) == (1, 1)
    assert set(staplers["seconds"]) == {"extract", "sanitize", "load", "publish"}
    assert [row[0] for row in rows("office__staplers")] == list(range(10))
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not (tmp_path / "airflow").exists()

    window = ("--resource", "staplers", "--start", "2026-01-03", "--end", "2026-01-05")
    again = command("run", "initech", "office", "--config-root", root, *window, env=bare)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "office__staplers: published" in again.stdout
    assert "[2026-01-03T00:00:00+00:00, 2026-01-05T00:00:00+00:00) (backfill)" in again.stdout
    assert "2 unchanged" in again.stdout
    assert "floors" not in again.stdout
    progress = [line.partition(":")[0] for line in again.stderr.splitlines()]
    assert progress == ["staplers.extract", "staplers.sanitize", "staplers.load", "staplers.publish"]

    (root / "initech" / "office.yaml").write_text(MENDED)
    replay = command("replay", "initech", "office", "labels", "--config-root", root, env=bare)
    assert replay.returncode == 0, replay.stdout + replay.stderr
    assert "1 row: 1 loaded, 0 superseded, 0 stay" in replay.stdout
    assert [row[0] for row in rows("office__labels")] == [1, 2]


def test_an_airflow_in_service_lends_its_connections_and_is_left_alone(
    command: Command, office: str, root: Path, stack: Mapping[str, str], tmp_path: Path
) -> None:
    """The failing run tries once, though the config says five times after ten minutes each."""
    from airflow.models import Connection
    from cryptography.fernet import Fernet

    metadata = stack["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    stored = Connection(conn_id="initech__attic", uri=office)
    secret = Fernet(stack["AIRFLOW__CORE__FERNET_KEY"].encode()).encrypt(CANARY.encode()).decode()
    execute(
        metadata,
        "DELETE FROM connection WHERE conn_id = 'initech__attic'",
        "INSERT INTO connection (conn_id, conn_type, host, port, login, password, schema, is_encrypted,"
        f" is_extra_encrypted) VALUES ('initech__attic', 'postgres', '{stored.host}', {stored.port},"
        f" '{stored.login}', '{secret}', '{stored.schema}', true, false)",
    )
    log = tmp_path / "run.log"
    options = ("--config-root", root, "--log", log)
    done = command("run", "initech", "attic", *options, env={**os.environ, **stack})
    known = execute(metadata, "SELECT count(*) FROM dag WHERE dag_id LIKE 'initech%'")
    execute(metadata, "DELETE FROM connection WHERE conn_id = 'initech__attic'")

    assert done.returncode == 1
    assert "attic -> initech-data.cli.attic__attic: failed" in done.stdout
    assert "extract failed: NotFoundError: initech__attic: table 'public.attic' does not exist" in done.stdout
    assert f"Airflow's log: {log}" in done.stderr
    assert known == [(0,)]
    assert "Task failed with exception" in log.read_text()
    for text in (done.stdout, done.stderr, log.read_text()):
        assert CANARY not in text
        assert quote(CANARY, safe="") not in text


def test_check_and_discover_reach_the_source(
    command: Command, office: str, root: Path, bare: dict[str, str]
) -> None:
    env = {**bare, "AIRFLOW_CONN_INITECH__ATTIC": office}
    checked = command("check", "initech", "attic", "--config-root", root, env=env)
    assert checked.returncode == 1
    first, second = checked.stdout.splitlines()
    assert first.startswith("ok      system  initech__attic: PostgreSQL ")
    assert second.startswith("FAILED  attic   initech__attic: table 'public.attic' does not exist")
    assert checked.stderr == ""

    found = command("discover", "initech", "attic", "--config-root", root, "--json", env=env)
    assert found.returncode == 0
    assert only_json(found.stdout)["resources"]["staplers"] == {
        "table": "public.staplers", "load": "transactional", "cursor": "updated_at", "primary_key": ["id"],
    }  # fmt: skip


def test_a_missing_connection_says_how_to_store_it(
    command: Command, root: Path, bare: dict[str, str], stack: Mapping[str, str]
) -> None:
    done = command("discover", "initech", "attic", "--config-root", root, env=bare)
    assert (done.returncode, done.stdout) == (1, "")
    assert "connection initech__attic does not exist" in done.stderr
    assert "`etl-factory secret set initech attic -`" in done.stderr
    assert "Traceback" not in done.stderr
