"""Runs chains of one resource's steps in processes of their own, whose publishes can be made to meet."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from etl_factory.config.resource import Resource
from etl_factory.factory import operator_class
from etl_factory.warehouse.client import Warehouse

STEPS = ("extract", "sanitize", "load", "publish")
PRELOAD = (
    "concurrency_child", "google.cloud.bigquery", "google.cloud.storage", "adbc_driver_postgresql.dbapi",
    "airflow.providers.google.cloud.hooks.bigquery", "etl_factory.transfers.postgres_to_gcs",
    "etl_factory.operators.sanitize", "etl_factory.operators.load", "etl_factory.operators.publish",
    "etl_factory.operators.publishing", "etl_factory.operators.sanitizing",
)  # fmt: skip
TRIES, SECONDS = 10, 60


@dataclass(frozen=True)
class Gate:
    """A place where `parties` publishes wait for each other, at the moment before each submits its transaction."""

    folder: Path
    parties: int

    def meet(self, name: str) -> None:
        """Wait until all are here; one that comes again finds all here."""
        (self.folder / name).touch()
        deadline = time.monotonic() + SECONDS
        while len(list(self.folder.iterdir())) < self.parties:
            assert time.monotonic() < deadline, f"{name} waited {SECONDS} s for the others"
            time.sleep(0.002)


@dataclass(frozen=True)
class Chain:
    """Some steps of one resource in one DAG run, after what earlier steps left."""

    resource: Resource
    run_id: str
    steps: Sequence[str] = STEPS
    run_after: datetime = field(default_factory=lambda: datetime.now(UTC))
    left: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    gate: Gate | None = None


@dataclass(frozen=True)
class Done:
    """What a chain left, and with which words each try ended that Airflow would have repeated."""

    left: Mapping[str, Mapping[str, Any]]
    refusals: Sequence[str] = ()

    @property
    def report(self) -> Mapping[str, Any]:
        """What publish returned."""
        return self.left["publish"]


ENTERED: ContextVar[tuple[Gate, str] | None] = ContextVar("ENTERED", default=None)
start_query = Warehouse.start_query


def start_together(self: Warehouse, sql: str, parameters: Mapping[str, Any], job_id: str) -> Any:
    """Submit a query job, but a publish only once the others are about to do so as well."""
    if (entered := ENTERED.get()) and "_publish_" in job_id:
        gate, name = entered
        gate.meet(name)
    return start_query(self, sql, parameters, job_id)


def run(asked: Chain) -> Done:
    """Execute a chain as Airflow would: a step is tried again unless its failure is final."""
    left, refusals = dict(asked.left), list[str]()
    ENTERED.set(asked.gate and (asked.gate, f"{asked.resource.dag_id}.{asked.resource.name}.{asked.run_id}"))
    for step in asked.steps:
        operator = operator_class(step, asked.resource.source_type)(task_id=step, resource=asked.resource)
        try:
            left[step] = _tried(operator, asked, left, refusals)
        except AirflowSkipException as reason:
            refusals.append(str(reason))
            break
    return Done(left, refusals)


def _tried(operator: Any, asked: Chain, left: Mapping[str, Any], refusals: list[str]) -> Any:
    for number in range(1, TRIES + 1):
        try:
            return operator.execute(_context(asked, left, number))
        except (AirflowFailException, AirflowSkipException):
            raise
        except Exception as error:  # noqa: BLE001 - whatever else a task raises, Airflow tries it again
            refusals.append(f"{type(error).__name__}: {error}")
            time.sleep(0.1 * number)
    raise AssertionError(f"{operator.task_id} of {asked.run_id} failed {TRIES} times: {refusals}")


def _context(asked: Chain, left: Mapping[str, Any], number: int) -> dict[str, Any]:
    task = SimpleNamespace(
        try_number=number, xcom_pull=lambda task_ids: left.get(task_ids.rpartition(".")[2])
    )
    run = SimpleNamespace(run_id=asked.run_id, run_after=asked.run_after, run_type="manual", conf={})
    return {"ti": task, "dag_run": run, "params": {}}


def run_threads(chains: Sequence[Chain]) -> list[Done]:
    """Execute chains at once, in threads of this process."""
    with ThreadPoolExecutor(len(chains)) as pool:
        return list(pool.map(run, chains))


class Processes:
    """Some processes, among which chains are dealt out."""

    def __init__(self, pool: ProcessPoolExecutor, number: int) -> None:
        self.pool, self.number = pool, number

    def at_once(self, chains: Sequence[Chain]) -> list[Done]:
        """Run all chains at the same time, each process its share in threads; return what each did, in order."""
        hands = [chains[number :: self.number] for number in range(self.number)]
        dealt = list(self.pool.map(run_threads, [hand for hand in hands if hand]))
        return [dealt[index % len(dealt)][index // len(dealt)] for index in range(len(chains))]


@contextmanager
def processes(number: int, env: Mapping[str, str]) -> Iterator[Processes]:
    """Keep `number` processes that have everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOAD))
    with ProcessPoolExecutor(number, context, _prepare, (dict(env),)) as pool:
        yield Processes(pool, number)


def _prepare(env: Mapping[str, str]) -> None:
    os.environ.update(env)
    Warehouse.start_query = start_together  # type: ignore[method-assign]  # the gate stands right before it


def refused(done: Iterable[Done]) -> list[str]:
    """Return all words of refusal."""
    return list(chain.from_iterable(one.refusals for one in done))
