"""`make demo`: start everything, load six sources through Airflow, check every row, change some, load again."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from demo import systems, truth
from demo.airflow_api import Airflow
from devstack import Stack, StackError
from etl_factory.errors import EtlFactoryError
from etl_factory.secret_manager import SecretAccess

TENANT = "acme"
DAGS = {
    "shop_db": "postgres",
    "erp_db": "mysql",
    "partner_market": "bigquery",
    "price_lists": "s3",
    "web_events": "gcs",
    "product_feed": "azure_blob",
}
TIMEOUT = 420
console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


class DemoFailed(Exception):
    """The demo found something wrong: the message is for the screen."""


def main() -> int:
    """Run the demo; 0 only when every row of every source was published once."""
    logging.getLogger("azure").setLevel(logging.WARNING)
    started = time.monotonic()
    report: dict[str, Any] = {"ok": False, "resources": []}
    try:
        env = prepare()
        sources = [source for source in DAGS if source != "erp_db" or "MYSQL_URL" in env]
        airflow = Airflow(env)
        wait_for_dags(airflow, sources)
        report["resources"] = first = load_and_check("First load", airflow, sources, env)
        with step("Change rows in every source: updates, inserts, a changed file, new files"):
            expected = systems.change(env)
        second = load_and_check("Second load, only what changed", airflow, sources, env)
        check_changes(second, expected)
        report["second_load"] = second
        report["ok"] = True
    except (DemoFailed, StackError, EtlFactoryError) as error:
        console.print(f"\n[bold red]DEMO FAILED[/]: {error}", markup=True, soft_wrap=True)
        return 1
    finally:
        write_report(report)
    console.print(f"\nAirflow stays up: {env['AIRFLOW_URL']}")
    console.print(f"login: {env['AIRFLOW_USERNAME']} / {env['AIRFLOW_PASSWORD']}      stop: make down")
    console.print(f"{time.monotonic() - started:.0f} s in all; report: .demo/report.json")
    types = (
        f"{len(sources)} source types"
        if len(sources) == len(DAGS)
        else f"{len(sources)} of {len(DAGS)} source types"
    )
    rows = sum(item["rows_published"] for item in second)
    console.print(f"DEMO OK: {types}, {len(first)} resources, {rows} rows, 0 lost, 0 duplicated")
    return 0


class step:
    """Print what is being done, and how long it took."""

    def __init__(self, title: str) -> None:
        self.title = title

    def __enter__(self) -> None:
        console.print(f"[bold]{self.title}[/] ...")
        self.begin = time.monotonic()

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            console.print(f"  done in {time.monotonic() - self.begin:.0f} s")


def prepare() -> dict[str, str]:
    """Start the stack, forget what an earlier demo published, seed the sources, store the connections."""
    with step("Start the servers and Airflow"):
        stack = Stack(".devstack", say=lambda line: console.print(f"  {line}"))
        env = stack.start(with_airflow=True)
        os.environ.update(env)
    if "MYSQL_URL" not in env:
        console.print("  MySQL is left out: neither root nor apt could install MariaDB and its client here")
    with step("Seed six systems with a wholesaler's data (100,000 orders)"):
        forget()
        systems.seed(env)
    with step("Store the tenant's connections in Secret Manager"):
        secrets = SecretAccess(env["ETL_FACTORY_SECRETS_PROJECT"], env["SECRET_MANAGER_ENDPOINT"])
        for conn_id, value in systems.connections(env).items():
            secrets.write(f"airflow-connections-{conn_id}", value)
    return env


def forget() -> None:
    """Drop the demo tenant's datasets, so that running the demo twice starts afresh."""
    client = systems.bigquery_client("acme-analytics")
    for dataset in ("raw_data", "raw_data_etl"):
        client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)


def wait_for_dags(airflow: Airflow, sources: list[str]) -> None:
    """Wait until the DAG processor has made a DAG of every source."""

    def missing() -> list[str]:
        return [source for source in sources if not airflow.has_dag(f"{TENANT}__{source}")]

    with step("Wait for the DAG processor"):
        if not airflow.parse_until(lambda: not missing(), 120):
            errors = airflow.call("GET", "/importErrors")["import_errors"]
            raise DemoFailed(
                f"no DAG for {', '.join(missing())}; import errors: {json.dumps(errors, indent=2)}"
            )


def load_and_check(
    title: str, airflow: Airflow, sources: list[str], env: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Run one DAG of each source, then compare every published table with its source."""
    with step(f"{title}: trigger {len(sources)} DAGs through the REST API"):
        runs = {source: airflow.start(f"{TENANT}__{source}") for source in sources}
        watch(airflow, runs)
    with step("Compare every published table with its source, row by row"):
        rows = [
            check(source, name, airflow, runs[source], env) for source, name in truth.TRUTHS if source in runs
        ]
    console.print(as_table(rows))
    wrong = [row for row in rows if row["lost"] or row["duplicated"]]
    if wrong:
        raise DemoFailed(f"published tables differ from their sources: {json.dumps(wrong, indent=2)}")
    return rows


def watch(airflow: Airflow, runs: Mapping[str, str]) -> None:
    """Show the tasks' progress until every run has ended; raise with the failing task's error."""
    deadline = time.monotonic() + TIMEOUT
    with Live(console=console, refresh_per_second=2, transient=not console.is_terminal) as live:
        while True:
            tasks = {source: airflow.tasks(f"{TENANT}__{source}", run) for source, run in runs.items()}
            states = {source: airflow.state(f"{TENANT}__{source}", run) for source, run in runs.items()}
            live.update(progress(tasks, states))
            for source, state in states.items():
                if state == "failed":
                    raise DemoFailed(failure(airflow, source, runs[source], tasks[source]))
            if all(state == "success" for state in states.values()):
                return
            if time.monotonic() > deadline:
                raise DemoFailed(f"still running after {TIMEOUT} s: {states}")
            time.sleep(2)


def progress(tasks: Mapping[str, list[dict[str, Any]]], states: Mapping[str, str]) -> Table:
    """Draw one line a DAG."""
    table = Table("DAG", "state", "tasks done", "now", box=None)
    for source, items in tasks.items():
        done = sum(item["state"] in ("success", "skipped") for item in items)
        now = ", ".join(item["task_id"] for item in items if item["state"] == "running")
        table.add_row(f"{TENANT}__{source}", states[source], f"{done}/{len(items)}", now)
    return table


def failure(airflow: Airflow, source: str, run_id: str, tasks: list[dict[str, Any]]) -> str:
    """Return the failing task's own error."""
    dag_id = f"{TENANT}__{source}"
    failed = next(item for item in tasks if item["state"] == "failed")
    log = airflow.log(dag_id, run_id, failed["task_id"], failed["try_number"])
    return f"{dag_id}.{failed['task_id']} failed:\n{log}"


def check(source: str, name: str, airflow: Airflow, run_id: str, env: Mapping[str, str]) -> dict[str, Any]:
    """Compare one table; return its line of the report."""
    dag_id = f"{TENANT}__{source}"
    done = airflow.result(dag_id, run_id, f"{name}.publish")
    found = truth.TRUTHS[source, name](env)
    verdict = truth.compare(found, done["table"])
    tasks = [item for item in airflow.tasks(dag_id, run_id) if item["task_id"].startswith(f"{name}.")]
    return {
        "tenant": TENANT,
        "source": source,
        "type": DAGS[source],
        "resource": name,
        "table": done["table"],
        "rows_source": verdict.source + found.bad,
        "rows_published": verdict.published,
        "rows_quarantined": quarantined(done["table"]),
        "seconds": round(sum(item["duration"] or 0 for item in tasks), 1),
        "lost": verdict.lost,
        "duplicated": verdict.doubled,
        "arrived": done["inserted"] + done["updated"],
    }


def quarantined(table: str) -> int:
    """Count a resource's quarantined rows; of a file, only those of its latest version."""
    name = table.rsplit(".", 1)[-1]
    client = systems.bigquery_client("acme-analytics")
    sql = (
        f"SELECT uri, quarantined FROM raw_data_etl._loads__{name} WHERE kind = 'file' ORDER BY published_at"
    )
    files = {row["uri"]: row["quarantined"] for row in client.query_and_wait(sql)}
    if files:
        return int(sum(files.values()))
    rows = client.query_and_wait(f"SELECT COUNT(*) AS n FROM raw_data_etl._quarantine__{name}")
    return int(next(iter(rows))["n"])


def check_changes(second: list[dict[str, Any]], expected: Mapping[tuple[str, str], int]) -> None:
    """Demand that exactly the changed rows arrived."""
    console.print("\nWhat the second load brought, against what was changed:")
    for row in second:
        wanted = expected.get((row["source"], row["resource"]))
        if wanted is not None:
            mark = "[green]exactly[/]" if wanted == row["arrived"] else "[bold red]WRONG[/]"
            name = f"{row['source']}.{row['resource']}"
            console.print(f"  {name:30} changed {wanted:6}   arrived {row['arrived']:6}  {mark}")
    wrong = [r for r in second if expected.get((r["source"], r["resource"]), r["arrived"]) != r["arrived"]]
    if wrong:
        raise DemoFailed("the second load did not bring exactly what was changed")


def as_table(rows: list[dict[str, Any]]) -> Table:
    """Draw the result."""
    table = Table(box=None, header_style="bold", padding=(0, 1))
    for title in ("tenant", "source", "type", "resource"):
        table.add_column(title, overflow="fold")
    for title in ("rows at source", "published", "quarantined", "seconds"):
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(
            row["tenant"], row["source"], row["type"], row["resource"], f"{row['rows_source']:,}",
            f"{row['rows_published']:,}", f"{row['rows_quarantined']:,}", f"{row['seconds']}",
        )  # fmt: skip
    return table


def write_report(report: Mapping[str, Any]) -> None:
    """Write .demo/report.json."""
    Path(".demo").mkdir(exist_ok=True)
    Path(".demo/report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
