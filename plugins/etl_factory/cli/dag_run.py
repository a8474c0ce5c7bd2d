"""One DAG run in this process, each task tried once, and what it did as a report."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from etl_factory.config.loading import SourceFile
from etl_factory.config.resource import resources
from etl_factory.errors import ConfigError
from etl_factory.report import STEPS, RunReport, TaskResult, resource_report

Say = Callable[[str], None]


class Recorder:
    """Watches tasks as they execute: what each returned, or the error or reason to skip that ended it."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.left: dict[str, Mapping[str, Any]] = {}
        self.messages: dict[str, str] = {}
        self.seconds: dict[str, float] = {}
        self.interrupted = False

    def watch(self, task: Any) -> None:
        """Let a task try once, tell nobody but this recorder when it fails, and record how it ends."""
        task.retries = 0
        task.on_failure_callback = []
        # Airflow executes a copy of the task, which shares this attribute.
        task.__dict__["execute"] = lambda context: self._execute(type(task).execute, context)

    def _execute(self, execute: Callable[..., Any], context: Mapping[str, Any]) -> Any:
        name, begin = context["task"].task_id, time.monotonic()
        try:
            self._demand_calm()
            left = execute(context["task"], context=context)
        except BaseException as error:
            self.interrupted = isinstance(error, KeyboardInterrupt)
            self._ended(name, begin, explain(error))
            raise
        self.left[name] = left or {}
        self._ended(name, begin)
        return left

    def _demand_calm(self) -> None:
        """Stop all that follows after Ctrl-C or SIGTERM, which Airflow takes for one task's failure."""
        if self.interrupted:
            raise KeyboardInterrupt
        signal.signal(signal.SIGTERM, signal.default_int_handler)

    def _ended(self, name: str, begin: float, message: str = "") -> None:
        self.seconds[name] = seconds = time.monotonic() - begin
        if message:
            self.messages[name] = message
        self.say(f"{name}: {message or f'done in {seconds:.1f} s'}")

    def result(self, instance: Any) -> TaskResult:
        """Put together what Airflow and this recorder know of a task instance."""
        name, state = instance.task_id, instance.state and str(instance.state)
        unknown = "Airflow failed the task outside of its own work: see the log" if state == "failed" else ""
        message = self.messages.get(name, unknown)
        return TaskResult(state, self.seconds.get(name), self.left.get(name, {}), message)


def explain(error: BaseException) -> str:
    """Say what ended a task, without secrets; Airflow's own wrapping is left out."""
    from airflow.providers.common.compat.sdk import AirflowException, redact

    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    is_plain = isinstance(error, AirflowException) and str(error)
    return str(redact(str(error) if is_plain else f"{type(error).__name__}: {error}"))


def run_dag(found: SourceFile, chosen: Collection[str], asked: Mapping[str, Any], say: Say) -> RunReport:
    """Run a source's DAG, or only its `chosen` resources, with the run parameters `asked`.

    Raises ConfigError when the source makes no DAG on this machine.
    """
    from etl_factory.loader import tenant_dags

    dag: Any = tenant_dags()[found.dag_id]
    if broken := dag.task_dict.get("config_error"):
        raise ConfigError(broken.message)
    if chosen:
        wanted = [f"{resource}.{step}" for resource in chosen for step in STEPS]
        dag = dag.partial_subset(wanted, include_upstream=False)
    recorder = Recorder(say)
    for task in dag.tasks:
        recorder.watch(task)
    begin = time.monotonic()
    run = dag.test(run_conf=dict(asked))
    return report(found, chosen, run, recorder, time.monotonic() - begin)


def report(
    found: SourceFile, chosen: Collection[str], run: Any, recorder: Recorder, seconds: float
) -> RunReport:
    """Report a DAG run that has ended."""
    tasks = {instance.task_id: recorder.result(instance) for instance in run.get_task_instances()}
    done = tuple(
        resource_report(r.name, r.table_id, {step: tasks[f"{r.name}.{step}"] for step in STEPS})
        for r in resources(found.tenant, found.spec)
        if not chosen or r.name in chosen
    )
    return RunReport(
        tenant=found.tenant.tenant,
        source=found.spec.source,
        dag_id=found.dag_id,
        run_id=run.run_id,
        ok=all(resource.outcome != "failed" for resource in done),
        seconds=round(seconds, 2),
        resources=done,
    )
