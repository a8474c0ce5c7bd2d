"""The tenants that the DAG tests build: every source type, and nearly every key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from etl_factory.settings import Settings

TENANTS = Path(__file__).parent / "tenants"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the environment of a parse, whatever other tests have exported; return a function that changes it."""

    def use(root: Path = TENANTS, roles: str = "acme", **more: str) -> None:
        monkeypatch.setenv("ETL_FACTORY_CONFIG_ROOT", str(root))
        monkeypatch.setenv("ETL_FACTORY_ROLES", roles)
        for name, value in more.items():
            monkeypatch.setenv(name, value)

    for name in ("ETL_FACTORY_SCHEDULES", "ETL_FACTORY_GCP_CONN_ID"):
        monkeypatch.delenv(name, raising=False)
    use()
    return use


@pytest.fixture
def settings() -> Settings:
    """Return the settings of the environment above."""
    return Settings.from_environment()
