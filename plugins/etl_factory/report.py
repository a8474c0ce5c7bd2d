"""The run report: what one DAG run did to each resource, as data, as JSON and as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

STEPS = ("extract", "sanitize", "load", "publish")
COUNTS = ("inserted", "updated", "unchanged", "superseded", "deleted", "restored")
Outcome = Literal["published", "superseded", "skipped", "failed"]


@dataclass(frozen=True)
class TaskResult:
    """How one task ended: its state, its seconds, what it left in XCom, and its error or reason to skip."""

    state: str | None
    seconds: float | None = None
    left: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""


@dataclass(frozen=True)
class ResourceReport:
    """One resource of the run; counts that a failure or a skip left unknown are None.

    `replay` says what became of the rows in quarantine, in a replay (see `operators.replayed`).
    `message` is the failing task's error, or why there was nothing to load. `seconds` is by task.
    """

    resource: str
    table: str
    outcome: Outcome
    mode: str = ""
    window: str = ""
    rows_extracted: int | None = None
    rows_staged: int | None = None
    published: Mapping[str, int] | None = None
    rows_quarantined: int | None = None
    bytes: int | None = None
    files: int | None = None
    schema_changes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    failed_task: str = ""
    message: str = ""
    replay: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class RunReport:
    """One DAG run; `ok` means that no task failed."""

    tenant: str
    source: str
    dag_id: str
    run_id: str
    ok: bool
    seconds: float
    resources: tuple[ResourceReport, ...]

    def to_json(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return asdict(self)

    def to_text(self) -> str:
        """Return the report as a person reads it, errors last."""
        lines = [f"{self.dag_id}, run {self.run_id}: {'ok' if self.ok else 'FAILED'} in {self.seconds:.1f} s"]
        for resource in self.resources:
            lines += ["", *_lines(resource)]
        return "\n".join(lines)


def resource_report(resource: str, table: str, tasks: Mapping[str, TaskResult]) -> ResourceReport:
    """Put together what a resource's tasks, keyed by step, left behind."""
    extract, sanitize, publish = (tasks[step].left for step in ("extract", "sanitize", "publish"))
    failed = next((step for step in STEPS if tasks[step].state == "failed"), "")
    skipped = next((tasks[step].message for step in STEPS if tasks[step].state == "skipped"), "")
    return ResourceReport(
        resource=resource,
        table=table,
        outcome=_outcome(tasks, failed),
        mode=publish.get("mode", ""),
        window=publish.get("window") or extract.get("window", ""),
        rows_extracted=publish.get("rows_read", extract.get("rows")),
        rows_staged=publish.get("rows_staged", sanitize.get("rows_staged")),
        published={name: publish.get(name, 0) for name in COUNTS} if publish else None,
        rows_quarantined=publish.get("quarantined", sanitize.get("rows_quarantined")),
        bytes=publish.get("bytes", extract.get("bytes")),
        files=publish.get("files", extract.get("objects")),
        schema_changes=tuple(map(str, publish.get("schema_changes", ()))),
        seconds={step: round(t.seconds, 2) for step, t in tasks.items() if t.seconds is not None},
        failed_task=failed,
        message=tasks[failed].message if failed else skipped,
        replay=publish.get("replay"),
    )


def _outcome(tasks: Mapping[str, TaskResult], failed: str) -> Outcome:
    if failed:
        return "failed"
    if any(tasks[step].state == "skipped" for step in STEPS):
        return "skipped"
    if tasks["publish"].state != "success":
        return "failed"
    return "superseded" if tasks["publish"].left.get("outcome") == "superseded" else "published"


def _lines(report: ResourceReport) -> Iterator[str]:
    yield f"{report.resource} -> {report.table}: {report.outcome}"
    if report.window:
        yield f"  window       {report.window} ({report.mode or 'not published'})"
    if report.rows_extracted is not None:
        files = f" from {_count(report.files, 'file')}" if report.files else ""
        yield f"  extracted    {_count(report.rows_extracted, 'row')}{files}, {_size(report.bytes)}"
    if report.rows_staged is not None:
        yield f"  staged       {_count(report.rows_staged, 'row')}"
    if report.published is not None:
        yield f"  published    {', '.join(_counts(report.published))}"
    if report.replay is not None:
        yield from _replayed(report.replay)
    elif report.rows_quarantined is not None:
        yield f"  quarantined  {_count(report.rows_quarantined, 'row')}"
    for change in report.schema_changes:
        yield f"  schema       {change}"
    if report.seconds:
        yield f"  seconds      {', '.join(f'{step} {seconds:.1f}' for step, seconds in report.seconds.items())}"
    if report.message:
        yield f"  {f'{report.failed_task} failed' if report.failed_task else 'note'}: {report.message}"


def _replayed(replay: Mapping[str, Any]) -> Iterator[str]:
    done = ", ".join(f"{replay[name]:,} {name}" for name in ("loaded", "superseded", "stay"))
    yield f"  quarantine   {_count(replay['rows'], 'row')}: {done}"
    if replay["first"]:
        yield f"  still bad    {replay['first']}"
    if replay["left_over"]:
        yield f"  left there   {replay['left_over']}"


def _counts(published: Mapping[str, int]) -> Iterator[str]:
    """Spell the counts; of restored rows only where there are some, since few resources can have any."""
    for name in COUNTS:
        if published[name] or name != "restored":
            yield f"{published[name]:,} {name}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _size(size: int | None) -> str:
    if size is None:
        return "size unknown"
    return _count(size, "byte") if size < 10_000 else f"{size / 1e6:,.2f} MB"
