"""Tests of the allocator: a new tensor of the size of a freed one needs no new pages of memory."""

import platform
import subprocess
import sys

import pytest

COUNT_FAULTS = """
import resource, torch
from sweeper.trials.process.allocator import keep_freed_memory
is_set = keep_freed_memory() if {keep} else False
def page_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(40_000_000 // 4)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
page_faults()
print(is_set, page_faults())
"""


def page_faults(keep: bool) -> tuple[str, int]:
    """Return whether a new process could set its allocator, and the page faults of allocating 20 tensors in it."""
    process = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS.format(keep=keep)], stdout=subprocess.PIPE, text=True, check=True
    )
    is_set, faults = process.stdout.split()
    return is_set, int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_freed_memory_is_used_again() -> None:
    is_set, faults = page_faults(keep=True)
    assert is_set == "True"
    assert faults < page_faults(keep=False)[1] / 10
