"""Airflow, as close to Composer as it gets: PostgreSQL, LocalExecutor, FAB roles, our secrets backend."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import urllib.request
from pathlib import Path

from devstack import postgres
from devstack.bigquery import PROJECT
from devstack.process import Home, Process, StackError

REPOSITORY = Path(__file__).resolve().parents[2]
COMPONENTS = {
    "api_server": ("api-server", "--workers", "1"),
    "scheduler": ("scheduler",),
    "dag_processor": ("dag-processor",),
    "triggerer": ("triggerer",),
}
ROLES = ("acme", "globex")
PARSE_EVERY = "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL"


def environment(home: Home) -> dict[str, str]:
    """Return what Airflow and the `etl-factory` command need; keys are made once per home."""
    folder, port = home.path / "airflow", home.port("api_server")
    folder.mkdir(exist_ok=True)
    keys = _keys(folder)
    url = f"http://127.0.0.1:{port}"
    config_root = os.environ.get("ETL_FACTORY_CONFIG_ROOT") or str(REPOSITORY / "config/tenants")
    return {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW_URL": url,
        "AIRFLOW_USERNAME": "admin",
        "AIRFLOW_PASSWORD": keys["password"],
        "ETL_FACTORY_AIRFLOW_URL": url,
        "ETL_FACTORY_AIRFLOW_USERNAME": "admin",
        "ETL_FACTORY_AIRFLOW_PASSWORD": keys["password"],
        "ETL_FACTORY_CONFIG_ROOT": config_root,
        "ETL_FACTORY_ROLES": ",".join(ROLES),
        "ETL_FACTORY_SCHEDULES": os.environ.get("ETL_FACTORY_SCHEDULES") or "off",
        "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": json.dumps(
            {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True, "project": PROJECT}}
        ),
        "AIRFLOW__CORE__DAGS_FOLDER": os.environ.get("DEVSTACK_DAGS_FOLDER") or str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__FERNET_KEY": keys["fernet"],
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__SECRET_KEY": keys["api"],
        "AIRFLOW__API_AUTH__JWT_SECRET": keys["jwt"],
        "AIRFLOW__FAB__AUTH_RATE_LIMITED": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.url(home, "airflow").replace(
            "postgresql://", "postgresql+psycopg2://"
        ),
        PARSE_EVERY: os.environ.get(PARSE_EVERY) or "10",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(home.port("scheduler.health")),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(home.port("triggerer.log")),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(home.port("scheduler.log")),
        "AIRFLOW__SECRETS__BACKEND": "etl_factory.secret_manager.TenantSecretManagerBackend",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def migrate(home: Home, env: dict[str, str]) -> None:
    """Bring the metadata database up to date, with an admin user and the tenants' roles."""
    stamp = home.path / "airflow" / "migrated"
    if stamp.exists():
        return
    _airflow(home, env, "db", "migrate")
    _airflow(home, env, "roles", "create", *ROLES)
    _airflow(
        home, env, "users", "create", "--username", env["AIRFLOW_USERNAME"], "--role", "Admin",
        f"--password={env['AIRFLOW_PASSWORD']}", "--firstname", "Local", "--lastname", "Admin",
        "--email", "admin@localhost",
    )  # fmt: skip
    stamp.touch()


def _airflow(home: Home, env: dict[str, str], *arguments: str) -> None:
    with home.log("airflow").open("ab") as log:
        command = [str(REPOSITORY / ".venv/bin/airflow"), *arguments]
        done = subprocess.run(command, env={**os.environ, **env}, stdout=log, stderr=log, check=False)
    if done.returncode:
        tail = home.log("airflow").read_text(errors="replace")[-2000:]
        raise StackError(f"`airflow {' '.join(arguments[:2])}` failed:\n{tail}")


def processes(home: Home, env: dict[str, str]) -> list[Process]:
    """Describe Airflow's components; each is ready when the API server reports it healthy."""
    binary = REPOSITORY / ".venv/bin"
    warm = [str(binary / "python"), "-P", str(Path(__file__).parent / "warm_scheduler.py")]
    commands = {name: [str(binary / "airflow"), *arguments] for name, arguments in COMPONENTS.items()}
    return [
        Process(name, command, lambda: None, env, seconds=180)
        for name, command in (commands | {"scheduler": warm}).items()
    ]


def await_healthy(env: dict[str, str]) -> None:
    """Raise unless every component is healthy and the login works."""
    with urllib.request.urlopen(f"{env['AIRFLOW_URL']}/api/v2/monitor/health", timeout=5) as answer:
        health = json.load(answer)
    sick = [name for name, state in health.items() if state.get("status") != "healthy"]
    if sick:
        raise StackError(f"not healthy yet: {', '.join(sick)}")
    token(env)


def token(env: dict[str, str]) -> str:
    """Log in and return an API token."""
    body = {"username": env["AIRFLOW_USERNAME"], "password": env["AIRFLOW_PASSWORD"]}
    request = urllib.request.Request(
        f"{env['AIRFLOW_URL']}/auth/token",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(json.load(answer)["access_token"])


def _keys(folder: Path) -> dict[str, str]:
    file = folder / "keys.json"
    if not file.exists():
        fernet = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        keys = {name: secrets.token_urlsafe(24) for name in ("api", "jwt", "password")}
        file.touch(mode=0o600)
        file.write_text(json.dumps({**keys, "jwt": secrets.token_urlsafe(64), "fernet": fernet}))
    loaded: dict[str, str] = json.loads(file.read_text())
    return loaded
