"""An Airflow of a command's own: a temporary home with an SQLite database, gone when the command ends.

A run never uses the metadata database of an Airflow that is in service, since its scheduler would take the
run's tasks and run them a second time. What such an Airflow is configured with still counts: its secrets
backend, its Fernet key, and the connections in its database, which are copied, as encrypted as they are there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

from etl_factory.config.loading import SourceFile
from etl_factory.errors import TransientError
from etl_factory.settings import Settings

DATABASE = "AIRFLOW__DATABASE__"
BACKEND = "AIRFLOW__SECRETS__BACKEND"
DAG_FILE = '''\
"""The one DAG of this Airflow."""

from etl_factory.loader import tenant_dags

globals().update(tenant_dags())
'''


@contextmanager
def private_airflow(found: SourceFile, root: Path, log: Path | None = None) -> Iterator[TextIO]:
    """Make this process an Airflow that knows one source's DAG; yields a stream to the real standard error.

    Everything that is printed meanwhile goes to `log`, by default nowhere. Airflow must not have been
    imported before. Raises TransientError when the configured metadata database cannot be read.
    """
    has_own = is_configured(os.environ)
    with quiet_airflow(log) as (home, screen):
        (home / "dags").mkdir()
        (home / "dags" / "tenants.py").write_text(DAG_FILE)
        stored = _stored_connections(found) if has_own else []
        _use(environment(found, root, home, os.environ))
        _make_database(stored)
        yield screen


@contextmanager
def quiet_airflow(log: Path | None = None) -> Iterator[tuple[Path, TextIO]]:
    """Let Airflow be imported without a trace; yields a temporary folder and the real standard error.

    Everything that is printed meanwhile goes to `log`, by default nowhere. A configured home stays in use.
    """
    with TemporaryDirectory(prefix="etl-factory-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        with _environment_kept(), printing_to(log or home / "airflow.log") as screen:
            if not is_configured(os.environ):
                os.environ["AIRFLOW_HOME"] = folder
            yield home, screen


@contextmanager
def _environment_kept() -> Iterator[None]:
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def is_configured(environ: Mapping[str, str]) -> bool:
    """Tell whether the environment names an Airflow of the user's own."""
    return bool(environ.get("AIRFLOW_HOME") or environ.get(f"{DATABASE}SQL_ALCHEMY_CONN"))


def environment(found: SourceFile, root: Path, home: Path, before: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a private Airflow in the folder `home`."""
    roles = {*Settings.from_environment(before).roles, found.tenant.airflow_role or ""} - {""}
    env = {
        f"{DATABASE}SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager"
        ".SimpleAuthManager",
        "AIRFLOW__CORE__DAGS_FOLDER": f"{home}/dags",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": '[{"name": "dags-folder", "classpath":'
        ' "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": {}}]',
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": f"{home}/logs",
        "AIRFLOW__LOGGING__REMOTE_LOGGING": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "ETL_FACTORY_CONFIG_ROOT": str(root),
        "ETL_FACTORY_ROLES": ",".join(sorted(roles)),
        "_AIRFLOW_PARSING_CONTEXT_DAG_ID": found.dag_id,
        "_AIRFLOW_PARSING_CONTEXT_TASK_ID": "",  # all its tasks run here
        "_AIRFLOW_PROCESS_CONTEXT": "server",  # connections are looked up in this process's own database too
    }
    if BACKEND not in before and _has_secret_manager(before):
        env[BACKEND] = "etl_factory.secret_manager.TenantSecretManagerBackend"
    return env


def _has_secret_manager(environ: Mapping[str, str]) -> bool:
    settings = Settings.from_environment(environ)
    return bool(settings.secrets_project or settings.secret_manager_endpoint)


@contextmanager
def printing_to(log: Path) -> Iterator[TextIO]:
    """Send to a file all that this process prints, by whatever library; yields the real standard error."""
    saved = [os.dup(number) for number in (1, 2)]
    with log.open("ab") as file, os.fdopen(os.dup(2), "w", buffering=1) as screen:
        _point(file.fileno(), file.fileno())
        try:
            yield screen
        finally:
            _point(*saved)
            for number in saved:
                os.close(number)


def _point(out: int, err: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(out, 1)
    os.dup2(err, 2)


def _use(env: Mapping[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith(DATABASE)]:
        del os.environ[name]
    os.environ.update(env)


def _stored_connections(found: SourceFile) -> list[dict[str, Any]]:
    """Read the tenant's connections from the metadata database that the environment names."""
    import sqlalchemy as sa

    engine = sa.create_engine(_configured_url())
    try:
        if not sa.inspect(engine).has_table("connection"):
            return []
        table = sa.Table("connection", sa.MetaData(), autoload_with=engine)
        ids = [Settings.from_environment().gcp_conn_id]
        mine = table.c.conn_id.startswith(f"{found.tenant.tenant}__", autoescape=True) | table.c.conn_id.in_(
            ids
        )
        with engine.connect() as connection:
            return [dict(row) for row in connection.execute(sa.select(table).where(mine)).mappings()]
    except sa.exc.OperationalError as error:
        reason = " ".join(str(error.orig).split())
        raise TransientError(
            f"Airflow's metadata database at {engine.url.render_as_string()} does not answer, so the"
            f" connections in it cannot be read: {reason} Start it, or unset AIRFLOW_HOME and"
            f" {DATABASE}SQL_ALCHEMY_CONN to run without it"
        ) from error
    finally:
        engine.dispose()


def _configured_url() -> str:
    """Return the address of the metadata database as the user's own Airflow reads it."""
    os.environ["_AIRFLOW__AS_LIBRARY"] = "1"  # reads the configuration, and connects to nothing yet
    try:
        from airflow.configuration import conf

        return str(conf.get("database", "sql_alchemy_conn"))
    finally:
        del os.environ["_AIRFLOW__AS_LIBRARY"]


def _make_database(stored: Sequence[Mapping[str, Any]]) -> None:
    """Create the database, with the connections given, and Google's default one if it is not among them."""
    from airflow import settings

    settings.initialize()  # type: ignore[no-untyped-call]  # Airflow's own
    from airflow.models import Connection
    from airflow.utils.db import initdb
    from airflow.utils.session import create_session

    initdb()
    google = Settings.from_environment().gcp_conn_id
    with create_session() as session:
        for row in stored:
            values = {name: value for name, value in row.items() if name in _columns(Connection) - {"id"}}
            session.execute(Connection.__table__.insert().values(values))
        if google not in {row["conn_id"] for row in stored}:
            session.add(Connection(conn_id=google, conn_type="google_cloud_platform"))


def _columns(model: Any) -> set[str]:
    return {column.name for column in model.__table__.columns}
