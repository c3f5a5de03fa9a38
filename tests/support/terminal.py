"""A terminal of a given size, in which a command runs."""

import os
import pty
import subprocess
import termios
from pathlib import Path


def lines_on_terminal(command: list[str], folder: Path, columns: int = 120) -> list[str]:
    """Run a command whose stdout is a terminal, and return the lines that it prints there, without colours."""
    controller, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (50, columns))
    environment = {**os.environ, "NO_COLOR": "1", "TERM": "dumb"}
    with subprocess.Popen(command, stdout=terminal, stdin=subprocess.DEVNULL, cwd=folder, env=environment) as process:
        os.close(terminal)
        output = _read_all(controller)
    os.close(controller)
    assert process.returncode == 0, output
    return output.decode().splitlines()


def _read_all(controller: int) -> bytes:
    output = b""
    try:
        while piece := os.read(controller, 1 << 16):
            output += piece
    except OSError:  # EIO: the command has closed the terminal
        pass
    return output
