"""The prompt of `sweeper sql -i`: queries one after the other, with a history and completion."""

import contextlib
import readline
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.errors import SweeperError, UsageError
from sweeper.files import cache_folder

from . import places, reading, show
from .completion import Completion, completion_of_store

if TYPE_CHECKING:
    import pyarrow as pa

    from sweeper.store.store import Store

PROMPT, CONTINUED = "sweeper> ", "    ...> "
HISTORY_FILE, HISTORY_LENGTH = "sql_history", 1000
DELIMITERS = " \t\n\"'`,;()=<>+-*/%|.!:[]{}"  # between words
GREETING = (
    "SQL of DuckDB, read-only. A query ends with ; or an empty line. Tab completes names, SHOW TABLES lists the views, "
    "Ctrl-C ends a query, Ctrl-D the prompt."
)


Use = Callable[["pa.RecordBatchReader", int, int], None]


def prompt(
    store: str | None, result_writer: Callable[[], Use], timeout: float | None, as_of: str | None = None
) -> None:
    """Answer queries from the terminal until its end (Ctrl-D).

    Args:
        store: The store.
        result_writer: Returns for a query the function that prints each of its results, as `run_statements` calls it.
        timeout: The seconds after which a query ends without an answer; None: no limit.
        as_of: The version of the store, or a time; None for the store as it is.

    Raises:
        UsageError: Stdin is not a terminal.
    """
    if not sys.stdin.isatty():
        raise UsageError("-i needs a terminal; `sweeper sql -` reads a query from stdin")
    with places.opened(store, as_of) as opened_store, _history(cache_folder() / HISTORY_FILE):
        _complete_with(completion_of_store())
        show.say(f"{opened_store.url}: {GREETING}")
        for query in queries(input):
            try:
                _answer(opened_store, query, result_writer(), timeout)
            except SweeperError as error:
                show.print_error(error)
            except (SystemExit, KeyboardInterrupt):  # Ctrl-C ends the query, not the prompt
                continue


def _answer(store: "Store", text: str, use: Use, timeout: float | None) -> None:
    from sweeper.store.query.query import run_statements

    with (
        store.connect() as connection,
        reading.ended_by_signal_or_time(timeout, connection.interrupt),
        show.shown_warnings(),
    ):
        run_statements(connection, text, use)


def queries(read_line: Callable[[str], str]) -> Iterator[str]:
    """Yield the queries that are typed, each when it ends with a semicolon or an empty line; Ctrl-C drops one.

    Args:
        read_line: Takes the text of the prompt and returns a line, as `input` does.
    """
    lines: list[str] = []
    while True:
        try:
            line = read_line(CONTINUED if lines else PROMPT)
        except KeyboardInterrupt:
            lines = []
            show.say("")
            continue
        except EOFError:
            show.say("")
            return
        lines += [line] if line.strip() else []
        if lines and (not line.strip() or line.rstrip().endswith(";")):
            yield "\n".join(lines)
            lines = []


@contextlib.contextmanager
def _history(file: Path) -> Iterator[None]:
    """Return a context in which earlier lines can be called up; a cache folder that can't be written keeps none."""
    readline.set_history_length(HISTORY_LENGTH)
    with contextlib.suppress(OSError):
        readline.read_history_file(file)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(file)


def _complete_with(completion: Completion) -> None:
    def complete(beginning: str, number: int) -> str | None:
        words = completion.words(readline.get_line_buffer()[: readline.get_begidx()], beginning)
        return words[number] if number < len(words) else None

    is_editline = "libedit" in (readline.__doc__ or "")  # macOS
    readline.parse_and_bind("bind ^I rl_complete" if is_editline else "tab: complete")
    readline.set_completer_delims(DELIMITERS)
    readline.set_completer(complete)
