"""The command as a user calls it, a small job, and a store that holds what it asks for."""

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
    """Calls the command's entry point in an empty folder: its exit code, what it printed and what it said.

    In this process, for each new one costs half a second of imports; `shell` is for what only a process can show.
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
    """Runs a line of shell in an empty folder, with `sweeper` on its path."""
    scripts = Path(sys.executable).parent

    def call(line: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-o", "pipefail", "-c", f"PATH={scripts}:$PATH; {line}"]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=300)

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
