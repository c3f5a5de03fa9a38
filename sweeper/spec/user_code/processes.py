"""Modules that run in processes of their own, because they import torch or a user's code.

Such a module reads a question from its arguments or from stdin, writes the answer to stdout, and reports a mistake as a
line of stderr that begins with `error: `. Both ends of this exchange are here.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

_MARK = "error: "


@dataclass(frozen=True, slots=True)
class ModuleRun:
    """The end of a process that ran a module."""

    exit_code: int
    answer: str  # the text of stdout
    errors: tuple[str, ...]  # the mistakes that the module reported
    last_line: str  # of stderr; "" if it is empty


def run_module(arguments: Sequence[str], question: str | None = None, seconds: float | None = None) -> ModuleRun:
    """Run `python -m` with a module in a process of its own, and return how it ended.

    Args:
        arguments: The module and its arguments.
        question: The text of its stdin; None leaves it the stdin of this process.
        seconds: The longest time that it may take; None for no limit.

    Raises:
        TimeoutExpired: It took longer than `seconds`.
    """
    process = subprocess.run(
        [sys.executable, "-m", *arguments], input=question, capture_output=True, text=True, check=False, timeout=seconds
    )
    lines = process.stderr.strip().splitlines()
    errors = tuple(line.removeprefix(_MARK) for line in lines if line.startswith(_MARK))
    return ModuleRun(process.returncode, process.stdout, errors, lines[-1] if lines else "")


def print_to_stderr() -> None:
    """Send to stderr what this process prints from now on, for example what a user's code prints."""
    os.dup2(2, 1)


def open_answers() -> TextIO:
    """Return the stdout of this process as a file for the answer, and send what it prints from now on to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    print_to_stderr()
    return answers


def report_mistake(error: Exception) -> None:
    """Report a mistake to the process that called `run_module`."""
    print(f"\n{_MARK}{error}", file=sys.stderr)
