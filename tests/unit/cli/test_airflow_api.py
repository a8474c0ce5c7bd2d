"""The client of Airflow's REST API: its errors say what to do, and nobody else ever sees the token."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from fake_airflow import DAG, FakeAirflow, FakeRun, made, served

from etl_factory.cli.airflow_api import Airflow
from etl_factory.cli.airflow_login import airflow_of
from etl_factory.errors import AccessDeniedError, ConfigError, RefusedError, TerminalError, TransientError
from etl_factory.settings import Settings


@pytest.fixture
def fake() -> Iterator[FakeAirflow]:
    with served() as made_one:
        yield made_one


def client(fake: FakeAirflow, **environment: str) -> Airflow:
    login = environment or {"USERNAME": "admin", "PASSWORD": "s3cret"}
    settings = {
        f"ETL_FACTORY_AIRFLOW_{name}": value for name, value in {"URL": f"{fake.url}/", **login}.items()
    }
    return airflow_of(Settings.from_environment(settings))


def test_a_password_buys_a_token_once(fake: FakeAirflow) -> None:
    airflow = client(fake)

    assert (airflow.has_dag(DAG), airflow.has_dag(DAG)) == (True, True)
    assert [path for _, path, _ in fake.calls].count("/auth/token") == 1


def test_a_token_is_used_as_it_is(fake: FakeAirflow) -> None:
    assert client(fake, TOKEN="first", USERNAME="nobody").has_dag(DAG)
    with pytest.raises(AccessDeniedError, match="or ETL_FACTORY_AIRFLOW_TOKEN"):
        client(fake, TOKEN="c4nary").has_dag(DAG)


def test_without_a_login_google_is_asked(fake: FakeAirflow, monkeypatch: pytest.MonkeyPatch) -> None:
    import google.auth

    fresh = SimpleNamespace(token="")
    fresh.refresh = lambda request: setattr(fresh, "token", "first")
    asked: list[str] = []
    monkeypatch.setattr(google.auth, "default", lambda scopes: (fresh, asked.extend(scopes)))

    assert client(fake, TOKEN="").has_dag(DAG)
    assert asked == ["https://www.googleapis.com/auth/cloud-platform"]


def test_without_any_login_all_of_them_are_named(fake: FakeAirflow, monkeypatch: pytest.MonkeyPatch) -> None:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    def none(scopes: list[str]) -> None:
        raise DefaultCredentialsError("nothing here")

    monkeypatch.setattr(google.auth, "default", none)

    with pytest.raises(AccessDeniedError, match=r"gcloud auth application-default login.*nothing here"):
        client(fake, TOKEN="").has_dag(DAG)


@pytest.mark.parametrize("url", ["", "airflow.example.com", "file:///etc/passwd"])
def test_an_address_must_be_one(url: str) -> None:
    with pytest.raises(ConfigError, match="set it to the address of Airflow's web server"):
        airflow_of(Settings.from_environment({"ETL_FACTORY_AIRFLOW_URL": url}))


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_transient(fake: FakeAirflow, code: int) -> None:
    airflow = client(fake, TOKEN="first")
    fake.troubles.append((code, {"detail": "busy"}))

    with pytest.raises(TransientError, match=f"for the moment: {code}.*busy"):
        airflow.dag(DAG)


def test_no_answer_is_transient() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(
        TransientError, match=f"does not answer GET http://127.0.0.1:{port}/api/v2/dags/{DAG}"
    ):
        Airflow(f"http://127.0.0.1:{port}", lambda: "token").dag(DAG)


def test_a_missing_role_is_named(fake: FakeAirflow) -> None:
    airflow = client(fake, TOKEN="first")
    airflow.dag(DAG)
    fake.troubles += [(403, {}), (403, {})]

    with pytest.raises(AccessDeniedError, match="needs a role that may read, trigger and clear this DAG"):
        airflow.dag(DAG)


def test_a_refusal_carries_its_code_and_reason(fake: FakeAirflow) -> None:
    fake.troubles.append((400, {"detail": "'ordrs' is not one of ['orders']"}))

    with pytest.raises(RefusedError, match=r"400 .*'ordrs' is not one of") as raised:
        client(fake, TOKEN="first").trigger(DAG, {"resources": ["ordrs"]}, "mine")
    assert raised.value.code == 400


def test_the_token_follows_no_redirect(fake: FakeAirflow) -> None:
    fake.troubles.append((302, {}))

    with pytest.raises(RefusedError, match=r"302 https://elsewhere\.example/login"):
        client(fake, TOKEN="first").dag(DAG)


def test_what_is_no_airflow_is_told(fake: FakeAirflow) -> None:
    fake.troubles.append((200, b"<html>"))

    with pytest.raises(TerminalError, match="is not Airflow's API, since it answers with no JSON"):
        client(fake, TOKEN="first").dag(DAG)


def test_a_run_that_exists_is_left_as_it_is(fake: FakeAirflow) -> None:
    fake.runs["mine"] = FakeRun({"start": "1"}, ["running"])

    assert client(fake).trigger(DAG, {"start": "1"}, "mine") == "mine"
    assert fake.runs["mine"].states == ["running"]


def test_all_tasks_of_a_long_run_are_listed(fake: FakeAirflow) -> None:
    run = made({}, "success")
    run.tasks = [{"task_id": f"r{number}.extract"} for number in range(250)]
    fake.runs["a+b:c"] = run

    assert len(client(fake).tasks(DAG, "a+b:c")) == 250


def test_a_log_is_cut_to_its_errors(fake: FakeAirflow) -> None:
    fake.runs["mine"] = made({}, "failed")

    assert client(fake).log(DAG, "mine", "lines.extract", 1) == "Task failed\n  E: no disk"
