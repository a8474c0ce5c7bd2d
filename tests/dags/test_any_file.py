"""Whatever one config file says, and whatever it is called: it has one DAG, and costs no other file its own."""

from __future__ import annotations

import json
import os
import string
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization
from drawn import config_roots
from hypothesis import HealthCheck, example, given, settings

from etl_factory import factory, loader
from etl_factory.config import reading
from etl_factory.config.loading import load
from etl_factory.loader import tenant_dags
from examples import SOURCE, TENANT, Write

GOOD = {b"good/tenant.yaml": TENANT.replace("acme", "good"), b"good/shop_db.yaml": SOURCE}
UNSPOKEN = SOURCE + 'schedule: "2 10,*/3 * * *"'  # a schedule that has no words
ROLES = frozenset({"acme"})
# Airflow's metadata database: https://airflow.apache.org/docs/apache-airflow/stable/database-erd-ref.html
LONGEST = {"dag_id": 250, "task_id": 250, "tag": 100, "owners": 2000, "timetable": 1000, "asset": 1500}


def written(root: Path, files: dict[bytes, bytes]) -> list[bytes]:
    """Write those files that this machine can have; return their paths inside the root."""
    made = []
    for name, content in files.items():
        path = os.path.join(os.fsencode(root), name)
        try:
            if os.path.commonpath([os.path.normpath(path), os.fsencode(root)]) == os.fsencode(root):
                os.makedirs(os.path.dirname(path), exist_ok=True)
                Path(os.fsdecode(path)).write_bytes(content)
                made.append(os.path.relpath(path, os.fsencode(root)))
        except (OSError, ValueError):
            continue  # a name with a NUL, or one that is too long, or a folder: no such file can be
    return made


def expected_count(root: Path) -> int:
    """Count the files that must have a DAG: all YAML but the tenants' own files that are right."""
    paths = [p for p in root.rglob("*") if p.suffix in (".yaml", ".yml") and p.is_file()]
    hidden = [p for p in paths if any(part.startswith(".") for part in p.relative_to(root).parts)]
    hidden += [p for p in paths if p.relative_to(root).parts[0].startswith("__") and p.parent != root]
    tenants = {folder / "tenant.yaml" for folder in root.iterdir() if folder.is_dir()}
    read = {t for t in tenants if not t.parent.name.startswith((".", "__"))}
    broken = {broken.path for broken in load(root, ROLES).errors} & read
    return len(set(paths) - set(hidden) - tenants) + len(broken)


def strings(value: Any) -> Iterator[str]:
    """Walk all text of a JSON document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from (key, *strings(item))
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def serialized(dag: DAG) -> str:
    """Serialise a DAG as Airflow stores it; fails for what its database refuses."""
    text = json.dumps(DagSerialization.to_dict(dag), allow_nan=False)
    assert not any("\0" in part for part in strings(json.loads(text)))
    assert json.dumps(json.loads(text), ensure_ascii=False).encode("utf-8")
    lengths = {
        "dag_id": len(dag.dag_id),
        "task_id": max(len(task.task_id) for task in dag.tasks),
        "tag": max(map(len, dag.tags)),
        "owners": len(dag.owner),
        "timetable": len(getattr(dag.timetable, "description", "")),
        "asset": max((len(outlet.uri) for task in dag.tasks for outlet in task.outlets), default=0),
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST[name]} == {}
    return text


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(files=config_roots())
@example(files={b"x" * 120 + b"/shop_db.yaml": b"["})
@example(files={b"acme/\xff.yaml": b"\0", b"\xff/a.yaml": b"a: 1"})
@example(
    files={b"acme/tenant.yaml": TENANT.encode(), b"acme/shop_db.yaml": SOURCE.encode() + b'owner: "a\\0"'}
)
@example(files={b"acme/empty.yaml": b"{}", b"acme/nothing.yaml": b""})
@example(files={b"a__b/c.yaml": b"a: 1", b"a/b__c.yaml": b"a: 1"})
@example(files={b"acme/tenant.yaml": TENANT.encode(), b"acme/shop_db.yaml": UNSPOKEN.encode()})
def test_any_files_have_one_dag_each_and_the_good_one_stays_as_it_is(files: dict[bytes, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        written(root, {name: text.encode() for name, text in GOOD.items()})
        alone = serialized(tenant_dags(config_root=root)["good__shop_db"])
        written(root, {name: text for name, text in files.items() if not name.startswith(b"good/")})

        dags = {dag_id: serialized(dag) for dag_id, dag in loaded(root).items()}

        assert dags["good__shop_db"] == alone
        assert len(dags) == expected_count(root)


def loaded(root: Path) -> dict[str, DAG]:
    """Return the DAGs of a root; no file may get there by an error that nobody foresaw."""
    dags = tenant_dags(config_root=root)
    assert [
        dag.doc_md for dag in dags.values() if "this is a defect of ETL Factory" in (dag.doc_md or "")
    ] == []
    return dags


SECRET = "postgres://app:s3cret@db"


def explode(*_: object) -> None:
    """Fail as no code of ours is known to."""
    raise OverflowError(SECRET)


@pytest.mark.parametrize(
    ("module", "name", "broken"),
    [
        (loader, "build_dag", ["acme__crm_db", "acme__shop_db"]),
        (factory, "timetable", ["acme__crm_db", "acme__shop_db"]),
        (reading, "source_errors", ["acme__crm_db", "acme__shop_db"]),
        (reading, "tenant_limits", ["acme__crm_db", "acme__shop_db", "acme__tenant"]),
    ],
)
def test_what_nobody_foresaw_is_the_files_own_error(
    module: object, name: str, broken: list[str], write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    crm = SOURCE.replace("shop_db", "crm_db")
    files = {
        "acme/tenant.yaml": TENANT,
        "acme/shop_db.yaml": SOURCE + "schedule: daily\n",
        "acme/crm_db.yaml": crm,
    }
    root = write({**files, "globex/shop_db.yaml": "["})
    monkeypatch.setattr(module, name, failing(getattr(module, name)))

    dags = tenant_dags("acme", config_root=root)

    assert sorted(dags) == broken
    for dag in dags.values():
        (task,) = dag.tasks
        assert "ETL Factory failed with OverflowError" in task.message
        assert "report it with this line" in task.message
        assert "s3cret" not in serialized(dag) + task.message


def failing(real: Any) -> Any:
    """Fail at every call, but that for a DAG without a schedule, as this file's config-error DAG is."""

    def fail(*args: Any) -> Any:
        return real(*args) if args[:1] == (None,) else explode()

    return fail


def test_no_name_is_lost_by_being_cut(write: Write) -> None:
    twins = {f"{'x' * 120}{letter}/{'y' * 100}.yaml": SOURCE for letter in string.ascii_lowercase}

    assert len(tenant_dags(config_root=write(twins))) == 2 * len(twins)
