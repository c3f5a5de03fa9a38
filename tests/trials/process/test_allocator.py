"""Tests of the allocator: a tensor as large as a freed one needs no new pages."""

import platform
import subprocess
import sys

import pytest

COUNT = """
import resource, torch
from sweeper.trials.process.allocator import keep_freed_memory
kept = keep_freed_memory() if {keep} else False
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(40_000_000 // 4)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(kept, faults())
"""


def _faults(keep: bool) -> tuple[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", COUNT.format(keep=keep)], stdout=subprocess.PIPE, text=True, check=True
    )
    kept, faults = done.stdout.split()
    return kept, int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_freed_memory_is_used_again() -> None:
    kept, few = _faults(keep=True)
    assert kept == "True"
    assert few < _faults(keep=False)[1] / 10
