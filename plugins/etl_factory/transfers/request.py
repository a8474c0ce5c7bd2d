"""What one DAG run asks of one resource, read from Airflow's task context."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from etl_factory.config.problems import nearest, one_of
from etl_factory.config.resource import Resource
from etl_factory.errors import TerminalError
from etl_factory.identity import attempt, load_id
from etl_factory.landing.manifest import Mode
from etl_factory.transfers.ticks import tick_before

KEYS = ("start", "end", "full_refresh", "resources", "row_limit", "replay")


@dataclass(frozen=True)
class RunRequest:
    """One try of one resource in one DAG run.

    `start` and `end` are set, as text, for a backfill only; without an offset they mean the clock of
    `timezone`, the tenant's. `run_after` is aware. `row_limit`: read no more rows, and publish none.
    `is_wanted`: False when the run names other resources only.
    """

    load_id: str
    attempt: str
    run_id: str
    run_after: datetime
    mode: Mode
    start: str | None = None
    end: str | None = None
    timezone: str = "UTC"
    row_limit: int | None = None
    is_wanted: bool = True

    def instants(self) -> tuple[datetime, datetime]:
        """Return a backfill's bounds as moments, for what has no cursor.

        Raises TerminalError when they are none.
        """
        try:
            start, end = (datetime.fromisoformat(text or "") for text in (self.start, self.end))
        except ValueError as error:
            raise TerminalError(
                f"this run's start {self.start!r} and end {self.end!r} must be dates or times: files are chosen by"
                " when they were modified"
            ) from error
        return self._aware(start), self._aware(end)

    def _aware(self, moment: datetime) -> datetime:
        return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(self.timezone))


def read_request(context: Mapping[str, Any], resource: Resource, step: str = "extract") -> RunRequest:
    """Build the request; raises TerminalError when the run's parameters are unknown or contradict each other."""
    run, task = context["dag_run"], context["ti"]
    conf = run.conf or {}
    _demand_known(conf)
    asked = {**dict(context.get("params") or {}), **conf}
    full_refresh, replay = (_is_true(asked.get(key), key) for key in ("full_refresh", "replay"))
    start, end = _text(asked.get("start")), _text(asked.get("end"))
    _demand_agreement(start, end, full_refresh=full_refresh, replay=replay)
    if "backfill" in str(getattr(run.run_type, "value", run.run_type)) and not start:
        start, end = _between_ticks(context, resource, full_refresh=full_refresh)
    return RunRequest(
        load_id=load_id(resource.dag_id, resource.name, run.run_id),
        attempt=attempt(step, task.try_number),
        run_id=run.run_id,
        run_after=run.run_after,
        mode="full_refresh" if full_refresh else "replay" if replay else "backfill" if start else "live",
        start=start,
        end=end,
        timezone=resource.timezone,
        row_limit=_row_limit(asked.get("row_limit")),
        is_wanted=_is_wanted(asked.get("resources"), resource.name, context),
    )


def _demand_known(conf: Mapping[str, Any]) -> None:
    for key in conf:
        if key not in KEYS:
            raise TerminalError(
                f"nothing reads the key {key!r} of this run's configuration, whose keys are {', '.join(KEYS)}. Nothing"
                f" was loaded; trigger another run{nearest(key, KEYS)}"
            )


def _demand_agreement(start: str | None, end: str | None, *, full_refresh: bool, replay: bool) -> None:
    if replay and (full_refresh or start or end):
        raise TerminalError(
            "this run asks for replay, which reads the quarantine, and for full_refresh, start or end: give one"
        )
    if full_refresh and (start or end):
        raise TerminalError("this run asks for full_refresh and for start or end: give one or the other")
    if bool(start) != bool(end):
        raise TerminalError("this run gives only one of start and end: a backfill needs both")


def _between_ticks(context: Mapping[str, Any], resource: Resource, *, full_refresh: bool) -> tuple[str, str]:
    """Return what a run of Airflow's own backfill reads: from the schedule's tick before its own, to its own."""
    if full_refresh:
        raise TerminalError(
            "an Airflow backfill reads from tick to tick, so it cannot be a full_refresh, which reads everything:"
            " trigger one run with full_refresh instead"
        )
    tick: datetime = context["dag_run"].logical_date
    before = tick_before(context["dag"].timetable, tick)
    zone = ZoneInfo(resource.timezone)  # a cursor of dates goes by the tenant's days
    return before.astimezone(zone).isoformat(), tick.astimezone(zone).isoformat()


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def _is_true(value: Any, key: str) -> bool:
    """Read a yes or no that may have come as text; raises TerminalError for anything else."""
    text = str(value or "false").strip().lower()
    if text not in ("true", "false"):
        raise TerminalError(f"{key} of this run is {value!r}: give true or false")
    return text == "true"


def _row_limit(value: Any) -> int | None:
    text = _text(value)
    if text is not None and not re.fullmatch("0*[1-9][0-9]*", text):
        raise TerminalError(
            f"row_limit of this run is {value!r}: give a whole number from 1 on, or leave it out"
        )
    return None if text is None else int(text)


def _is_wanted(asked: Any, name: str, context: Mapping[str, Any]) -> bool:
    """Tell whether the run is for this resource: it is for all when it names none."""
    if not asked:
        return True
    if not isinstance(asked, list):
        raise TerminalError(f"resources of this run is {asked!r}: give a list, such as [{name}]")
    known = list(dict.fromkeys(task_id.partition(".")[0] for task_id in context["dag"].task_ids))
    for other in asked:
        if other not in known:
            raise TerminalError(f"resources of this run: {one_of(other, known)}")
    return name in asked
