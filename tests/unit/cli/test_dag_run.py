"""How tasks are watched while they execute, and what the report of their run says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from etl_factory.cli.dag_run import Recorder, explain, report
from etl_factory.config.loading import SourceFile, load_source
from etl_factory.errors import TransientError
from examples import SOURCE, TENANT, Write


class Task(BaseOperator):
    """Return a value, or raise an error."""

    def __init__(self, *, result: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.result = result

    def execute(self, context: Mapping[str, Any]) -> Any:
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


@pytest.fixture(autouse=True)
def in_a_task_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let operators execute outside of Airflow's task runner, and leave the process's signals alone."""
    monkeypatch.setattr("airflow.sdk.bases.operator.ExecutorSafeguard.test_mode", True)
    monkeypatch.setattr("signal.signal", lambda *_: None)


def execute(recorder: Recorder, task: BaseOperator) -> Any:
    """Execute a copy of a task, as Airflow does."""
    copied = task.prepare_for_execution()
    return copied.execute(context={"task": copied})


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def recorder(said: list[str]) -> Recorder:
    return Recorder(said.append)


def watched(recorder: Recorder, name: str, result: Any) -> Task:
    task = Task(
        task_id=name, result=result, retries=5, retry_delay=timedelta(hours=1), on_failure_callback=[print]
    )
    recorder.watch(task)
    return task


def test_a_task_tries_once_and_tells_nobody(recorder: Recorder) -> None:
    task = watched(recorder, "extract", 1)
    assert (task.retries, task.on_failure_callback) == (0, [])


def test_what_a_task_returns_is_kept(recorder: Recorder, said: list[str]) -> None:
    assert execute(recorder, watched(recorder, "extract", {"rows": 3})) == {"rows": 3}
    found = recorder.result(SimpleNamespace(task_id="extract", state="success"))
    assert (found.state, found.left, found.message) == ("success", {"rows": 3}, "")
    assert said[0].startswith("extract: done in 0.")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (AirflowFailException("NotFoundError: no table"), "NotFoundError: no table"),
        (AirflowSkipException("no new object"), "no new object"),
        (TransientError("busy"), "TransientError: busy"),
        (AirflowFailException(), "AirflowFailException: "),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_why_a_task_ended_is_kept(
    recorder: Recorder, said: list[str], error: BaseException, message: str
) -> None:
    with pytest.raises(type(error)):
        execute(recorder, watched(recorder, "load", error))
    assert recorder.result(SimpleNamespace(task_id="load", state="failed")).message == message
    assert said == [f"load: {message}"]


def test_secrets_that_airflow_knows_are_masked() -> None:
    from airflow.sdk.log import mask_secret

    mask_secret("canary-4711")
    assert "canary-4711" not in explain(AirflowFailException("login canary-4711 refused"))


def test_ctrl_c_stops_the_tasks_that_follow_too(recorder: Recorder) -> None:
    with pytest.raises(KeyboardInterrupt):
        execute(recorder, watched(recorder, "a", KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        execute(recorder, watched(recorder, "b", "never returned"))
    assert "b" not in recorder.left


def test_a_failure_outside_of_the_task_points_to_the_log(recorder: Recorder) -> None:
    execute(recorder, watched(recorder, "load", {}))
    found = recorder.result(SimpleNamespace(task_id="load", state="failed"))
    assert found.message == "Airflow failed the task outside of its own work: see the log"


def test_a_task_that_never_ran_has_no_seconds(recorder: Recorder) -> None:
    found = recorder.result(SimpleNamespace(task_id="load", state="upstream_failed"))
    assert (found.state, found.seconds, found.left) == ("upstream_failed", None, {})
    assert recorder.result(SimpleNamespace(task_id="load", state=None)).state is None


@pytest.fixture
def found(write: Write) -> SourceFile:
    two = SOURCE + "  lines:\n    table: public.lines\n    load: catalog\n"
    source = load_source(write({"acme/tenant.yaml": TENANT, "acme/shop_db.yaml": two}), "acme__shop_db")
    assert isinstance(source, SourceFile)
    return source


def dag_run(*resources: str, state: str = "success") -> Any:
    steps = ("extract", "sanitize", "load", "publish")
    instances = [SimpleNamespace(task_id=f"{r}.{s}", state=state) for r in resources for s in steps]
    return SimpleNamespace(run_id="manual__1", get_task_instances=lambda: instances)


def test_the_report_has_every_resource_in_the_order_of_the_file(
    recorder: Recorder, found: SourceFile
) -> None:
    made = report(found, [], dag_run("lines", "orders"), recorder, 1.239)
    assert [r.table for r in made.resources] == [
        "acme-analytics.raw.shop_db__orders",
        "acme-analytics.raw.shop_db__lines",
    ]
    assert (made.ok, made.dag_id, made.run_id, made.seconds) == (True, "acme__shop_db", "manual__1", 1.24)


def test_the_report_has_only_the_chosen_resources(recorder: Recorder, found: SourceFile) -> None:
    made = report(found, ["lines"], dag_run("lines"), recorder, 1.0)
    assert [r.resource for r in made.resources] == ["lines"]


def test_one_failed_task_fails_the_run(recorder: Recorder, found: SourceFile) -> None:
    assert not report(found, ["lines"], dag_run("lines", state="failed"), recorder, 1.0).ok
