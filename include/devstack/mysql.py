"""MariaDB: the machine's own server on a data folder of its own, with an admin over TCP."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from devstack.process import Home, Process

USER, PASSWORD = "etl", "etl-local"


def is_available() -> bool:
    """Whether the server and the client library are on this machine."""
    try:
        import MySQLdb  # noqa: F401 - the question is whether it can be imported
    except ImportError:
        return False
    return _server() is not None


def process(home: Home) -> Process:
    """Describe the server, initialising its data folder at the first start."""
    port, data = home.port("mysql"), home.data("mysql")
    if not (data / "mysql").exists():
        _initialise(home, data)
    command = [
        str(_server()),
        "--no-defaults",
        f"--datadir={data}",
        f"--port={port}",
        "--bind-address=127.0.0.1",
        f"--socket={data}/mysql.sock",
        f"--pid-file={data}/mysql.pid",
        f"--init-file={data}/init.sql",
        "--innodb-flush-log-at-trx-commit=0",
        "--skip-name-resolve",
        "--character-set-server=utf8mb4",
    ]
    return Process("mysql", command, lambda: _ready(port), user=_server_user())


def environment(home: Home) -> dict[str, str]:
    """Return what clients need."""
    return {"MYSQL_URL": f"mysql://{USER}:{PASSWORD}@127.0.0.1:{home.port('mysql')}/shop"}


def _ready(port: int) -> None:
    import MySQLdb

    MySQLdb.connect(
        host="127.0.0.1", port=port, user=USER, password=PASSWORD, db="shop", connect_timeout=2
    ).close()


def _initialise(home: Home, data: Path) -> None:
    data.mkdir(parents=True, exist_ok=True)
    user = _server_user()
    install = shutil.which("mariadb-install-db") or "mariadb-install-db"
    if user:
        shutil.chown(data, user)
    with home.log("mysql").open("ab") as log:
        subprocess.run(
            [install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
             "--skip-test-db", *([f"--user={user}"] if user else [])],
            check=True, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    (data / "init.sql").write_text(
        f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n"
        f"GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
        "CREATE DATABASE IF NOT EXISTS shop CHARACTER SET utf8mb4;\n"
    )
    if user:
        shutil.chown(data / "init.sql", user)


def _server_user() -> str | None:
    return "mysql" if os.geteuid() == 0 else None


def _server() -> Path | None:
    found = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin:/usr/local/sbin")
    return Path(found) if found else None
