"""What one DAG run asks of one resource, read from Airflow's task context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from etl_factory.config.resource import Resource
from etl_factory.errors import TerminalError
from etl_factory.identity import attempt, load_id
from etl_factory.landing.manifest import Mode


@dataclass(frozen=True)
class RunRequest:
    """One try of one resource in one DAG run.

    `start` and `end` are set, as text, for a backfill only; `run_after` is aware.
    """

    load_id: str
    attempt: str
    run_id: str
    run_after: datetime
    mode: Mode
    start: str | None = None
    end: str | None = None

    def instants(self) -> tuple[datetime, datetime]:
        """Return a backfill's bounds as moments, for what has no cursor; without a zone they are UTC.

        Raises TerminalError when they are none.
        """
        try:
            start, end = (datetime.fromisoformat(text or "") for text in (self.start, self.end))
        except ValueError as error:
            raise TerminalError(
                f"this run's start {self.start!r} and end {self.end!r} must be dates or times: files are chosen by"
                " when they were modified"
            ) from error
        return _aware(start), _aware(end)


def read_request(context: Mapping[str, Any], resource: Resource, step: str = "extract") -> RunRequest:
    """Build the request; raises TerminalError when the run's parameters contradict each other."""
    run, task = context["dag_run"], context["ti"]
    asked = {**dict(context.get("params") or {}), **(run.conf or {})}
    start, end = _text(asked.get("start")), _text(asked.get("end"))
    run_type = str(getattr(run.run_type, "value", run.run_type))
    return RunRequest(
        load_id=load_id(resource.dag_id, resource.name, run.run_id),
        attempt=attempt(step, task.try_number),
        run_id=run.run_id,
        run_after=run.run_after,
        mode=_mode(run_type, start, end, full_refresh=_is_true(asked.get("full_refresh"))),
        start=start,
        end=end,
    )


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_true(value: Any) -> bool:
    """Read a yes or no that may have come as text; raises TerminalError for anything else."""
    text = str(value or "false").strip().lower()
    if text not in ("true", "false"):
        raise TerminalError(f"full_refresh of this run is {value!r}: give true or false")
    return text == "true"


def _mode(run_type: str, start: str | None, end: str | None, *, full_refresh: bool) -> Mode:
    if full_refresh and (start or end):
        raise TerminalError("this run asks for full_refresh and for start or end: give one or the other")
    if bool(start) != bool(end):
        raise TerminalError("this run gives only one of start and end: a backfill needs both")
    if "backfill" in run_type and not (start or full_refresh):
        raise TerminalError("an Airflow backfill of this DAG needs start and end in its configuration")
    if full_refresh:
        return "full_refresh"
    return "backfill" if start else "live"
