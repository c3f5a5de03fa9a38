"""Tests of modules that run in processes of their own."""

import subprocess
from pathlib import Path

import pytest

from sweeper.spec.user_code.processes import run_module

ANSWERING = """
import sys
from sweeper.spec.user_code.processes import open_answers

answers = open_answers()
print("printed by a user's code")
with answers:
    answers.write(f"{sys.argv[1]} and {sys.stdin.read()}")
"""
MISTAKEN = """
import sys
from sweeper.spec.user_code.processes import print_to_stderr, report_mistake

print_to_stderr()
print("no answer", end="", flush=True)
report_mistake(ValueError("the file is empty"))
sys.exit(2)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of a module that `python -m asked` finds."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "asked.py"


def test_the_answer_is_apart_from_what_else_is_printed(module: Path) -> None:
    module.write_text(ANSWERING)
    run = run_module(["asked", "argument"], "question")
    assert (run.exit_code, run.answer, run.errors) == (0, "argument and question", ())
    assert run.last_line == "printed by a user's code"


def test_a_reported_mistake_begins_a_line_of_its_own(module: Path) -> None:
    module.write_text(MISTAKEN)
    run = run_module(["asked"])
    assert (run.exit_code, run.answer, run.errors) == (2, "", ("the file is empty",))


def test_a_module_that_raises_reports_no_mistake_and_leaves_its_last_line(module: Path) -> None:
    module.write_text("raise RuntimeError('no memory')")
    run = run_module(["asked"])
    assert (run.exit_code, run.errors, run.last_line) == (1, (), "RuntimeError: no memory")


def test_a_module_that_takes_too_long_is_stopped(module: Path) -> None:
    module.write_text("import time; time.sleep(60)")
    with pytest.raises(subprocess.TimeoutExpired):
        run_module(["asked"], seconds=0.3)
