"""docs/types.md says what the code does: its tables are drawn from it, its names are those of the naming rules.

`ETL_FACTORY_UPDATE_SNAPSHOTS=1 pytest tests/contract/test_types_document.py` draws the tables anew.
"""

from __future__ import annotations

import os
import re

from type_table import filled, marks, sections

from etl_factory.schema.naming import column_name
from examples import REPOSITORY

PAGE = REPOSITORY / "docs/types.md"


def test_the_tables_are_the_codes_own() -> None:
    made, page = sections(), PAGE.read_text()
    if os.environ.get("ETL_FACTORY_UPDATE_SNAPSHOTS"):
        PAGE.write_text(filled(page, made))

    assert PAGE.read_text() == filled(page, made)
    assert list(marks(page)) == list(made)


def test_names_are_made_as_the_page_says() -> None:
    examples = re.findall(r"^\| `([^`]*)` \| `(\w+)` \|", PAGE.read_text().partition("## Types")[0], re.M)

    assert len(examples) >= 10
    assert [(original, column_name(original)) for original, _ in examples] == examples
