"""Tests of the prompt of `sweeper sql -i`, in a real terminal."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweeper.cli.prompt import queries


class Terminal:
    """A prompt that runs in a terminal."""

    def __init__(self, folder: Path):
        self._controller, terminal = pty.openpty()
        self._unread = ""
        command = [str(Path(sys.executable).with_name("sweeper")), "sql", "-i"]
        environment = os.environ | {"TERM": "dumb", "NO_COLOR": "1", "SWEEPER_CACHE": str(folder / "cache")}
        self.process = subprocess.Popen(
            command,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        os.close(terminal)

    def read_until(self, text: str, seconds: float = 100) -> str:
        """Return what is printed until a text appears, with the text."""
        end = time.monotonic() + seconds
        while text not in self._unread:
            assert time.monotonic() < end, self._unread
            if select.select([self._controller], [], [], 1)[0]:
                self._unread += os.read(self._controller, 10_000).decode()
        printed, _, self._unread = self._unread.partition(text)
        return printed + text

    def write(self, text: str) -> None:
        os.write(self._controller, text.encode())

    def end(self) -> int:
        """Press Ctrl-D, and return the exit code."""
        self.write("\x04")
        try:
            return self.process.wait(timeout=60)
        finally:
            os.close(self._controller)


@pytest.fixture
def terminal(complete_store, tmp_path):
    """Start a prompt in a folder with a store."""
    terminal = Terminal(tmp_path)
    terminal.read_until("sweeper> ")
    yield terminal
    terminal.process.kill()


def test_queries_are_answered_names_completed_and_mistakes_end_nothing(terminal, tmp_path):
    terminal.write("SELECT 6 * 7 AS n;\n")
    assert re.search(r"^\s*42\s*$", terminal.read_until("sweeper> "), flags=re.M)
    terminal.write("SELECT gian FROM stitches;\n")
    assert "did you mean gain" in terminal.read_until("sweeper> ")
    terminal.write("SELECT count(*) AS n\n")
    terminal.read_until("...> ")
    terminal.write("FROM stitc\t;\n")  # Tab completes `stitches`
    assert re.search(r"^\s*16\s*$", terminal.read_until("sweeper> "), flags=re.M)
    assert terminal.end() == 0
    assert "SELECT 6 * 7 AS n;" in (tmp_path / "cache" / "sql_history").read_text()


def test_ctrl_c_ends_a_query_and_not_the_prompt(terminal):
    terminal.write("SELECT count(*) FROM range(100000000) a, range(100000) b WHERE a.range + b.range = 3;\n")
    time.sleep(2)
    terminal.process.send_signal(signal.SIGINT)
    terminal.read_until("interrupted")
    terminal.read_until("sweeper> ")
    terminal.write("SELECT 6 * 7 AS n;\n")
    terminal.read_until("42")
    terminal.read_until("sweeper> ")
    assert terminal.end() == 0


def test_a_prompt_needs_a_terminal_and_neither_a_query_nor_a_file(sweeper, shell, complete_store):
    result = shell("echo 'SELECT 1' | sweeper sql -i")
    assert (result.returncode, result.stdout) == (2, "")
    assert "`sweeper sql -` reads a query from stdin" in result.stderr
    assert "leave out either -i or the query" in sweeper("sql", "-i", "SELECT 1").stderr
    assert "a prompt writes no file" in sweeper("sql", "-i", "-o", "x.csv").stderr


def typed(*lines: str | type[BaseException]) -> list[str]:
    """Return the queries in lines that are typed; an exception is raised in place of a line."""
    rest = iter([*lines, EOFError])

    def read_line(_: str) -> str:
        line = next(rest)
        if isinstance(line, str):
            return line
        raise line

    return list(queries(read_line))


def test_a_query_ends_with_a_semicolon_or_an_empty_line():
    assert typed("SELECT 1;", "SELECT", "2", "", "", "  ", "SELECT 3 ; ") == ["SELECT 1;", "SELECT\n2", "SELECT 3 ; "]


def test_ctrl_c_drops_what_is_typed_and_an_unfinished_query_is_not_answered():
    assert typed("SELECT 1", KeyboardInterrupt, "SELECT 2;", "SELECT 3") == ["SELECT 2;"]
