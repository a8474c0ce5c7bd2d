"""PostgreSQL: the machine's own server, run by an unprivileged user, with password login."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from devstack.process import Home, Process, StackError

USER, PASSWORD = "etl", "etl-local"
DATABASES = ("airflow", "shop")


def process(home: Home) -> Process:
    """Describe the server, initialising its data folder at the first start."""
    port, data = home.port("postgres"), home.data("postgres")
    if not (data / "PG_VERSION").exists():
        _initialise(home, data)
    options = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": data,
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "off",
        "max_connections": 200,
        "shared_buffers": "256MB",
        "timezone": "UTC",
    }
    command = [_binary("postgres"), "-D", str(data)]
    command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return Process("postgres", command, lambda: _ready(port), user=_server_user())


def environment(home: Home) -> dict[str, str]:
    """Return what clients need."""
    return {"POSTGRES_URL": url(home, "shop")}


def url(home: Home, database: str) -> str:
    """Return the address of one database."""
    return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{home.port('postgres')}/{database}"


def _ready(port: int) -> None:
    import psycopg2

    connection = psycopg2.connect(
        host="127.0.0.1", port=port, user=USER, password=PASSWORD, dbname="postgres", connect_timeout=2
    )
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database")
        present = {name for (name,) in cursor.fetchall()}
        for name in sorted(set(DATABASES) - present):
            cursor.execute(f'CREATE DATABASE "{name}"')
    connection.close()


def _initialise(home: Home, data: Path) -> None:
    user = _server_user()
    data.mkdir(parents=True, exist_ok=True)
    secret = home.path / "run" / "postgres.password"
    secret.write_text(PASSWORD)
    if user:
        shutil.chown(data, user)
        shutil.chown(secret, user)
    subprocess.run(
        [_binary("initdb"), "-D", data, "-U", USER, "--auth=scram-sha-256", f"--pwfile={secret}",
         "--encoding=UTF8", "--locale=C.UTF-8"],
        check=True, stdout=subprocess.DEVNULL, user=user, cwd="/",
    )  # fmt: skip
    secret.unlink()


def _server_user() -> str | None:
    """Name who runs the server: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise StackError("PostgreSQL refuses to run as root, and there is no user postgres or nobody here")


def _binary(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    path = str(found[0]) if found else shutil.which(name)
    if path is None:
        raise StackError(f"no PostgreSQL server ({name}) on this machine: apt-get install postgresql")
    return path
