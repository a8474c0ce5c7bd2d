"""Names that make every write idempotent: stable where a retry must find them, new where it must not."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import date

from etl_factory.identity import attempt, digest, load_id
from examples import REPOSITORY


def test_a_load_id_is_the_same_for_every_try_of_a_run() -> None:
    assert load_id("acme__shop_db", "orders", "scheduled__2025-01-01") == "ld_90c522d6f5719e3ccef1"


def test_a_load_id_differs_by_dag_resource_and_run() -> None:
    ids = {
        load_id(dag, resource, run)
        for dag in ("acme__a", "acme__a_b")
        for resource in ("b_c", "c")
        for run in ("manual__1", "manual__2")
    }

    assert len(ids) == 8


def test_a_load_id_fits_a_job_id_and_a_label() -> None:
    assert re.fullmatch(
        r"ld_[0-9a-f]{20}", load_id("acme__zażółć", "o'rders`", "manual__2025-01-01T00:00:00+00:00")
    )


def test_two_tries_never_share_a_name() -> None:
    names = {attempt("extract", 1) for _ in range(1000)}

    assert len(names) == 1000
    assert all(re.fullmatch(r"extract-1-[0-9a-f]{8}", name) for name in names)


def test_a_digest_ignores_the_order_of_keys_and_nothing_else() -> None:
    document = {"a": 1, "b": [1, 2], "c": {"x": None, "y": date(2025, 1, 1)}}

    assert digest(document) == digest({"c": {"y": date(2025, 1, 1), "x": None}, "b": [1, 2], "a": 1})
    assert digest(document) != digest({**document, "b": [2, 1]})
    assert digest({"a": "1"}) != digest({"a": 1})
    assert digest({"a": None}) != digest({})


def test_a_digest_is_the_same_in_every_process() -> None:
    program = "from etl_factory.identity import digest; print(digest({'z': 'ą', 'a': [1, {'k': True}]}))"
    seeds = ("0", "1")
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY / "plugins")},
            capture_output=True,
            check=True,
            text=True,
        ).stdout.strip()
        for seed in seeds
    }

    assert printed == {digest({"z": "ą", "a": [1, {"k": True}]})}
