"""Tells the encoding of a text of one byte per letter by the alphabets of languages, or says that it cannot be told.

An encoding fits when everything beyond ASCII is of one alphabet, or a usual sign. Those that fit must agree on
what the text says; the first of them is the answer. Statistics of letters, as charset-normalizer's, were tried
and read "Besan\u0144on" without a doubt: a file that is read wrongly is worse than one that is refused.
"""

from __future__ import annotations

import re
from itertools import pairwise

_SIGNS = set("€§°²½©®™«»„“”‘’‚…–—•·×±µ\u00a0\u00ad")
_GREEK, _CYRILLIC = "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ", "абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґў№"
_HEBREW = "".join(map(chr, range(0x5D0, 0x5EB)))
_ARABIC = "ءآأؤإئابةتثجحخدذرزسشصضطظعغـفقكلمنهوىيپچژگ،؛؟"
# In the order of preference: where texts agree, the encoding that more files have.
_ALPHABETS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (
        ("cp1252", "iso8859_15"),
        (
            "äöüß", "àâæçéèêëîïôœùûüÿ", "áéíñóúü¡¿ºª", "áâãàçéêíóôõúüºª", "àèéìíîòóù", "åäöé", "åæøéèêóòô",
            "áðéíóúýþæö", "éëïóöüèê",
        ),
    ),
    (
        ("cp1250", "iso8859_2"),
        (
            "ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţ", "čćđšž",
        ),
    ),
    (("cp1251", "koi8_r"), (_CYRILLIC,)),
    (("cp1253", "iso8859_7"), (_GREEK,)),
    (("cp1254",), ("çğıöşüâîûi\u0307",)),
    (("cp1255",), (_HEBREW,)),
    (("cp1256",), (_ARABIC,)),
    (("cp1257",), ("ąčęėįšųūž", "āčēģīķļņšūž", "äõöüšž")),
)  # fmt: skip
_OTHER = f"[{_GREEK}{_CYRILLIC}{_HEBREW}{_ARABIC}]"
_MIXED = re.compile(f"[A-Za-z]{_OTHER}|{_OTHER}[A-Za-z]", re.IGNORECASE)


def readings(sample: bytes) -> list[str]:
    """Return the encodings that make sense of a text, one for each thing that it may say, the likeliest first."""
    found: dict[str, str] = {}
    for encodings, alphabets in _ALPHABETS:
        for encoding in encodings:
            text = _decoded(sample, encoding)
            if text and any(_fits(text, set(alphabet)) for alphabet in alphabets):
                found.setdefault(text, encoding)
    return list(found.values())


def _decoded(sample: bytes, encoding: str) -> str:
    try:
        return sample.decode(encoding)
    except UnicodeDecodeError:
        return ""


def _fits(text: str, alphabet: set[str]) -> bool:
    foreign = {letter for letter in set(text.lower()) if not letter.isascii()} - _SIGNS
    return foreign <= alphabet and not _MIXED.search(text) and not _turns_upper(text)


def _turns_upper(text: str) -> bool:
    """Whether a word goes on in capitals, as one does that is read in another encoding of its script."""
    return any(
        one.islower() and other.isupper() and not one.isascii() and not other.isascii()
        for one, other in set(pairwise(text))
    )
