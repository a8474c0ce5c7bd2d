"""Line breaks are counted as any of the three, whatever pieces a block is looked at in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_factory.sources.formats import _numbering


@given(st.text("\r\na").map(str.encode), st.integers(1, 5))
def test_line_breaks(block: bytes, in_cache: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_numbering, "IN_CACHE", in_cache)
        assert _numbering._line_breaks(block) == len((block + b"|").splitlines()) - 1  # the seam itself
