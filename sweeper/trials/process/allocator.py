"""A setting of this process's C library: whether freed memory is returned to the system."""

import ctypes
import sys
from functools import cache

_TRIM, _MAP = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of glibc's malloc.h
_KEPT_BYTES = 2**30


@cache
def keep_freed_memory() -> bool:
    """Make glibc keep freed memory for later allocations, and return whether that succeeded (with glibc only).

    By default glibc maps new memory for each tensor of more than some MB and unmaps it when the tensor is freed, so the
    kernel clears every page in every step. This takes a tenth of the time of a strict step at width 8.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_MAP, _KEPT_BYTES)) and bool(mallopt(_TRIM, _KEPT_BYTES))
