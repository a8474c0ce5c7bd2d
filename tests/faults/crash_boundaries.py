"""The step boundaries at which a process can be struck, made by wrapping the product's seams from outside.

A strike is a file: `install` wraps the seams of this process, and a wrapped call looks whether the file that `find`
returns for the running task names the boundary that is reached, and if so leaves a mark and strikes.
"""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Literal

Action = Literal["kill", "stop", "orphan"]
"""Die; halt until continued; kill the supervisor, and halt until continued."""
ROWS_PER_PART = 25


@dataclass(frozen=True)
class Moment:
    """Where in a run a process is struck: before or after the nth time that `step` comes to `kind`.

    Kind `time` is no boundary: `seconds` after the first one that the step comes to.
    """

    step: str
    kind: str
    side: Literal["before", "after"]
    nth: int = 1
    seconds: float = 0.0

    def __str__(self) -> str:
        if self.kind == "time":
            return f"{self.step} {self.seconds:.2f} s on"
        return f"{self.side} {self.step} {self.kind}" + (f" {self.nth}" if self.nth > 1 else "")


@dataclass(frozen=True)
class Strike:
    """One blow at one try of a task; `mark` is written just before, with the process id."""

    moment: Moment
    action: Action
    mark: str

    def dumps(self) -> str:
        """Encode as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> Strike:
        """Decode what `dumps` gave."""
        document = json.loads(text)
        return cls(Moment(**document["moment"]), document["action"], document["mark"])


class Boundaries:
    """Counts the boundaries that this process reaches, and strikes at the one that is asked for."""

    def __init__(self, find: Callable[[], Strike | None]) -> None:
        self.find, self.counts, self.lock = find, Counter[tuple[str, str]](), threading.Lock()
        self.timer: threading.Timer | None = None

    def reach(self, kind: str, side: str) -> None:
        """Count, and strike if this is the moment."""
        with self.lock:
            strike = self.find()
            if strike is None:
                return
            self.counts[kind, side] += 1
            moment = strike.moment
            if moment.kind == "time":
                self._set_timer(strike)
            elif (kind, side, self.counts[kind, side]) == (moment.kind, moment.side, moment.nth):
                blow(strike)

    def waits_for(self, kind: str) -> bool:
        """Tell whether the moment is after a job is done, so that its end has to be awaited."""
        strike = self.find()
        return strike is not None and strike.moment.kind == kind

    def _set_timer(self, strike: Strike) -> None:
        if self.timer is None:
            self.timer = threading.Timer(strike.moment.seconds, blow, [strike])
            self.timer.daemon = True
            self.timer.start()


def blow(strike: Strike) -> None:
    """Leave the mark, then do what the strike says to this process and its supervisor."""
    mark = Path(strike.mark)
    mark.with_suffix(".tmp").write_text(str(os.getpid()))
    mark.with_suffix(".tmp").rename(mark)
    if strike.action == "orphan":
        _kill_supervisor(os.getppid())
    os.kill(os.getpid(), signal.SIGKILL if strike.action == "kill" else signal.SIGSTOP)
    time.sleep(0.01)  # a signal to oneself may come a moment late


def _kill_supervisor(pid: int) -> None:
    """Kill the parent, and wait until it is gone: it would take a child along that has halted before."""
    os.kill(pid, signal.SIGKILL)
    while os.getppid() == pid:
        time.sleep(0.01)


def install(find: Callable[[], Strike | None]) -> None:
    """Wrap every seam of this process, once; `find` says what strikes the running task, if anything."""
    at = Boundaries(find)
    for wrap in (_wrap_landing, _wrap_copies, _wrap_warehouse, _wrap_load, _wrap_ledger):
        wrap(at)


def strike_of_this_task() -> Strike | None:
    """Return what is to strike the Airflow task that runs in this process, from the folder that Airflow was given."""
    dag_id, task_id = (os.environ.get(f"AIRFLOW_CTX_{name}_ID", "") for name in ("DAG", "TASK"))
    file = Path(os.environ["FAULTS_STRIKES"]) / f"{dag_id}.json"
    if not dag_id or not file.exists():
        return None
    strike = Strike.loads(file.read_text())
    is_meant = strike.moment.step == task_id.rpartition(".")[2] and not Path(strike.mark).exists()
    return strike if is_meant else None


def make_small_parts(applies: Callable[[], bool]) -> None:
    """Make many parts of few rows, where a small table would make one."""
    from etl_factory.landing import parts

    write = parts.PartWriter.write

    def sliced(self: Any, batch: Any) -> None:
        if not applies():
            write(self, batch)
            return
        parts.PART_BYTES = parts.GROUP_ROWS = 1
        for start in range(0, batch.num_rows, ROWS_PER_PART):
            write(self, batch.slice(start, ROWS_PER_PART))

    parts.PartWriter.write = sliced


def _around(owner: type, name: str, at: Boundaries, kind: Callable[..., str | None]) -> None:
    """Make the calls of one method a boundary, of the kind that its arguments say."""
    original = getattr(owner, name)

    @wraps(original)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = kind(*args)
        if found is None:
            return original(self, *args, **kwargs)
        at.reach(found, "before")
        result = original(self, *args, **kwargs)
        at.reach(found, "after")
        return result

    setattr(owner, name, wrapped)


def _wrap_landing(at: Boundaries) -> None:
    from etl_factory.landing.objects import Landing

    _around(Landing, "write_text", at, lambda uri, text: "plan" if "/plan-" in uri else "manifest")
    _around(Landing, "delete", at, lambda *_: "cleanup")
    _around(Landing, "put", at, lambda *_: "object")
    create = Landing.create

    @contextmanager
    def created(self: Any, uri: str, *args: Any) -> Iterator[Any]:
        with create(self, uri, *args) as stream:
            yield stream
            at.reach("object", "before")  # all its bytes are sent, and it does not exist yet
        at.reach("object", "after")

    Landing.create = created


def _wrap_copies(at: Boundaries) -> None:
    """Objects that Cloud Storage copies by itself."""
    from google.cloud.storage import Blob

    _around(Blob, "rewrite", at, lambda *_: "object")


def _statement(sql: str, *_: Any) -> str | None:
    """Tell DDL by its object; other statements change nothing."""
    verb = re.match(r"\s*(CREATE|ALTER|DROP)\b", sql, re.I)
    if verb is None:
        return None
    if verb[1].upper() == "DROP":
        return "cleanup"
    return "ledger table" if "_loads__" in sql else "ddl"


def _wrap_warehouse(at: Boundaries) -> None:
    from google.cloud.bigquery import Client

    from etl_factory.warehouse.client import Warehouse

    _around(Warehouse, "create_staging", at, lambda *_: "staging")
    _around(Warehouse, "query", at, _statement)
    _around(Client, "delete_table", at, lambda *_: "cleanup")
    _job(Warehouse, "start_query", at)


def _wrap_load(at: Boundaries) -> None:
    from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook

    _job(BigQueryHook, "insert_job", at)


def _job(owner: type, name: str, at: Boundaries) -> None:
    """Make a job's submission a boundary, and its end (done, the answer unread) another."""
    submit = getattr(owner, name)

    @wraps(submit)
    def submitted(self: Any, *args: Any, **kwargs: Any) -> Any:
        at.reach("submit", "before")
        job = submit(self, *args, **kwargs)
        at.reach("submit", "after")
        if at.waits_for("done"):
            while not job.done(retry=None):
                time.sleep(0.05)
            at.reach("done", "after")
        return job

    setattr(owner, name, submitted)


def _wrap_ledger(at: Boundaries) -> None:
    from etl_factory.warehouse.ledger import Ledger

    _around(Ledger, "load", at, lambda *_: "ledger")
