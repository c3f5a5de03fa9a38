"""Output of the command line: data on stdout, messages on stderr, errors without tracebacks."""

import json as json_writer
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from sweeper.errors import SweeperError
from sweeper.files import opened_output, write_output

if TYPE_CHECKING:
    from rich.console import Console


def console(stderr: bool = False) -> "Console":
    """Return a console of rich; it prints no colours if the stream isn't a terminal or NO_COLOR is set."""
    from rich.console import Console

    return Console(stderr=stderr, width=None if stderr else width(), highlight=False, markup=False, emoji=False)


def width() -> int:
    """Return the width of stdout in characters (120 if it isn't a terminal)."""
    import shutil

    return shutil.get_terminal_size((120, 24)).columns if sys.stdout.isatty() else 120


def color() -> bool:
    """Return True if stdout is a terminal that shows colours and NO_COLOR is not set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def say(*lines: str) -> None:
    """Print messages on stderr, one per line."""
    for line in lines:
        print(line, file=sys.stderr)


def warn(text: str) -> None:
    """Print a warning on stderr."""
    out = console(stderr=True)
    out.print("warning: ", style="bold yellow", end="")
    out.print(text, soft_wrap=True)


@contextmanager
def shown_warnings() -> Iterator[None]:
    """Return a context at whose end the warnings of Python that were raised in it are printed, each once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        warn(text)


@contextmanager
def prints_on_stderr() -> Iterator[None]:
    """Send to stderr what a user's code and the processes that it starts print, as stdout is for data alone."""
    sys.stdout.flush()
    try:
        stdout = os.dup(1)
    except OSError:  # stdout is closed
        stdout = -1
    try:
        if stdout >= 0:
            os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if stdout >= 0:
            os.dup2(stdout, 1)
            os.close(stdout)


PATIENCE = 1.0  # seconds of work after which a progress bar appears
LINES_EVERY = 10.0  # seconds between two lines of progress where stderr is no terminal


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show the progress of long work on stderr, with the time left: a bar on a terminal, else a line now and then.

    Yields:
        A function to call with the step of the work ("checking images"), the number of things done so far and the
        number of all things.
    """
    from rich.progress import Progress as ProgressBar

    started = time.monotonic()
    with ProgressBar(console=console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=None, visible=False)
        current_step, step_started, done_before = "", started, 0
        next_line = started + LINES_EVERY

        def update(step: str, done: int, total: int) -> None:
            nonlocal current_step, step_started, done_before, next_line
            now = time.monotonic()
            if step != current_step:  # the time until the first things are done may be that of other work
                current_step, step_started, done_before = step, now, done
                bar.reset(task, description=step)
            bar.update(task, completed=done, total=total, visible=now - started > PATIENCE)
            if bar.disable and now > next_line:
                say(f"{step}: {done} of {total}{_time_left(now - step_started, done - done_before, total - done)}")
                next_line = now + LINES_EVERY

        yield update


def _time_left(seconds: float, done: int, left: int) -> str:
    """Return the words on the time that the rest of the work takes at its speed so far; "" if the speed is unknown."""
    return f", about {seconds / done * left:.0f} s left" if done else ""


def write(text: str, output: Path | None = None) -> None:
    """Write text to stdout, or atomically to a file; a missing newline at the end is added."""
    text = text if text.endswith("\n") else text + "\n"
    if output is None:
        sys.stdout.write(text)
    else:
        write_bytes(text.encode(), output)


def write_bytes(content: bytes, output: Path) -> None:
    """Write bytes to a file, and print its path on stderr.

    Raises:
        SetupError: The file can't be written.
    """
    write_output(output, content)
    say(f"wrote {output}")


@contextmanager
def written_output(output: Path) -> Iterator[BinaryIO]:
    """Return a context with a stream to a file, whose path is printed on stderr when the file is complete.

    Raises:
        SetupError: The file can't be written.
    """
    with opened_output(output) as stream:
        yield stream
    say(f"wrote {output}")


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout."""
    write(json_writer.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_columns(columns: Sequence[str], rows: Iterable[Sequence[object]], numeric: Iterable[str] = ()) -> None:
    """Print rows as aligned columns on stdout; the columns named in `numeric` are aligned to the right."""
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE, pad_edge=False, show_edge=False, header_style="bold")
    right_aligned = set(numeric)
    for column in columns:
        table.add_column(column, justify="right" if column in right_aligned else "left", overflow="fold")
    for row in rows:
        table.add_row(*(format_cell(value) for value in row))
    console().print(table)


def print_fields(pairs: Mapping[str, object]) -> None:
    """Print one name and value per line on stdout."""
    name_width = max(map(len, pairs), default=0)
    write("\n".join(f"{name:<{name_width}}  {format_cell(value)}".rstrip() for name, value in pairs.items()))


def format_cell(value: object) -> str:
    """Format a value: integers in full, floats with four significant digits, null as empty text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return str(value)


def format_bytes(count: float) -> str:
    """Format a number of bytes with a unit.

    >>> format_bytes(512), format_bytes(3_500_000)
    ('512 B', '3.5 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def print_error(problem: SweeperError) -> None:
    """Print `error: ...` on stderr; one such line for each mistake of a job."""
    lines = str(problem).splitlines() or [type(problem).__name__]
    out = console(stderr=True)
    for line in lines:
        out.print("error: ", style="bold red", end="")
        out.print(line, soft_wrap=True)


def print_defect(problem: Exception) -> None:
    """Print an unexpected exception, with its traceback if SWEEPER_DEBUG is set."""
    if os.environ.get("SWEEPER_DEBUG"):
        traceback.print_exception(problem)
        return
    out = console(stderr=True)
    out.print("error: ", style="bold red", end="")
    out.print(f"unexpected {type(problem).__name__}: {problem}", soft_wrap=True)
    say("This is a defect of Sweeper. Set SWEEPER_DEBUG=1 to see the traceback.")
