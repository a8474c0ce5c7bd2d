"""Any source identifier becomes a legal BigQuery column name, by these rules in this order.

    1. letters become their plain forms (NFKD), accents and invisible marks go, and what has no plain form is
       spelt out: Latin (ß ss, ø o, ł l, æ ae, œ oe, đ ð d, þ th, ħ h, ŋ ng, ə e, ı i, µ u and the like),
       Cyrillic (щ shch, ж zh, х kh, я ya and so on), signs (€ eur, % percent, # no, & and):
                                                                    Größe (m²)   grosse_m2
                                                                    Цена, €      cena_eur
    2. lower case; every run of other than a-z, 0-9, _ becomes one _, line breaks included; at both ends it goes
                                                                    Order No.    order_no
    3. nothing left: `column_` and a hash of the original           ???          column_a03b221c
                                                                    価格         column_855e4ca0
    4. a leading digit gets a _ before it                           2024         _2024
    5. a reserved beginning gets `x` before it                      _TABLE_id    x_table_id
    6. over 300 characters: cut, with a hash of the original at the end

A name depends on nothing but its original, so it is the same for ever; it is its own name too. Leading
underscores are kept, since databases use them. Two originals with one name, whatever their case, are refused by
`name_columns`, which says how to rename.
Rules: https://cloud.google.com/bigquery/docs/schemas#column_names
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

from etl_factory.errors import SchemaError

LONGEST = 300
RESERVED = (
    "_table_", "_file_", "_partition", "_row_timestamp", "__root__", "_colidentifier",
    "_change_sequence_number", "_change_type", "_change_timestamp", "_etl_",
)  # fmt: skip
LEGAL = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")
_UNSEEN = ("Mn", "Me", "Cf")
# NFKD turns the micro sign into a Greek mu, so that only the latter is here.
_LATIN = {
    "ß": "ss", "ø": "o", "ł": "l", "æ": "ae", "œ": "oe", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ŧ": "t", "ŋ": "ng",
    "ə": "e", "ɛ": "e", "ɔ": "o", "ɓ": "b", "ɗ": "d", "ƒ": "f", "ƙ": "k", "ƴ": "y", "ı": "i", "μ": "u",
}  # fmt: skip
# Letter by letter, as most passports and addresses do; й, ё and ї lose their marks before.
_CYRILLIC = {
    "а": "a", "б": "b", "в": "v", "г": "g", "ґ": "g", "д": "d", "ђ": "dj", "е": "e", "є": "ye", "ж": "zh", "з": "z",
    "и": "i", "і": "i", "ј": "j", "к": "k", "л": "l", "љ": "lj", "м": "m", "н": "n", "њ": "nj", "о": "o", "п": "p",
    "р": "r", "с": "s", "т": "t", "ћ": "c", "у": "u", "ф": "f", "х": "kh", "ц": "c", "ч": "ch", "џ": "dz", "ш": "sh",
    "щ": "shch", "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "yu", "я": "ya",
}  # fmt: skip
_SIGNS = {"€": " eur ", "%": " percent ", "#": " no ", "&": " and "}
_SPELT = str.maketrans(_LATIN | _CYRILLIC | _SIGNS)


def column_name(original: str) -> str:
    """Return the BigQuery column name of a source's column."""
    spelt = unicodedata.normalize("NFKD", original).lower().translate(_SPELT)
    plain = "".join(letter for letter in spelt if unicodedata.category(letter) not in _UNSEEN)
    name = _trim(re.sub(r"[^a-z0-9_]+", "_", plain), original)
    if not name.strip("_"):
        return f"column_{_tag(original)}"
    if name[0].isdigit():
        name = f"_{name}"
    if is_reserved(name):
        name = f"x{name}"
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 9]}_{_tag(original)}"


def is_reserved(name: str) -> bool:
    """Whether BigQuery, or we, keep names with this beginning for ourselves."""
    return name.lower().startswith(RESERVED)


def _trim(name: str, original: str) -> str:
    """Drop underscores that came from punctuation, and keep those that the original itself began with."""
    own = len(original) - len(original.lstrip("_"))
    return "_" * own + name.strip("_")


def _tag(original: str) -> str:
    return hashlib.sha256(original.encode(errors="surrogatepass")).hexdigest()[:8]


def name_columns(originals: Iterable[str], rename: Mapping[str, str]) -> dict[str, str]:
    """Map each original to its name; `rename` wins, and its values must be legal themselves.

    Raises SchemaError naming both originals when two get one name, or an original in `rename` that is
    not there.
    """
    columns = tuple(originals)
    _check_twins(columns)
    _check_renames(columns, rename)
    names = {original: rename.get(original) or column_name(original) for original in columns}
    seen: dict[str, str] = {}
    for original, name in names.items():
        twin = seen.setdefault(name.lower(), original)
        if twin != original:
            raise SchemaError(
                f"columns {twin!r} and {original!r} would both be called {name!r} in BigQuery, where names"
                f" differ by more than case: add columns.rename: {{{original!r}: another_name}}"
            )
    return names


def _check_twins(columns: tuple[str, ...]) -> None:
    for twin in sorted(name for name, times in Counter(columns).items() if times > 1):
        raise SchemaError(
            f"two columns are called {twin!r}, so that one would hide the other: give each a name of its own at"
            " the source, or with `query: SELECT ... AS ...`"
        )


def _check_renames(columns: tuple[str, ...], rename: Mapping[str, str]) -> None:
    for original, name in rename.items():
        if original not in columns:
            raise SchemaError(
                f"columns.rename names {original!r}, which is not among the columns {', '.join(columns)}"
            )
        if not LEGAL.fullmatch(name) or is_reserved(name):
            raise SchemaError(
                f"columns.rename turns {original!r} into {name!r}, which BigQuery or ETL Factory does not"
                " allow: use letters, digits and underscores, not starting with a digit or a reserved prefix"
            )
