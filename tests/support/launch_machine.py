"""The machine on which a launch line runs: its commands `sweeper`, `ray` and `ssh`, and its store.

`sweeper` performs toy tasks and notes where, `ray` starts its nodes on the loopback device and never ends other ones
(`ray_command.py`), and `ssh` runs a command here, as the host whose address it is given.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from support.driver_process import HERE, MARK, processes_with

SSH = """\
while :; do
    case $1 in -[ioplL]) shift 2 ;; -*) shift ;; *) break ;; esac
done
export TOY_NODE="${1#*@}" NODE_ADDRESS="${1#*@}"
shift
exec bash -c "$*"
"""
RSYNC = """\
while [ $# -gt 2 ]; do shift; done
target=${2#*:}
target=$(eval echo "$target")
mkdir -p "$(dirname "$target")"
[ "$(realpath "$1")" = "$(realpath "$target")" ] || cp "$1" "$target"
"""


class Machine:
    """The commands that a launch line finds on its machine, and the store that it names."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        self.store = folder / "store"
        self._home = folder / "home"
        self._commands = folder / "commands"
        self._rules = folder / "rules.json"
        for made in (self._commands, self._home, folder / "tmux"):
            made.mkdir()
        self.add("sweeper", f'exec {sys.executable} {HERE / "toy_command.py"} "$@"')
        self.add("ray", f'exec {sys.executable} {HERE / "ray_command.py"} "$@"')
        self.add("python", f'exec {sys.executable} "$@"')
        monkeypatch.setenv("HOME", str(self._home))
        monkeypatch.setenv("PATH", str(self._commands), prepend=":")
        monkeypatch.setenv("PYTHONPATH", str(HERE.parent), prepend=":")
        monkeypatch.setenv("TMUX_TMPDIR", str(folder / "tmux"))
        monkeypatch.setenv("TOYS", str(self._rules))
        monkeypatch.setenv("TOY_PERFORMER", "support.toy_places:perform")

    def add(self, name: str, script: str) -> None:
        """Add a command, or replace it."""
        file = self._commands / name
        file.write_text(f"#!/bin/bash\n{script}\n")
        file.chmod(0o755)

    def answer_ssh(self, port: int) -> None:
        """Answer `ssh` and `rsync`, whose shells find the same commands as this one, and the head at a port.

        Otherwise `auto` would be the latest one of all the clusters of this machine.
        """
        self.add("ssh", SSH)
        self.add("rsync", RSYNC)
        (self._home / ".ssh").mkdir()
        (self._home / ".ssh" / "id_ed25519").touch()
        variables = ("PATH", "PYTHONPATH", "TMUX_TMPDIR")
        (self._home / ".bashrc").write_text("".join(f"export {name}={os.environ[name]}\n" for name in variables))
        with (self._home / ".bashrc").open("a") as file:
            file.write(f"export RAY_AUTH_MODE=token RAY_ADDRESS=127.0.0.1:{port}\n")

    def set_rules(self, rules: dict[str, str]) -> None:
        """Write the rules of the toy tasks, by task id."""
        self._rules.write_text(json.dumps(rules))

    @contextmanager
    def running(self, line: str, **environment: str) -> Iterator["Line"]:
        """Run a line of shell for the duration of a context, and end all processes that it has started."""
        for url in ("s3://BUCKET/paper", "gs://BUCKET/paper", "/shared/runs/paper"):
            line = line.replace(url, str(self.store))
        mark = f"{self.store}-line"
        process = subprocess.Popen(
            ["bash", "-c", line],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=os.environ | environment | {MARK: mark},
        )
        try:
            yield Line(process)
        finally:
            for _ in range(3):  # a process may start another one meanwhile
                for pid in processes_with(f"{MARK}={mark}"):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            process.communicate()


class Line:
    """A line of shell that runs."""

    def __init__(self, process: "subprocess.Popen[str]"):
        self._process = process
        self.output = ""

    def read_until(self, text: str) -> bool:
        """Read the output until a line has a text; return False if the process ends before."""
        assert self._process.stdout
        for line in self._process.stdout:
            self.output += line
            if text in line:
                return True
        return False

    def wait(self) -> int:
        """Wait until the line ends, and return its exit code."""
        rest, _ = self._process.communicate(timeout=100)
        self.output += rest
        return self._process.returncode

    def end(self) -> int:
        """Send SIGTERM to all processes of the line, and return its exit code."""
        os.killpg(self._process.pid, signal.SIGTERM)
        return self.wait()
