"""The environment and the output of a command's own Airflow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from etl_factory.cli.private_airflow import DAG_FILE, environment, is_configured, quiet_airflow
from etl_factory.config.loading import SourceFile, load_source
from examples import REPOSITORY, SOURCE, TENANT, Write

BACKEND = "AIRFLOW__SECRETS__BACKEND"
OURS = "etl_factory.secret_manager.TenantSecretManagerBackend"


@pytest.fixture
def found(write: Write) -> SourceFile:
    root = write({"acme/tenant.yaml": TENANT + "airflow_role: analysts\n", "acme/shop_db.yaml": SOURCE})
    source = load_source(root, "acme__shop_db")
    assert isinstance(source, SourceFile)
    return source


def test_the_database_is_never_the_configured_one(found: SourceFile) -> None:
    before = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://live", "AIRFLOW_HOME": "/live"}
    made = environment(found, Path("/root"), Path("/home"), before)
    assert made["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "sqlite:////home/airflow.db"
    assert made["AIRFLOW__CORE__DAGS_FOLDER"] == "/home/dags"
    assert made["AIRFLOW__LOGGING__BASE_LOG_FOLDER"] == "/home/logs"
    assert "AIRFLOW_HOME" not in made


def test_only_this_sources_dag_is_parsed_and_its_role_is_no_obstacle(found: SourceFile) -> None:
    made = environment(found, Path("/root"), Path("/home"), {"ETL_FACTORY_ROLES": "other"})
    assert made["_AIRFLOW_PARSING_CONTEXT_DAG_ID"] == "acme__shop_db"
    assert made["ETL_FACTORY_CONFIG_ROOT"] == "/root"
    assert made["ETL_FACTORY_ROLES"] == "analysts,other"


@pytest.mark.parametrize(
    ("before", "backend"),
    [
        ({}, None),
        ({"ETL_FACTORY_SECRETS_PROJECT": "p"}, OURS),
        ({"ETL_FACTORY_SECRET_MANAGER_ENDPOINT": "127.0.0.1:1"}, OURS),
        ({"ETL_FACTORY_SECRETS_PROJECT": "p", BACKEND: "own.Backend"}, None),
    ],
)
def test_secret_manager_is_asked_where_it_is_configured(
    found: SourceFile, before: dict[str, str], backend: str | None
) -> None:
    assert environment(found, Path("/r"), Path("/h"), before).get(BACKEND) == backend


@pytest.mark.parametrize("name", ["AIRFLOW_HOME", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
def test_either_variable_names_an_airflow(name: str) -> None:
    assert is_configured({name: "x"})
    assert not is_configured({name: ""})


def test_the_dag_file_is_one_that_airflow_reads() -> None:
    text = DAG_FILE.lower()
    assert "airflow" in text
    assert "dag" in text


PRINTING = """
import os, subprocess, sys
from pathlib import Path
from etl_factory.cli.private_airflow import printing_to

try:
    with printing_to(Path(sys.argv[1])) as screen:
        print("from python")
        subprocess.run([sys.executable, "-c", "print('from a process')"], check=True)
        os.write(2, b"from below\\n")
        print("progress", file=screen)
        raise KeyError
except KeyError:
    print("afterwards")
"""


def test_whatever_is_printed_goes_to_the_log_until_the_end_or_an_error(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PRINTING, str(tmp_path / "log")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("afterwards\n", "progress\n")
    lines = (tmp_path / "log").read_text().splitlines()
    assert sorted(lines) == ["from a process", "from below", "from python"]


def test_no_trace_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_HOME")
    monkeypatch.delenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", raising=False)
    before = dict(os.environ)
    with quiet_airflow() as (home, _):
        assert os.environ["AIRFLOW_HOME"] == str(home)
        os.environ["AIRFLOW__CORE__EXECUTOR"] = "x"
    assert not home.exists()
    assert dict(os.environ) == before


def test_a_configured_home_stays_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", "/mine")
    with quiet_airflow():
        assert os.environ["AIRFLOW_HOME"] == "/mine"


def test_starting_the_command_imports_nothing_heavy() -> None:
    heavy = "{'airflow', 'pyarrow', 'google.auth', 'sqlalchemy', 'pandas', 'boto3', 'azure'}"
    code = f"import sys; import etl_factory.cli; print({heavy} & set(sys.modules))"
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY / "plugins")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
