"""docker-compose.yaml is valid, and offers the services, ports and variables of include/devstack."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from devstack import airflow, azure, mysql, postgres
from devstack.process import Process
from devstack.stack import Stack
from examples import REPOSITORY

MOUNTED = "/opt/etl-factory"
OURS_ALONE = {"network", "airflow_init"}  # devstack needs neither: it owns this machine's network
# What has to differ: a container's own folder and address, and keys that devstack makes anew in each home.
DIFFERENT = {
    "AIRFLOW_HOME", "AIRFLOW_PASSWORD", "ETL_FACTORY_AIRFLOW_PASSWORD", "AIRFLOW__API__HOST",
    "AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET",
}  # fmt: skip


@dataclass(frozen=True)
class Devstack:
    """What the local stack would start and offer."""

    processes: dict[str, Process]
    environment: dict[str, str]
    ports: dict[str, int]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text())


@pytest.fixture(scope="module")
def devstack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devstack]:
    """Describe every server without one on this machine; the data folders look initialised."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ETL_FACTORY_CONFIG_ROOT", "ETL_FACTORY_SCHEDULES", "DEVSTACK_DAGS_FOLDER"):
            patch.delenv(name, raising=False)
        patch.setattr(postgres, "_binary", lambda name: name)
        patch.setattr(postgres, "_server_user", lambda: None)
        patch.setattr(mysql, "_server", lambda: Path("mariadbd"))
        patch.setattr(mysql, "is_available", lambda: True)
        patch.setattr(azure, "_node", lambda _: "node")
        stack = Stack(tmp_path_factory.mktemp("devstack"))
        (stack.home.data("mysql") / "mysql").mkdir(parents=True)
        stack.home.data("postgres").mkdir()
        (stack.home.data("postgres") / "PG_VERSION").touch()
        servers = [describe() for describe in stack._servers()]
        env = stack.environment()
        found = [*servers, *airflow.processes(stack.home, env)]
        ports = json.loads((stack.home.path / "run/ports.json").read_text())
        yield Devstack({process.name: process for process in found}, env, ports)


def published(compose: dict[str, Any]) -> dict[str, int]:
    """Return the published ports by name."""
    return {port["name"]: port["target"] for port in compose["services"]["network"]["ports"]}


def words(command: Any) -> list[str]:
    """Split a command, `--flag=value` too."""
    return [part for word in command for part in str(word).split("=", 1)]


def flags(command: Any) -> set[str]:
    """Return a command's options, without those that say where a server listens."""
    return {word for word in words(command) if word.startswith("--")} - {
        "--host",
        "--blobHost",
        "--bind-address",
    }


def script(command: Any) -> str:
    """Return the Python file that a command runs, as a path inside the repository."""
    found = next(word for word in words(command) if word.endswith(".py"))
    return found.replace(str(REPOSITORY), "").removeprefix(MOUNTED)


def tag(compose: dict[str, Any], service: str) -> str:
    """Return the version of a service's image."""
    return compose["services"][service]["image"].rpartition(":")[2]


def pinned(file: str, package: str) -> str:
    """Return a package's version in a requirements file."""
    text = (REPOSITORY / file).read_text()
    return re.search(rf"^{re.escape(package)}==([^\s;]+)", text, re.M)[1]


def test_it_is_valid_compose(compose: dict[str, Any]) -> None:
    schema = json.loads((Path(__file__).parent / "data/compose-spec.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)

    assert [f"{e.json_path}: {e.message}" for e in validator.iter_errors(compose)] == []
    assert not validator.is_valid({"services": {"a": {"imagge": "x"}}}), "the schema itself refuses nothing"


def test_the_services_are_devstacks(compose: dict[str, Any], devstack: Devstack) -> None:
    assert set(compose["services"]) == set(devstack.processes) | OURS_ALONE


def test_the_ports_are_those_that_devstack_gives_away(compose: dict[str, Any], devstack: Devstack) -> None:
    text = "\n".join(devstack.environment.values())
    offered = {name for name, port in devstack.ports.items() if f"127.0.0.1:{port}" in text}

    assert set(published(compose)) == offered


def test_a_port_is_the_same_inside_and_outside_and_for_this_machine_only(compose: dict[str, Any]) -> None:
    for port in compose["services"]["network"]["ports"]:
        assert port["published"] == str(port["target"])
        assert port["host_ip"] == "127.0.0.1"
    ports = list(published(compose).values())
    assert len(ports) == len(set(ports))


def test_every_service_shares_the_one_network(compose: dict[str, Any]) -> None:
    shared = {name for name, service in compose["services"].items() if service.get("network_mode")}

    assert shared == set(compose["services"]) - {"network"}
    assert {compose["services"][name]["network_mode"] for name in shared} == {"service:network"}


def test_the_variables_are_devstacks(compose: dict[str, Any], devstack: Devstack) -> None:
    expected = {}
    for name, value in devstack.environment.items():
        for service, port in published(compose).items():
            value = re.sub(rf"\b{devstack.ports[service]}\b", str(port), value)
        expected[name] = value.replace(str(REPOSITORY), MOUNTED)
    given = compose["services"]["scheduler"]["environment"]
    own_ports = {name for name, value in expected.items() if value in map(str, devstack.ports.values())}

    assert set(given) == set(expected)
    assert {n: v for n, v in given.items() if n not in DIFFERENT | own_ports} == {
        n: v for n, v in expected.items() if n not in DIFFERENT | own_ports
    }
    assert len({given[name] for name in own_ports}) == len(own_ports)


def test_all_of_airflow_has_one_environment(compose: dict[str, Any]) -> None:
    services = [*airflow.COMPONENTS, "airflow_init", "secret_manager"]
    one = compose["services"]["scheduler"]["environment"]

    assert all(compose["services"][name]["environment"] == one for name in services)


def test_airflows_components_run_as_in_devstack(compose: dict[str, Any], devstack: Devstack) -> None:
    for name in airflow.COMPONENTS:
        command = [str(part) for part in devstack.processes[name].command]
        wanted = [Path(command[0]).name, *(part.replace(str(REPOSITORY), MOUNTED) for part in command[1:])]
        assert compose["services"][name]["command"] == wanted


def test_our_servers_run_as_in_devstack(compose: dict[str, Any], devstack: Devstack) -> None:
    for name in ("bigquery", "gcs", "secret_manager"):
        assert script(compose["services"][name]["command"]) == script(devstack.processes[name].command)
    for name in ("bigquery", "azure"):
        assert flags(compose["services"][name]["command"]) == flags(devstack.processes[name].command)


def test_every_server_listens_where_it_is_published(compose: dict[str, Any]) -> None:
    for name, port in published(compose).items():
        service = compose["services"][name]
        settings = [*words(service.get("command", ())), *map(str, service.get("environment", {}).values())]
        assert str(port) in settings, name


def test_airflow_is_prepared_as_in_devstack(
    compose: dict[str, Any], devstack: Devstack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(airflow, "_airflow", lambda home, env, *arguments: ran.append(arguments))
    (tmp_path / "airflow").mkdir()
    airflow.migrate(
        type("Home", (), {"path": tmp_path})(), {**devstack.environment, "AIRFLOW_PASSWORD": "$$"}
    )
    lines = " ".join(compose["services"]["airflow_init"]["command"][-1].replace("\\\n", "").split())

    assert lines.replace('"$$AIRFLOW_PASSWORD"', "$$") == " ".join(f"airflow {' '.join(a)}" for a in ran)


def test_the_databases_are_devstacks(compose: dict[str, Any]) -> None:
    made = re.findall(r"CREATE DATABASE (\w+)", (REPOSITORY / "include/compose/postgres.sql").read_text())
    first = compose["services"]["postgres"]["environment"]
    second = compose["services"]["mysql"]["environment"]

    assert {*made, first["POSTGRES_DB"]} == set(postgres.DATABASES)
    assert (first["POSTGRES_USER"], first["POSTGRES_PASSWORD"]) == (postgres.USER, postgres.PASSWORD)
    assert (second["MYSQL_USER"], second["MYSQL_PASSWORD"]) == (mysql.USER, mysql.PASSWORD)
    assert f"'{mysql.USER}'@'%' WITH GRANT OPTION" in (REPOSITORY / "include/compose/mysql.sql").read_text()


def test_the_versions_are_devstacks(compose: dict[str, Any]) -> None:
    azurite = json.loads((REPOSITORY / "include/devstack/azurite/package.json").read_text())
    image = (REPOSITORY / "include/compose/airflow.Dockerfile").read_text()

    assert tag(compose, "azure") == azurite["dependencies"]["azurite"]
    assert tag(compose, "s3") == pinned("include/devstack/requirements/emulators.txt", "moto[server]")
    assert f"FROM apache/airflow:{pinned('requirements.txt', 'apache-airflow')}-python3.11\n" in image
    assert tag(compose, "mysql").startswith("8.")


def test_what_the_images_copy_and_the_services_mount_is_here(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        build = service.get("build")
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in compose["volumes"] or (REPOSITORY / source).exists(), (name, volume)
        if build:
            context = REPOSITORY / build["context"]
            dockerfile = (context / build["dockerfile"]).read_text()
            copied = [
                word for line in re.findall(r"^COPY (.+) \S+$", dockerfile, re.M) for word in line.split()
            ]
            assert [
                word for word in copied if not word.startswith("--") and not (context / word).exists()
            ] == []


def test_the_bigquery_image_has_the_bootstraps_extensions() -> None:
    bootstrap = (REPOSITORY / "include/devstack/bootstrap.sh").read_text()
    wanted = re.search(r"for name in \(([^)]*)\):\s+import_extension", bootstrap)[1]
    image = (REPOSITORY / "include/compose/bigquery.Dockerfile").read_text()

    assert re.findall(r"\w+", re.search(r"for name in \(([^)]*)\)", image)[1]) == re.findall(r"\w+", wanted)
