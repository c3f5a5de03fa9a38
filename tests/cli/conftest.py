"""Fixtures for tests of commands: the command itself, a shell, a small job and a store with its results."""

import io
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from support.toy_store import JOB, fill

from sweeper.cli.main import main
from sweeper.store.store import Store

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def sweeper(tmp_path, monkeypatch) -> Run:
    """Return a function that calls the command in an empty folder and returns its exit code, stdout and stderr.

    It calls `main` in this process, because a new process takes half a second for imports. Tests that need a process of
    their own use `shell`.
    """
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        out, err = io.StringIO(), io.StringIO()
        with monkeypatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "argv", ["sweeper", *map(str, arguments)])
            for name, value in environment.items():
                patch.setenv(name, value)
            code = main()
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    return call


@pytest.fixture
def shell(tmp_path) -> Run:
    """Return a function that runs a line of shell in an empty folder, with `sweeper` on its path."""
    scripts = Path(sys.executable).parent

    def call(line: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-o", "pipefail", "-c", f"PATH={scripts}:$PATH; {line}"]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=300)

    return call


@pytest.fixture
def job(tmp_path) -> Path:
    """Write the job file `toy.yaml`."""
    path = tmp_path / "toy.yaml"
    path.write_text(JOB)
    return path


@pytest.fixture
def complete_store(job) -> Store:
    """Return the store `runs/toy`, in which each task of the job is done, in one complete run."""
    return fill(job, job.parent / "runs" / "toy")
