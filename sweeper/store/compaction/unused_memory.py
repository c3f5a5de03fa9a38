"""The memory that compaction has used and needs no more."""

import ctypes

import pyarrow as pa


def give_back() -> None:
    """Give memory that this process has freed back to the machine.

    Arrow's pool and the heaps of the C library keep what is freed for later. A driver that compacts now and then would
    hold its largest need for hours.
    """
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc only; other libraries give back by themselves
    if trim is not None:
        trim(0)
