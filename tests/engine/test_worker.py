"""Test of the number of threads that a worker uses."""

import os
import subprocess
import sys

CODE = """
from sweeper.engine.worker import pin_threads
pin_threads(2)
import numpy, torch, threadpoolctl
print(torch.get_num_threads(), max(pool["num_threads"] for pool in threadpoolctl.threadpool_info()))
"""


def test_threads_are_pinned_before_torch_is_loaded():
    """Check that `pin_threads(2)` overrides three threads in the environment, for torch and every other library."""
    environment = os.environ | dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "3")
    out = subprocess.run([sys.executable, "-c", CODE], env=environment, check=True, capture_output=True, text=True)
    assert out.stdout.split() == ["2", "2"]
