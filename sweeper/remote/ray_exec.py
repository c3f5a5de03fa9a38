"""`ray exec` over SSH as the way to a cluster that `ray up` has started: for clusters without a job server.

The machine that submits needs what `ray up` needs, and no tunnel. Each command takes some seconds.
"""

import base64
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from sweeper.errors import SetupError

from . import head_script
from .submission import STOPPED, ConnectionLostError, DriverState, Submission

SEND_SECONDS = 600.0
RAY = [sys.executable, "-m", "ray.scripts.scripts"]


class RayExec:
    """The head of a cluster that `ray up` has started."""

    def __init__(self, address: str):
        """Make a client; nothing is sent yet.

        Args:
            address: The cluster's YAML file.

        Raises:
            SetupError: There is no such file.
        """
        if not Path(address).is_file():
            raise SetupError(f"--address {address}: there is no such file")
        self.address = address
        self._states: dict[str, DriverState] = {}

    def check(self) -> None:
        """Check that the head can be reached, and that its Ray refuses a process without the token.

        Raises:
            SetupError: One of them is not so.
        """
        try:
            answers = list(self._run("check"))
        except ConnectionLostError as error:
            raise SetupError(f"{error}; `ray up {self.address}` starts this cluster") from None
        for kind, text in answers:
            if kind == "open":
                raise SetupError(
                    f"{self.address}: this cluster answers without a token, so anyone who can reach it can run code on "
                    "it, and nothing was sent; start its nodes with RAY_AUTH_MODE=token, as the files in jobs/launch do"
                )
            if kind == "problem":
                raise SetupError(f"{self.address}: {text}")

    def start(self, submission: Submission) -> None:
        """Send the files of a driver, and start it."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("files.zip", submission.bundle.archive)
            settings = {"command": submission.command, "environment": dict(submission.environment)}
            archive.writestr("submission.json", json.dumps(settings))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{submission.name}.zip"
            file.write_bytes(buffer.getvalue())
            self._call("rsync-up", self.address, str(file), f"~/{file.name}")
        if "started" not in dict(self._run("start", submission.name)):
            raise ConnectionLostError(f"{self.address}: the head doesn't answer")

    def log(self, name: str, position: int) -> Iterator[str]:
        """Yield the log of a driver from a position until the driver ends."""
        for kind, text in self._run("log", name, str(position)):
            if kind == "text" and text:
                yield text
            elif kind == "absent":
                raise SetupError(f"{self.address} has no driver {name}")
            elif kind == "end":
                self._states[name] = _state(text)
                return
        raise ConnectionLostError(f"{self.address}: the connection to the head was lost")

    def state(self, name: str) -> DriverState:
        """Return the state of a driver."""
        if name in self._states:  # each command takes seconds
            return self._states[name]
        answers = dict(self._run("state", name))
        if "absent" in answers:
            raise SetupError(f"{self.address} has no driver {name}")
        return _state(answers["end"]) if "end" in answers else DriverState(ended=False)

    def stop(self, name: str) -> None:
        """Ask a driver to stop."""
        if "absent" in dict(self._run("stop", name)):
            raise SetupError(f"{self.address} has no driver {name}")

    def _run(self, *arguments: str) -> Iterator[tuple[str, str]]:
        """Run the script of the head, and yield the kind and the text of each of its answers.

        Raises:
            ConnectionLostError: There is no answer.
        """
        script = base64.b64encode(Path(head_script.__file__).read_bytes()).decode()
        start = f"import base64,sys;sys.argv[1:]={list(arguments)};exec(base64.b64decode('{script}'))"
        command = [*RAY, "exec", self.address, f'python -c "{start}"']
        answered, lines = False, []
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout
            try:
                for line in process.stdout:
                    mark, _, answer = line.rstrip("\r\n").partition(" ")
                    if mark == head_script.MARK:
                        kind, _, encoded = answer.partition(" ")
                        answered = True
                        yield kind, base64.b64decode(encoded).decode()
                    else:
                        lines.append(line)
            finally:
                process.terminate()
        if not answered:
            raise ConnectionLostError(f"{self.address}: {_last(lines)}")

    def _call(self, *arguments: str) -> None:
        """Call a command of Ray.

        Raises:
            ConnectionLostError: It fails.
        """
        try:
            process = subprocess.run(
                [*RAY, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SEND_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise ConnectionLostError(f"{self.address}: ray {arguments[0]} took {SEND_SECONDS:.0f} s") from None
        if process.returncode:
            raise ConnectionLostError(f"{self.address}: {_last((process.stdout + process.stderr).splitlines())}")


def _last(lines: list[str]) -> str:
    """Return the last line of a command's output that says why it failed."""
    texts = [line.strip() for line in lines if line.strip()]
    return texts[-1] if texts else "the head doesn't answer"


def _state(exit_code: str) -> DriverState:
    if exit_code == "lost":
        return DriverState(ended=True, exit_code=1, message="its process has gone")
    code = int(exit_code)
    if 0 <= code < 128:
        return DriverState(ended=True, exit_code=code)
    if code == STOPPED:
        return DriverState(ended=True, exit_code=STOPPED, message="stopped")
    return DriverState(ended=True, exit_code=1, message=f"it was ended by signal {-code}")
