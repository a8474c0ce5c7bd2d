"""The documents say what is true: examples are valid, commands, keys, files and messages exist."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from etl_factory.cli import app
from etl_factory.config.defaults import BUILT_IN
from etl_factory.config.loading import load
from etl_factory.config.schema import schemas
from etl_factory.factory import run_parameters
from etl_factory.settings import Settings
from etl_factory.sources.words import parse_duration
from examples import REPOSITORY, TENANT, Write

PAGES = [REPOSITORY / name for name in ("README.md", "CHANGELOG.md")] + sorted(
    (REPOSITORY / "docs").glob("*.md")
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
CONNECTED = ("postgres", "mysql", "s3", "azure_blob")
PACKAGE = REPOSITORY / "plugins/etl_factory"


def fences(page: Path, *languages: str) -> list[str]:
    """Return a page's fenced blocks in one of the languages."""
    return [body for language, body in FENCE.findall(page.read_text()) if language in languages]


def examples() -> Iterator[Any]:
    """Yield every YAML example of every page."""
    for page in PAGES:
        for number, body in enumerate(fences(page, "yaml"), 1):
            yield pytest.param(body, id=f"{page.name}-{number}")


def as_files(example: str) -> dict[str, str]:
    """Return the config root that an example stands for: a whole file, or the resources of a source."""
    head, _, body = example.partition("\n")
    if match := re.fullmatch(r"# config/tenants/(\w+)/(\w+)\.yaml", head):
        tenant, name = match.groups()
        own = {f"{tenant}/tenant.yaml": TENANT.replace("tenant: acme", f"tenant: {tenant}")}
        return {**own, f"{tenant}/{name}.yaml": body}
    kind = re.fullmatch(r"# resources of a (\w+) source", head)
    assert kind, f"an example begins with its path or its source type, not with {head!r}"
    source = {"source": "example", "type": kind[1], "resources": yaml.safe_load(body)}
    text = yaml.safe_dump(
        source | ({"connection": "example"} if kind[1] in CONNECTED else {}), sort_keys=False
    )
    return {"acme/tenant.yaml": TENANT, "acme/example.yaml": text}


@pytest.mark.parametrize("example", list(examples()))
def test_examples_are_valid(example: str, write: Write) -> None:
    files = as_files(example)

    catalogue = load(write(files))

    assert [str(error) for broken in catalogue.errors for error in broken.errors] == []
    assert len(catalogue.tenants) == 1
    assert len(catalogue.sources) == len(files) - 1


def test_every_source_type_and_format_has_an_example() -> None:
    text = "\n".join(body for page in PAGES for body in fences(page, "yaml"))
    kinds = {*re.findall(r"type: (\w+)", text), *re.findall(r"of a (\w+) source", text)}

    assert {*CONNECTED, "bigquery", "gcs", "csv"} <= kinds | {"azure_blob"}
    assert {"csv", "jsonl", "parquet"} <= set(re.findall(r"format: (\w+)", text)) | kinds


# Commands


def spoken(prefix: str) -> set[str]:
    """Return every command line in the pages that begins with a word, in blocks and in running text."""
    found: set[str] = set()
    for page in PAGES:
        text = page.read_text()
        spans = [line for body in fences(page, "sh") for line in body.splitlines()]
        spans += re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
        for span in spans:
            found |= {part.strip() for part in re.findall(rf"(?:^|[|\s]){prefix} [^|#]+", span)}
    return found


@pytest.mark.parametrize("line", sorted(spoken("etl-factory")))
def test_commands_and_their_options_exist(line: str) -> None:
    command: Any = typer.main.get_command(app)
    words = shlex.split(line.partition("#")[0])[1:]
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"{words[0]} of {line!r}"
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}

    assert {word for word in words if word.startswith("--")} <= known


def configurations() -> list[str]:
    """Return what the pages' examples ask of a run, over REST and of Airflow's own backfill."""
    text = "\n".join(body for page in PAGES for body in fences(page, "sh"))
    return sorted(
        set(re.findall(r"\"conf\": (\{.*?\})\}", text) + re.findall(r"--dag-run-conf '(\{.*?\})'", text))
    )


@pytest.mark.parametrize("conf", configurations())
def test_what_is_asked_of_a_run_can_be(conf: str) -> None:
    found = next(s for s in load(REPOSITORY / "config/tenants").sources if s.dag_id == "acme__shop_db")
    parameters = run_parameters(list(found.spec.resources))

    for key, value in json.loads(conf).items():
        assert parameters[key].resolve(value) == value


def own_backfills() -> list[str]:
    """Return the commands that start Airflow's own backfill."""
    text = "\n".join(body for page in PAGES for body in fences(page, "sh")).replace("\\\n", " ")
    return re.findall(r"^airflow (backfill .*)$", text, re.M)


@pytest.mark.parametrize("line", own_backfills())
def test_airflows_own_backfill_is_spelt_as_it_takes_it(line: str) -> None:
    from airflow.cli.cli_parser import get_parser

    assert get_parser().parse_args(shlex.split(line)).dag_id == "acme__shop_db"


def test_the_examples_of_runs_are_found() -> None:
    assert len(configurations()) >= 3
    assert len(own_backfills()) >= 2


@pytest.mark.parametrize("line", sorted(spoken("make")))
def test_make_targets_exist(line: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), re.M))

    assert line.split()[1] in targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    links = [link for link in re.findall(r"\]\(([^)#\s]+)\)", text) if "://" not in link]
    paths = re.findall(r"`((?:plugins|config|include|tests|docs|dags)/[\w./]+)`", text)
    written = {
        name
        for body in (b for p in PAGES for b in fences(p, "yaml"))
        for name in re.findall(r"^# (\S+)", body)
    }

    assert [link for link in links if not (page.parent / link).exists()] == []
    assert [path for path in paths if not (REPOSITORY / path).exists() and path not in written] == []


# Keys


def tables() -> dict[str, dict[str, str]]:
    """Return configuration.md's tables of keys: model names to key to default."""
    text = (REPOSITORY / "docs/configuration.md").read_text()
    found = {}
    for names, body in re.findall(r"<!-- keys: (.+?) -->\n((?:\|.*\n)+)", text):
        rows = re.findall(r"^\| `(\w+)` \| ?([^|]*?) ?\|", body, re.M)
        assert len(rows) == len(body.splitlines()) - 2
        found[names] = dict(rows)
    return found


def models() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of every model that has keys, by name."""
    made = schemas()
    found = {"Tenant": made["tenant.schema.json"]}
    for schema in made.values():
        found |= {name: model for name, model in schema["$defs"].items() if "properties" in model}
    return found


def test_every_model_has_its_table() -> None:
    assert {name for names in tables() for name in names.split()} == set(models())


@pytest.mark.parametrize("names", list(tables()))
def test_keys_are_those_of_the_models(names: str) -> None:
    documented = tables()[names]
    known = {key for name in names.split() for key in models()[name]["properties"]}

    assert set(documented) == known


@pytest.mark.parametrize("names", list(tables()))
def test_required_keys_are_called_so(names: str) -> None:
    """A key that one of the models requires is required there, as its row says."""
    documented = {key for key, default in tables()[names].items() if default == "required"}

    assert documented == {key for name in names.split() for key in models()[name].get("required", ())}


@pytest.mark.parametrize("names", list(tables()))
def test_defaults_are_the_models(names: str) -> None:
    for name in names.split():
        for key, schema in models()[name]["properties"].items():
            default, shown = schema.get("default"), tables()[names].get(key, "").strip("`")
            if isinstance(default, bool):
                assert shown == str(default).lower(), key
            elif isinstance(default, str | int | float) and default != "":
                assert shown == str(default), key


def test_built_in_defaults_are_the_documented_ones() -> None:
    shown = {key: default.strip("`") for key, default in tables()["TaskDefaults"].items() if default}
    said = {key: getattr(BUILT_IN, key) for key in BUILT_IN.model_fields_set}

    assert {k: parse_duration(v) if isinstance(said[k], timedelta) else v for k, v in shown.items()} == {
        key: value if isinstance(value, timedelta) else str(value) for key, value in said.items()
    }


def test_every_variable_is_documented() -> None:
    page = (REPOSITORY / "docs/configuration.md").read_text()
    read = set(re.findall(r'"(ETL_FACTORY_\w+)"', (PACKAGE / "settings.py").read_text()))

    assert set(re.findall(r"^\| `(ETL_FACTORY_\w+)`", page, re.M)) == read
    assert len(read) == len(Settings.__dataclass_fields__)


# Messages


def texts() -> list[str]:
    """Return every text in the code, `…` standing for what is put in, without backticks."""
    found = []
    for folder in ("plugins/etl_factory", "include/devstack", "include/demo"):
        for file in (REPOSITORY / folder).rglob("*.py"):
            found += [text_of(node) for node in ast.walk(ast.parse(file.read_text()))]
    found.append((REPOSITORY / "include/devstack/bootstrap.sh").read_text())
    return [text.replace("`", "") for text in found if text]


def text_of(node: ast.AST) -> str:
    """Return a text literal as it would be shown."""
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or "…" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def messages() -> list[str]:
    """Return the messages that troubleshooting.md explains."""
    page = (REPOSITORY / "docs/troubleshooting.md").read_text()
    return re.findall(r"^\| `([^`]+)` \|", page, re.M)


@pytest.fixture(scope="module")
def known_texts() -> list[str]:
    return texts()


@pytest.mark.parametrize("message", messages())
def test_messages_are_the_codes_own(message: str, known_texts: list[str]) -> None:
    assert any(message in text for text in known_texts)


# Words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_are_plain(page: Path) -> None:
    text = page.read_text()

    assert (
        re.findall(
            r"(?i)\b(simply|easily|seamless\w*|blazing\w*|powerful|robust|leverag\w+|effortless\w*)\b", text
        )
        == []
    )
    assert [line for line in text.splitlines() if len(line) > 120 and "|" not in line] == []


def test_the_readme_opens_with_the_picture_and_six_lines() -> None:
    text = (REPOSITORY / "README.md").read_text()
    flow = text.partition("The core flow:")[2].partition("![")[0]

    assert text.index("```") < text.index("The core flow:") < text.index("## ")
    assert re.findall(r"^(\d)\. ", flow, re.M) == list("123456")
