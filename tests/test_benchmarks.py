"""Tests that benchmarks which reach into the engine and the stitching kernel still run; no figure is judged."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("command", ["minimum.py --digits --steps 2 --seeds 1", "first_task.py --stitches 2000"])
def test_a_benchmark_prints_its_figures(command, tmp_path):
    script, *options = command.split()
    environment = os.environ | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, ROOT / "bench" / script, *options],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    figures = [json.loads(line) for line in process.stdout.splitlines()]
    assert figures
    assert all(math.isfinite(figure["value"]) for figure in figures)
