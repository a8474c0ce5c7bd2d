"""README.md claims what results.json holds, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import claims
from benchmarks.cases import cases
from benchmarks.results import read
from benchmarks.scale import Scale
from examples import REPOSITORY


def test_the_readme_claims_what_was_measured() -> None:
    readme, results = (REPOSITORY / "README.md").read_text(), read()

    assert not results.scale["is_quick"]
    assert claims.filled(readme, results) == readme
    assert (
        readme.count("\n| ", readme.index(claims.BEGIN), readme.index(claims.END)) == len(claims.CLAIMS) + 1
    )


def test_a_claim_is_a_ratio_of_what_was_measured() -> None:
    results = read()
    halved = [
        {**sample, "seconds": sample["seconds"] / 2}
        if sample["who"] == "ours" and "error" not in sample
        else sample
        for sample in results.samples
    ]

    before, after = (
        float(claims.table(of).splitlines()[2].split("|")[3])
        for of in (results, replace(results, samples=halved))
    )

    assert after == pytest.approx(2 * before, rel=0.1)


def test_every_claim_is_of_a_case_that_is_measured() -> None:
    measured = {(case.group, case.who) for case in cases(Scale(), Path("work"))}

    assert {(claim.group, who) for claim in claims.CLAIMS for who in (claim.ours, claim.who)} <= measured


def test_a_text_without_the_marks_is_an_error() -> None:
    with pytest.raises(ValueError, match="<!-- speed -->"):
        claims.filled("no table", read())
