"""What a DAG file calls: the tenants' DAGs, or only the one that Airflow is about to run."""

from __future__ import annotations

from pathlib import Path

from airflow.sdk import DAG, get_parsing_context

from etl_factory.config.loading import BrokenFile, SourceFile, load, load_source
from etl_factory.config.reading import contained
from etl_factory.errors import ConfigError
from etl_factory.factory import build_config_error_dag, build_dag
from etl_factory.settings import Settings


def tenant_dags(tenant: str | None = None, config_root: str | Path | None = None) -> dict[str, DAG]:
    """Return the DAGs by id, all tenants' or one's; each broken file gives a config-error DAG.

    Raises ConfigError only when the config root is not a folder.
    """
    settings = Settings.from_environment()
    root = Path(config_root or settings.config_root) if config_root else settings.config_root
    context = get_parsing_context()
    wanted = context.dag_id
    found = load_source(root, wanted, settings.roles) if wanted else None
    files = [found] if found else _all_files(root, settings)
    chosen = [file for file in files if tenant is None or _tenant(file, root) == tenant]
    dags = (_build(file, settings, context.task_id) for file in chosen if wanted in (None, file.dag_id))
    return {dag.dag_id: dag for dag in dags}


def _all_files(root: str | Path, settings: Settings) -> list[SourceFile | BrokenFile]:
    catalogue = load(root, settings.roles)
    return sorted((*catalogue.sources, *catalogue.errors), key=lambda file: file.path)


def _tenant(file: SourceFile | BrokenFile, root: str | Path) -> str:
    return file.path.relative_to(root).parts[0]


def _build(file: SourceFile | BrokenFile, settings: Settings, task_id: str | None) -> DAG:
    if isinstance(file, BrokenFile):
        return build_config_error_dag(file, settings)
    errors: list[ConfigError] = []
    with contained(file.document.file, errors):
        try:
            return build_dag(file.tenant, file.spec, settings, task_id)
        except ModuleNotFoundError as missing:
            return build_config_error_dag(_not_installed(file, missing), settings)
    # Without its schedule, which may be what could not be built.
    return build_config_error_dag(BrokenFile(file.path, file.dag_id, tuple(errors)), settings)


def _not_installed(file: SourceFile, missing: ModuleNotFoundError) -> BrokenFile:
    message = f"source type {file.spec.type} needs the Python module {missing.name}, which is not installed"
    error = file.document.error(message, ("type",))
    return BrokenFile(file.path, file.dag_id, (error,), file.spec.schedule, file.tenant.timezone)
