"""The naming rules as a table of examples, and what must hold for any name at all."""

from __future__ import annotations

import re
import sys
import unicodedata
from hashlib import sha256

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from etl_factory.errors import SchemaError
from etl_factory.schema import naming
from etl_factory.schema.naming import LONGEST, column_name, is_reserved, name_columns

LEGAL_IN_BIGQUERY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")
FORBIDDEN_IN_BIGQUERY = (
    "_TABLE_", "_FILE_", "_PARTITION", "_ROW_TIMESTAMP", "__ROOT__", "_COLIDENTIFIER",
    "_CHANGE_SEQUENCE_NUMBER", "_CHANGE_TYPE", "_CHANGE_TIMESTAMP",
)  # fmt: skip


@pytest.mark.parametrize(
    ("original", "name"),
    [
        ("id", "id"),
        ("Id", "id"),
        ("orderId", "orderid"),
        ("Order No.", "order_no"),
        ("  padded  ", "padded"),
        ("a - b", "a_b"),
        ("a__b", "a__b"),
        ("a\nb", "a_b"),
        ("a\tb\r\n", "a_b"),
        ("a\x00b", "a_b"),
        ("soft\u00adhyphen", "softhyphen"),
        ("zero\u200bwidth", "zerowidth"),
        ("\ufeffid", "id"),
        ("_private", "_private"),
        ("__dunder__", "__dunder"),
        ("-dash-", "dash"),
        ("2024", "_2024"),
        ("2nd value", "_2nd_value"),
        ("１２", "_12"),
        ("Größe (m²)", "grosse_m2"),
        ("Zażółć gęślą", "zazolc_gesla"),
        ("Łódź", "lodz"),
        ("ŁÓDŹ", "lodz"),
        ("smørrebrød", "smorrebrod"),
        ("Ærø", "aero"),
        ("Þór", "thor"),
        ("ıdaho İzmir", "idaho_izmir"),
        ("µg", "ug"),
        ("μg", "ug"),
        ("Price €", "price_eur"),
        ("VAT %", "vat_percent"),
        ("％", "percent"),
        ("Order #", "order_no"),
        ("R&D", "r_and_d"),
        ("№ 5", "no_5"),
        ("ﬁne", "fine"),
        ("K", "k"),
        ("_TABLE_id", "x_table_id"),
        ("_table_suffix", "x_table_suffix"),
        ("_FILE_NAME", "x_file_name"),
        ("_PARTITIONTIME", "x_partitiontime"),
        ("_partition", "x_partition"),
        ("_ROW_TIMESTAMP", "x_row_timestamp"),
        ("__ROOT__x", "x__root__x"),
        ("_COLIDENTIFIER", "x_colidentifier"),
        ("_CHANGE_SEQUENCE_NUMBER", "x_change_sequence_number"),
        ("_CHANGE_TYPE", "x_change_type"),
        ("_CHANGE_TIMESTAMP", "x_change_timestamp"),
        ("_etl_load_id", "x_etl_load_id"),
        ("_partner", "_partner"),
        ("table_id", "table_id"),
        ("a" * 300, "a" * 300),
        ("a" * 301, "a" * 291 + "_eb22b48c"),
        ("???", "column_a03b221c"),
        ("", "column_e3b0c442"),
        ("_", "column_d2e2adf7"),
        ("価格", "column_855e4ca0"),
        ("価格 EUR", "eur"),
        ("価格2", "_2"),
        ("цена", "cena"),
        ("Цена, €", "cena_eur"),
        ("Подъезд", "podezd"),
        ("Йод ё ї", "iod_e_i"),
        ("Щедрий ґанок", "shchedrii_ganok"),
        ("Љубав њена џеп ђак ћуп", "ljubav_njena_dzep_djak_cup"),
        ("STRAẞE", "strasse"),
        ("Ħobż", "hobz"),
        ("Əliyev", "eliyev"),
        ("Eŋ", "eng"),
    ],
)
def test_names(original: str, name: str) -> None:
    assert column_name(original) == name


def test_long_names_that_begin_alike_stay_apart() -> None:
    one, other = (column_name("a" * 400 + end) for end in "xy")
    assert one != other
    assert len(one) == len(other) == LONGEST


def test_names_without_letters_stay_apart() -> None:
    assert column_name("価格") != column_name("数量")


@pytest.mark.parametrize("prefix", FORBIDDEN_IN_BIGQUERY)
@pytest.mark.parametrize("case", [str.upper, str.lower, str.title])
def test_forbidden_beginnings(prefix: str, case) -> None:
    assert is_reserved(case(prefix) + "x")
    assert not is_reserved(column_name(case(prefix) + "x"))


anything = st.characters()  # lone surrogates too, which no encoding holds
names = (
    st.text(anything)
    | st.text(anything, min_size=LONGEST - 5, max_size=LONGEST + 20)
    | st.integers(LONGEST - 5, LONGEST + 5).flatmap(lambda n: st.text("_aA1", min_size=n, max_size=n))
    | st.text("_aA1 -ł%")
    | st.sampled_from(FORBIDDEN_IN_BIGQUERY).flatmap(
        lambda prefix: st.text("_aA1").map(lambda end: prefix + end)
    )
)


@given(names)
@example("_" * 400)
@example("_" * 299 + "1" * 10)
@example("\ud800")
@example("1" * 300)
@example("_partition" * 31)
def test_every_name_is_legal_and_its_own_name(original: str) -> None:
    name = column_name(original)
    assert LEGAL_IN_BIGQUERY.fullmatch(name)
    assert not name.upper().startswith(FORBIDDEN_IN_BIGQUERY)
    assert column_name(name) == name


@given(st.lists(names, max_size=5), st.data())
@example(["Id", "ID"], None)
def test_no_two_columns_are_merged(originals: list[str], data: st.DataObject | None) -> None:
    """A name does not depend on the other columns, and two of one name are refused."""
    alone = [column_name(original) for original in originals]
    shuffled = data.draw(st.permutations(originals)) if data else originals
    if len({name.lower() for name in alone}) == len(originals):
        assert name_columns(shuffled, {}) == dict(zip(originals, alone, strict=True))
    else:
        with pytest.raises(SchemaError):
            name_columns(shuffled, {})


# A newer Unicode gives letters to code points that had none: then this changes, and with it the names of columns
# that hold them. Pin those names before you write down another digest.
EFFECTIVE, DIGEST = 4304, "b5cc5e22e181a36cb948229041fad60268a9775d48cc86d0df38aa45a45c91e4"
INERT = ("Cn", "Co", "Cs", "Lo", "So")  # unassigned, or no letters of ours unless they decompose into some


def test_a_name_is_the_same_for_ever() -> None:
    letters = (chr(code) for code in range(sys.maxunicode + 1))
    counted = (x for x in letters if unicodedata.category(x) not in INERT or unicodedata.decomposition(x))
    named = ((letter, column_name(f"a{letter}b")) for letter in counted)
    found = [f"{ord(letter):x} {name}" for letter, name in named if name != "a_b"]
    assert (len(found), sha256("\n".join(found).encode()).hexdigest()) == (EFFECTIVE, DIGEST)


def test_columns_keep_their_order_and_renames_win() -> None:
    named = name_columns(["Order No.", "Price €", "b"], {"Price €": "price"})
    assert list(named.items()) == [("Order No.", "order_no"), ("Price €", "price"), ("b", "b")]


@pytest.mark.parametrize(
    ("columns", "rename"),
    [
        (["Id", "ID"], {}),
        (["order no", "Order-No"], {}),
        (["_table_a", "x_table_a"], {}),
        (["a", "b"], {"a": "B"}),
        (["a", "b"], {"a": "c", "b": "C"}),
    ],
)
def test_a_collision_names_both_originals(columns: list[str], rename: dict[str, str]) -> None:
    with pytest.raises(SchemaError) as caught:
        name_columns(columns, rename)
    assert all(repr(column) in str(caught.value) for column in columns)
    assert "columns.rename" in str(caught.value)


def test_two_columns_of_one_name() -> None:
    with pytest.raises(SchemaError, match=r"two columns are called 'a'.*SELECT \.\.\. AS"):
        name_columns(["a", "b", "a"], {})


def test_a_rename_makes_way() -> None:
    assert name_columns(["Id", "ID"], {"ID": "id_2"}) == {"Id": "id", "ID": "id_2"}


def test_a_rename_of_a_column_that_is_not_there() -> None:
    with pytest.raises(SchemaError, match="names 'Order', which is not among the columns order, b"):
        name_columns(["order", "b"], {"Order": "c"})


@pytest.mark.parametrize(
    "name", ["", "1a", "a b", "a-b", "ż", "a\n", "_table_x", "_PARTITIONTIME", "_etl_x", "a" * 301]
)
def test_renames_must_be_legal(name: str) -> None:
    with pytest.raises(SchemaError, match="does not allow"):
        name_columns(["a"], {"a": name})


@pytest.mark.parametrize("name", ["a", "_a", "Order_No", "a" * 300])
def test_legal_renames_are_kept_as_they_are(name: str) -> None:
    assert name_columns(["a"], {"a": name}) == {"a": name}


def test_the_docstrings_examples() -> None:
    examples = re.findall(r"^ {30,}(\S.*?) {2,}(\w+)$|^.* {4,}(\S.*?) {2,}(\w+)$", naming.__doc__ or "", re.M)
    pairs = [(one or other, name or last) for one, name, other, last in examples]
    assert len(pairs) == 7
    assert [(original, column_name(original)) for original, _ in pairs] == pairs
