"""Takes docs/images/dag.png: a DAG's latest run in the local Airflow, as headless Chromium shows it.

Needs the stack with Airflow (`make demo` or `make up`) and Chromium (`apt-get install chromium`):

    set -a; . .devstack/env; set +a
    PYTHONPATH=include python docs/screenshot.py
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from demo.airflow_api import Airflow

IMAGE = Path(__file__).parent / "images" / "dag.png"
DAG_ID = "acme__shop_db"
WIDTH, HEIGHT, SCALE = 1680, 860, 1.2
SECONDS = 60
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-port=0",
)  # fmt: skip


class Page:
    """One browser page, steered over the DevTools protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket, self.ids = socket, count(1)

    def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and return its result; raises RuntimeError with the browser's error."""
        number = next(self.ids)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (answer := json.loads(self.socket.recv(timeout=SECONDS))).get("id") != number:
            continue
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def value(self, expression: str) -> Any:
        """Evaluate JavaScript in the page."""
        return self.do("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")


def wait_for(what: str, ready: Callable[[], Any]) -> Any:
    """Return the first true value of `ready`; raises TimeoutError naming what did not come."""
    deadline = time.monotonic() + SECONDS
    while not (value := ready()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {what} after {SECONDS} s")
        time.sleep(0.2)
    return value


@contextmanager
def browser() -> Iterator[Page]:
    """Start Chromium on an empty profile; stop it at the end."""
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    if binary is None:
        raise SystemExit("Chromium is not installed: apt-get install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [binary, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with connect(page_address(Path(profile)), max_size=None) as socket:
                yield Page(socket)
        finally:
            process.terminate()
            process.wait(10)


def page_address(profile: Path) -> str:
    """Return the DevTools address of the first page, once the browser has written its port."""
    file = profile / "DevToolsActivePort"
    port = wait_for("browser", lambda: file.exists() and file.read_text()).split()[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=10) as answer:
        targets = json.load(answer)
    return str(next(target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page"))


def show_run(page: Page, airflow: Airflow) -> None:
    """Open the DAG's latest successful run as a graph with its task groups open, logged in by a cookie."""
    runs = airflow.call("GET", f"/dags/{DAG_ID}/dagRuns?state=success&order_by=-run_after&limit=1")[
        "dag_runs"
    ]
    if not runs:
        raise SystemExit(f"{DAG_ID} has no successful run yet: run `make demo` first")
    tasks = airflow.tasks(DAG_ID, runs[0]["dag_run_id"])
    kept = {
        "default_dag_view": "graph",
        f"{DAG_ID}/open-groups": sorted({task["task_id"].split(".")[0] for task in tasks}),
    }
    script = ";".join(
        f"localStorage.setItem({json.dumps(k)}, {json.dumps(json.dumps(v))})" for k, v in kept.items()
    )
    page.do("Network.setCookie", name="_token", value=airflow.token, url=airflow.url)
    page.do("Page.enable")
    page.do("Page.addScriptToEvaluateOnNewDocument", source=f"try {{ {script} }} catch (error) {{}}")
    page.do(
        "Emulation.setDeviceMetricsOverride",
        width=WIDTH,
        height=HEIGHT,
        deviceScaleFactor=SCALE,
        mobile=False,
    )
    page.do("Page.navigate", url=f"{airflow.url}/dags/{DAG_ID}/runs/{runs[0]['dag_run_id']}")
    nodes = "document.querySelectorAll('.react-flow__node').length"
    wait_for("graph of the run", lambda: page.value(nodes) >= len(tasks))
    page.value("document.querySelector('.react-flow__minimap').style.display = 'none'")  # it hides a task


def main() -> int:
    """Take the picture."""
    with browser() as page:
        show_run(page, Airflow(os.environ))
        time.sleep(3)  # the graph glides into its place
        IMAGE.parent.mkdir(exist_ok=True)
        IMAGE.write_bytes(base64.b64decode(page.do("Page.captureScreenshot", format="png")["data"]))
    sys.stdout.write(f"{IMAGE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
