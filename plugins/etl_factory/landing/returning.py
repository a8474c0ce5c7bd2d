"""Gives memory back to the system as a stream goes by, so that a task's size does not creep up with its files."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from functools import cache

# M_MMAP_THRESHOLD of mallopt(3). Once set, glibc no longer raises it by itself: each buffer of this size or more is
# mapped alone, and goes back when it is freed, instead of leaving a hole in the heap that the next one does not fit.
_MMAP_THRESHOLD, BUFFER_BYTES = -3, 2 * 1024 * 1024


@cache
def return_buffers() -> None:
    """Have large buffers returned as soon as they are freed; where there is no glibc, nothing is changed."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, BUFFER_BYTES)


def return_unused() -> None:
    """Return what Arrow's pool keeps of this thread's freed memory."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
