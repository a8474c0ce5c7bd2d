"""The house rules that a machine can check: registers, layers, imports, sizes, marks and words."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import get_args

import pytest

from etl_factory.cli import app
from etl_factory.config.loading import load
from etl_factory.operators.load import GCSToStagingOperator
from etl_factory.sources import SOURCES, formats, source_class
from etl_factory.sources.specs import FormatSpec
from examples import REPOSITORY

PACKAGE = REPOSITORY / "plugins/etl_factory"
MODULES = sorted(PACKAGE.rglob("*.py"))
FOLDERS = ("plugins", "include", "dags", "docs", "tests")
PYTHON = sorted(file for folder in FOLDERS for file in (REPOSITORY / folder).rglob("*.py"))
EXAMPLES = REPOSITORY / "config/tenants"

# Entry points above, pure modules below; a line imports only from lines under it, never its own neighbours.
LAYERS = (
    ("cli", "wizard", "plugin"),
    ("loader",),
    ("factory",),
    ("description", "report"),
    ("transfers",),
    ("operators",),
    ("config",),
    ("connections",),
    ("sources", "warehouse", "secret_manager"),
    ("landing",),
    ("schema",),
    ("errors", "settings", "identity", "windows"),
)
RANKS = {name: -height for height, line in enumerate(LAYERS) for name in line}
WITHOUT_AIRFLOW = {
    "config", "description", "errors", "identity", "landing", "report", "schema", "settings", "sources",
    "warehouse", "windows",
}  # fmt: skip

# Who may touch the process environment besides settings.py, and why.
ENVIRONMENT = {
    "__init__.py": "names Arrow's memory pool before Arrow is imported",
    "settings.py": "the one reader of ETL_FACTORY_*",
    "connections.py": "asks whether Airflow's own AIRFLOW_CONN_<ID> is set",
    "secret_manager.py": "asks whether Airflow's own AIRFLOW_CONN_<ID> is set",
    "cli/private_airflow.py": "prepares the environment of the Airflow that it starts",
}
MAX_FUNCTION, MAX_MODULE, MAX_PARAMETERS = 40, 400, 6
Function = ast.FunctionDef | ast.AsyncFunctionDef

PARSE = """
import json, socket, sys
from importlib import import_module

def refuse(*_):
    raise RuntimeError("parsing must not reach for the network")

socket.socket.connect = refuse
socket.getaddrinfo = refuse
root, *parents = sys.argv[1:]
for name in parents:
    import_module(name)
import airflow.sdk
airflow.sdk.Asset(uri="bigquery://project/dataset/table")  # makes Airflow import every provider's assets
before = set(sys.modules)
from etl_factory.loader import tenant_dags
dags = tenant_dags(config_root=root)
print("RESULT" + json.dumps({"dags": sorted(dags), "added": sorted(set(sys.modules) - before)}))
"""
IMPORT = """
import json, sys
from importlib import import_module
import_module(sys.argv[1])
print("RESULT" + json.dumps(sorted(sys.modules)))
"""


def in_a_fresh_process(code: str, *arguments: str) -> object:
    """Run Python code and return the JSON that it prints after RESULT."""
    env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments],
        env=env, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.rpartition("RESULT")[2])


def name_of(module: Path) -> str:
    """Return a module's path inside the package."""
    return str(module.relative_to(PACKAGE))


def layer_of(module: Path) -> str:
    """Return the folder or file of the package that a module belongs to."""
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield every imported module with its line, imports inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "etl_factory":
            yield from ((f"etl_factory.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.lineno


def functions(tree: ast.AST) -> Iterator[Function]:
    """Yield every function and method."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def read(module: Path) -> ast.Module:
    """Parse a module."""
    return ast.parse(module.read_text(encoding="utf-8"))


def marked(file: Path) -> object:
    """Make a file a test's parameter, named by its path."""
    return pytest.param(file, id=str(file.relative_to(REPOSITORY)))


# Registers


def test_every_source_type_is_registered() -> None:
    modules = {file.stem for file in (PACKAGE / "sources").glob("*.py") if not file.stem.startswith("_")}

    assert {source.__module__.rpartition(".")[2] for source in SOURCES} == modules - {
        "base",
        "specs",
        "words",
    }
    assert len({source.type for source in SOURCES}) == len(SOURCES)


def test_every_transfer_is_a_source_types_own() -> None:
    modules = {file.stem for file in (PACKAGE / "transfers").glob("*_to_*.py")}
    used = {source.transfer.partition(":")[0].rpartition(".")[2] for source in SOURCES}

    assert used == modules


def test_a_source_type_says_what_it_is() -> None:
    for source in SOURCES:
        assert source_class(source.type) is source
        assert source.spec.model_fields["type"].annotation.__args__ == (source.type,)
        assert source.title
        assert source.conn_types


def test_every_format_is_registered() -> None:
    """`parsed` is no format of YAML: it is what extract makes of a file whose columns are partly hidden."""
    modules = {f.stem for f in (PACKAGE / "sources/formats").glob("*.py") if not f.stem.startswith("_")}
    specs = get_args(get_args(FormatSpec)[0])
    readers = {
        type(formats.format_of(spec(type=get_args(spec.model_fields["type"].annotation)[0])))
        for spec in specs
    }

    assert {reader.__module__.rpartition(".")[2] for reader in readers} == modules - {
        "base",
        "kept",
        "lattice",
        "parsed",
    }
    assert len(readers) == len(specs)


# Layers


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_imports_go_downwards(module: Path) -> None:
    own = layer_of(module)
    if own == "__init__":
        assert {name for name, _ in imports(read(module))} <= {"os", "sys"}
        return
    wrong = [
        f"line {line}: {name}"
        for name, line in imports(read(module))
        if name.startswith("etl_factory.") and (to := name.split(".")[1]) != own and RANKS[to] >= RANKS[own]
    ]

    assert wrong == []


@pytest.mark.parametrize("module", [m for m in MODULES if layer_of(m) in WITHOUT_AIRFLOW], ids=name_of)
def test_airflow_stays_above(module: Path) -> None:
    found = [name for name, _ in imports(read(module)) if name.split(".")[0] == "airflow"]

    assert found == []


def test_the_package_imports_nothing_of_include() -> None:
    names = {folder.name for folder in (REPOSITORY / "include").iterdir() if folder.is_dir()}
    found = [
        (name_of(m), name) for m in MODULES for name, _ in imports(read(m)) if name.split(".")[0] in names
    ]

    assert found == []


# Parsing


def test_parsing_is_offline_and_adds_nothing_heavy_to_the_providers() -> None:
    operators = [GCSToStagingOperator, *(_operator(source.transfer) for source in SOURCES)]
    bases = {base.__module__ for operator in operators for base in operator.__mro__}
    parents = sorted(name for name in bases if name.startswith("airflow."))

    result = in_a_fresh_process(PARSE, str(EXAMPLES), *parents)

    own = {name.split(".")[0] for name in result["added"]} - set(sys.stdlib_module_names)
    assert own <= {"etl_factory", "airflow", "croniter", "cron_descriptor"}
    assert set(result["dags"]) == {source.dag_id for source in load(EXAMPLES).sources}


def _operator(path: str) -> type:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


@pytest.mark.parametrize("module", ["etl_factory.cli", "etl_factory.config.loading", "etl_factory.report"])
def test_validating_and_describing_need_no_airflow_and_no_sdk(module: str) -> None:
    heavy = {
        "airflow", "pyarrow", "numpy", "pandas", "sqlalchemy", "requests", "grpc", "boto3", "botocore",
        "azure.storage", "google.auth", "google.cloud.bigquery", "google.cloud.storage", "MySQLdb",
        "psycopg2", "adbc_driver_manager",
    }  # fmt: skip

    assert heavy & set(in_a_fresh_process(IMPORT, module)) == set()


def test_the_environment_is_read_in_one_place() -> None:
    found = {
        name_of(module)
        for module in MODULES
        for node in ast.walk(read(module))
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb"))
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    }
    assert found <= set(ENVIRONMENT)


def test_our_own_variables_are_known_to_settings() -> None:
    settings = set(re.findall(r"ETL_FACTORY_\w+", (PACKAGE / "settings.py").read_text()))
    named = {name for m in MODULES for name in re.findall(r"\bETL_FACTORY_[A-Z_]+\b", m.read_text())}

    assert named <= settings


# Sizes


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_sizes(module: Path) -> None:
    text = module.read_text()
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in functions(read(module))
        if node.end_lineno - node.lineno + 1 > MAX_FUNCTION
    ]

    assert long == []
    assert len(text.splitlines()) <= MAX_MODULE


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_function_has_few_parameters(module: Path) -> None:
    """A reasoned `noqa: PLR0913` is for commands, whose parameters are their options."""
    lines = module.read_text().splitlines()
    many = [
        node.name
        for node in functions(read(module))
        if len(_parameters(node)) > MAX_PARAMETERS
        and not re.search(r"noqa: [^-]*PLR0913[^-]* - ", lines[node.lineno - 1])
    ]

    assert many == []


def _parameters(node: Function) -> list[str]:
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    own = names[1:] if names[:1] in (["self"], ["cls"]) else names
    return [*own, *(argument.arg for argument in node.args.kwonlyargs)]


# Marks and words


@pytest.mark.parametrize("file", [marked(file) for file in PYTHON])
def test_every_mark_has_its_reason(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    bare = [
        f"{number}: {line.strip()}"
        for number, line in enumerate(lines, 1)
        if (
            re.search(r"#\s*noqa(?!: [A-Z0-9, ]+ - \S)", line)
            or re.search(r"#\s*type: ignore(?!\[.+?\]  # \S)", line)
        )
        and file != Path(__file__)
    ]

    assert bare == []


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_public_things_have_docstrings(module: Path) -> None:
    """Methods of Python's own file protocol need none."""
    tree = read(module)
    scopes = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef) and not _is_private(node))]
    bare = [
        node.name
        for scope in scopes
        for node in scope.body
        if isinstance(node, Function | ast.ClassDef) and not _is_private(node) and not ast.get_docstring(node)
        if scope is tree or node.name not in dir(io.BufferedReader)
    ]

    assert ast.get_docstring(tree)
    assert bare == []


def _is_private(node: Function | ast.ClassDef) -> bool:
    return node.name.startswith("_")


def test_no_unfinished_business_and_no_emoji() -> None:
    kinds = (".py", ".md", ".yaml", ".toml", ".sh", ".sql", ".Dockerfile")
    tops = [file for file in REPOSITORY.iterdir() if file.suffix in kinds or file.name == "Makefile"]
    folders = [*(set(FOLDERS) - {"tests"}), "config"]  # a test's data may well hold an emoji
    inner = [file for name in folders for file in (REPOSITORY / name).rglob("*") if file.suffix in kinds]
    marks = re.compile(r"\b(TODO|FIXME|XXX)\b|[\U0001F300-\U0001FAFF\u2600-\u27BF\uFE0F]")
    found = [
        f"{file.relative_to(REPOSITORY)}:{number}"
        for file in (*tops, *inner)
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if marks.search(line)
    ]

    assert found == []


def test_every_test_file_has_a_name_of_its_own() -> None:
    names = Counter(path.name for path in (REPOSITORY / "tests").rglob("test_*.py"))

    assert [name for name, times in names.items() if times > 1] == []


def test_the_changelog_tells_of_what_is_not_released() -> None:
    headings = re.findall(r"^## (.+)$", (REPOSITORY / "CHANGELOG.md").read_text(), re.M)

    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", heading) for heading in headings[1:])


# Examples and commands


def test_every_example_is_valid() -> None:
    catalogue = load(EXAMPLES, frozenset({"acme"}))

    assert [str(error) for broken in catalogue.errors for error in broken.errors] == []
    assert len(catalogue.sources) == len(list(EXAMPLES.glob("*/*.yaml"))) - len(catalogue.tenants)
    assert {source.spec.type for source in catalogue.sources} == {source.type for source in SOURCES}


def commands() -> list[str]:
    """Return every command of the command line, groups spelt out."""
    own = [command.name or command.callback.__name__ for command in app.registered_commands]
    grouped = [
        f"{group.name} {command.name or command.callback.__name__}"
        for group in app.registered_groups
        for command in group.typer_instance.registered_commands
    ]
    return [*own, *grouped]


@pytest.mark.parametrize("command", commands())
def test_every_command_is_documented(command: str) -> None:
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]

    assert any(f"etl-factory {command}" in page.read_text() for page in pages)
