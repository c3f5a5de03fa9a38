"""The command as a user calls it, a small job, and a store that holds what it asks for."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from toy_store import JOB, fill

from sweeper.store.store import Store

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def sweeper(tmp_path, monkeypatch) -> Run:
    """Calls the command as a user does, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [Path(sys.executable).with_name("sweeper"), *map(str, arguments)]
        inherited = {"HOME": os.environ["HOME"], "PATH": os.environ["PATH"], "RAY_USAGE_STATS_ENABLED": "0"}
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env=inherited | environment, timeout=300
        )

    return call


@pytest.fixture
def job(tmp_path) -> Path:
    path = tmp_path / "toy.yaml"
    path.write_text(JOB)
    return path


@pytest.fixture
def filled(job) -> Store:
    """`runs/toy`, complete: each task done once, in one run that ended."""
    return fill(job, job.parent / "runs" / "toy")
