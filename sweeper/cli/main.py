"""The entry point of the command `sweeper`: it runs a command and returns its exit code."""

import os
import sys
from pathlib import Path

from sweeper.errors import is_shown_in_full

from .app import app


def main() -> int:
    """Run the command in `sys.argv` and return its exit code."""
    _open_streams()
    try:
        app(prog_name="sweeper")
    except SystemExit as end:
        return _exit_code(end)
    except Exception as error:
        if is_shown_in_full(error):
            raise
        return _unexpected(error)
    return 0


def _open_streams() -> None:
    """Replace each standard stream that the caller closed, as in `sweeper status >&-`, by one to nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 (for the whole process)


def _unexpected(error: Exception) -> int:
    """Print an exception that no command expected, and return the exit code."""
    from . import show, translate

    translated = translate.translate(error)
    if translated is None or os.environ.get("SWEEPER_DEBUG"):
        show.print_defect(error)
        return 1
    show.print_error(translated)
    return translated.exit_code


def _exit_code(end: SystemExit) -> int:
    """Flush stdout and return the exit code. A closed pipe, as in `sweeper sql ... | head`, is not an error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stdout = None  # the interpreter would otherwise flush it again at exit and print an error
    return end.code if isinstance(end.code, int) else int(end.code is not None)
