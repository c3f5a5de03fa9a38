"""Freed memory that the heap keeps is given back to the machine."""

import ctypes

import psutil
import pytest

from sweeper.store.compaction import unused_memory


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library can't be asked for it")
def test_freed_memory_beneath_used_memory_is_given_back():
    process = psutil.Process()
    texts = [bytes(1000) for _ in range(100_000)]  # larger than Python's own pools, smaller than a mapping of its own
    last = texts[-1]
    del texts
    before = process.memory_info().rss
    unused_memory.give_back()
    assert before - process.memory_info().rss > 50_000_000
    assert len(last) == 1000
