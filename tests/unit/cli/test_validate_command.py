"""`etl-factory validate` and `schema`: findings, counts and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Command, Invoke, only_json

from etl_factory.config.schema import schemas
from examples import REPOSITORY, SOURCE, TENANT, Write


def test_valid_files_are_counted(invoke: Invoke, write: Write) -> None:
    root = write({"acme/tenant.yaml": TENANT, "acme/shop_db.yaml": SOURCE})
    result = invoke("validate", "--config-root", root)
    assert (result.exit_code, result.stdout) == (0, "ok: 1 tenant, 1 source, 1 resource\n")


def test_every_finding_has_its_file_line_and_path(invoke: Invoke, write: Write) -> None:
    broken = SOURCE.replace("table: public.orders", "tabel: public.orders")
    root = write({"acme/tenant.yaml": TENANT, "acme/shop_db.yaml": broken, "acme/good.yaml": SOURCE})
    result = invoke("validate", "--config-root", root)
    assert result.exit_code == 1
    assert (
        f"{root}/acme/shop_db.yaml:6: resources.orders.tabel: unknown key; did you mean 'table'?"
        in result.stdout
    )
    assert result.stdout.splitlines()[-1].endswith("valid: 1 tenant, 0 sources, 0 resources")


def test_json_is_the_whole_output(invoke: Invoke, write: Write) -> None:
    root = write({"acme/tenant.yaml": TENANT, "acme/shop_db.yaml": "source: shop_db\n"})
    result = invoke("validate", "--config-root", root, "--json")
    document = only_json(result.stdout)
    assert result.exit_code == 1
    assert (document["ok"], document["tenants"], document["sources"]) == (False, 1, 0)
    assert {"file", "line", "path", "message"} == set(document["findings"][0])


def test_a_broken_tenant_is_one_finding_however_many_sources_it_has(invoke: Invoke, write: Write) -> None:
    files = {f"acme/s{i}.yaml": SOURCE.replace("shop_db", f"s{i}") for i in range(3)}
    root = write({"acme/tenant.yaml": TENANT + "colour: red\n", **files})
    lines = invoke("validate", "--config-root", root).stdout.splitlines()
    assert len([line for line in lines if "colour" in line]) == 1


def test_an_empty_root_is_a_finding(invoke: Invoke, write: Write) -> None:
    result = invoke("validate", "--config-root", write({}))
    assert result.exit_code == 1
    assert "there is no tenant here" in result.stdout


@pytest.mark.parametrize("command", ["validate", "run a b", "check a b", "discover a b"])
def test_a_root_that_is_no_folder_is_a_usage_error(invoke: Invoke, command: str, tmp_path: Path) -> None:
    result = invoke(*command.split(), "--config-root", tmp_path / "nowhere", "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"--config-root {tmp_path}/nowhere is not a folder\n"


def test_a_bucket_is_refused_where_a_folder_is_needed(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETL_FACTORY_CONFIG_ROOT", "gs://bucket/tenants")
    result = invoke("validate")
    assert result.exit_code == 2
    assert "gs://bucket/tenants: this command reads a local folder" in result.stderr


def test_schema_prints_both_schemas(invoke: Invoke) -> None:
    document = only_json(invoke("schema").stdout)
    assert document == {"ok": True, **schemas()}


def test_schema_writes_what_the_repository_holds(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("schema", "--write", tmp_path / "made")
    names = ["source.schema.json", "tenant.schema.json"]
    assert result.stdout.split() == [str(tmp_path / "made" / name) for name in names]
    for name in names:
        kept = json.loads((REPOSITORY / "include/schema" / name).read_text())
        assert json.loads((tmp_path / "made" / name).read_text()) == kept


class TestExitCodes:
    """Of the installed command, in a process of its own."""

    def test_fine_is_0(self, command: Command) -> None:
        done = command("validate", "--config-root", REPOSITORY / "config/tenants")
        assert (done.returncode, done.stderr) == (0, "")

    def test_findings_are_1(self, command: Command, write: Write) -> None:
        done = command("validate", "--config-root", write({"acme/tenant.yaml": "tenant: acme\n"}))
        assert (done.returncode, done.stderr) == (1, "")

    def test_usage_is_2(self, command: Command) -> None:
        done = command("validate", "--colour")
        assert (done.returncode, done.stdout) == (2, "")
        assert "--colour" in done.stderr
