"""Takes many or large CSV files through extract, sanitize, load and publish, and shows what each step costs.

    python tests/benchmarks/files_at_scale.py --gigabytes 5
    python tests/benchmarks/files_at_scale.py --objects 10000

Each step is the real operator in a process of its own, on the stack's servers (those of ETL_FACTORY_STACK_HOME if
they run). It ends with an error when a step takes more than 300 MB above the interpreter with the providers loaded,
or when it writes a file.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path[:0] = [str(REPOSITORY / "include"), str(REPOSITORY / "plugins"), str(HERE)]

from generated_s3 import HEADER, WIDTH, Files  # noqa: E402 - found by the path above

MOST_BYTES = 300_000_000
STEPS = ("extract", "sanitize", "load", "publish")
TENANT = "tenant: acme\nproject: acme-analytics\nlocation: EU\ndataset: {name}\nlanding: gs://{bucket}\n"
SOURCE = (
    "source: drops\ntype: s3\nconnection: drops\nresources:\n  lines:\n    path: s3://big/in/*.csv\n"
    "    format: csv\n    load: transactional\n"
)


@dataclass
class Scale:
    """One load over the generated files; `env` are the stack's addresses."""

    files: Files
    env: Mapping[str, str]
    root: Path
    port: int
    name: str = field(default_factory=lambda: f"scale_{uuid.uuid4().hex[:6]}")
    left: dict[str, Any] = field(default_factory=dict)

    def prepare(self) -> None:
        """Write the config, and make the landing bucket."""
        from demo import systems

        bucket = self.name.replace("_", "-")
        systems._bucket(bucket)
        folder = self.root / "tenants" / "acme"
        folder.mkdir(parents=True)
        (self.root / "tmp").mkdir()
        (folder / "tenant.yaml").write_text(TENANT.format(name=self.name, bucket=bucket))
        (folder / "drops.yaml").write_text(SOURCE)

    def step(self, name: str) -> dict[str, Any]:
        """Execute one step; return its costs."""
        asked = {"root": str(self.root / "tenants"), "step": name, "left": self.left, "run_id": self.name}
        done = subprocess.run(
            [sys.executable, str(HERE / "watched_step.py")],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            env=self._environment(),
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{name} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        costs: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        self.left[name] = costs["left"]
        return costs

    def _environment(self) -> dict[str, str]:
        extra = {"endpoint_url": f"http://127.0.0.1:{self.port}", "region_name": "us-east-1"}
        connection = {"conn_type": "aws", "login": "local", "password": "local", "extra": extra}
        paths = (REPOSITORY / "plugins", REPOSITORY / "include")
        return {
            **os.environ,
            **self.env,
            "AIRFLOW_CONN_ACME__DROPS": json.dumps(connection),
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "TMPDIR": str(self.root / "tmp"),
        }

    def remove(self) -> None:
        """Remove what was published and landed."""
        from demo import systems

        client = systems.bigquery_client("acme-analytics")
        for dataset in (self.name, f"{self.name}_etl"):
            client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)
        bucket = systems.storage_client().bucket(self.name.replace("_", "-"))
        for blob in bucket.list_blobs():
            blob.delete()


@contextmanager
def scale(files: Files, env: Mapping[str, str], root: Path, port: int) -> Iterator[Scale]:
    """Serve the files at `port`, and make ready to load them."""
    command = [sys.executable, str(HERE / "generated_s3.py"), str(port), str(files.objects), str(files.lines)]
    server = subprocess.Popen(command)
    try:
        _await(port)
        made = Scale(files, env, root, port)
        made.prepare()
        yield made
        made.remove()
    finally:
        server.terminate()
        server.wait()


def _await(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/big?list-type=2", timeout=5).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def free_port() -> int:
    """Return a port that nobody listens at."""
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def shown(name: str, costs: Mapping[str, Any]) -> str:
    """Say what a step took."""
    grown, before = costs["grown"] / 1e6, costs["before"] / 1e6
    seconds = f"{costs['seconds']:8.1f} s, {costs['cpu']:7.1f} of CPU"
    return f"{name:9}{seconds}, at most {grown:4.0f} MB above the {before:.0f} of the interpreter"


def excess(name: str, costs: Mapping[str, Any], most: int = MOST_BYTES) -> list[str]:
    """Say what a step took that it must not."""
    found = [f"{name} wrote the file {file}" for file in costs["files"]]
    if costs["grown"] > most:
        found.append(
            f"{name} took {costs['grown'] / 1e6:.0f} MB above the interpreter, more than {most / 1e6:.0f}"
        )
    return found


def main() -> int:
    """Run it; 1 when a step takes too much."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--gigabytes", type=float)
    options.add_argument("--objects", type=int, default=1)
    options.add_argument("--lines", type=int, default=40)
    options.add_argument("--until", choices=STEPS, default="publish")
    asked = options.parse_args()
    lines = asked.lines
    if asked.gigabytes:
        lines = int((asked.gigabytes * 1e9 / asked.objects - len(HEADER)) / WIDTH)
    files = Files(asked.objects, lines)
    print(f"{files.objects:,} objects of {files.size:,} bytes, {files.objects * lines:,} rows", flush=True)
    from devstack.stack import Stack

    kept = os.environ.get("ETL_FACTORY_STACK_HOME")
    stack = Stack(Path(kept) if kept else REPOSITORY / ".devstack" / "scale")
    env = stack.start()
    os.environ.update(env)
    found: list[str] = []
    try:
        with TemporaryDirectory() as root, scale(files, env, Path(root), free_port()) as made:
            for name in STEPS[: STEPS.index(asked.until) + 1]:
                costs = made.step(name)
                print(shown(name, costs), flush=True)
                found += excess(name, costs)
    finally:
        if not kept:
            stack.stop()
    print("\n".join(found) or "within bounds")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
