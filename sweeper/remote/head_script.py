"""The script that `ray_exec.py` runs on a cluster's head: it starts a driver, sends its log, and stops it.

Its text is sent with each command, so it imports only the standard library. A terminal and Ray lie between it and its
reader, and both add text of their own. So each answer is a line of its own, which begins with `MARK`.
"""

import base64
import os
import signal
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
from pathlib import Path

MARK = "@sweeper"
# A folder for each driver, with `files`, `submission.json`, `log`, `pid` and `exit_code`.
DRIVERS = Path.home() / ".cache" / "sweeper" / "drivers"
ALIVE_SECONDS = 20.0  # between two answers without content, from which the reader knows that the connection holds

_ASK = """
from ray._private.services import canonicalize_bootstrap_address_or_die
from ray._raylet import GcsClient
print(GcsClient(address=canonicalize_bootstrap_address_or_die("auto")).cluster_id)
"""


def main(operation: str, name: str = "", position: str = "0") -> None:
    """Perform an operation: `check`, or `start`, `state`, `log` or `stop` for the driver of a name."""
    folder = DRIVERS / name
    match operation:
        case "check":
            _check()
        case "start":
            _start(folder)
        case "state":
            _send_state(folder)
        case "log":
            _send_log(folder, int(position))
        case "stop":
            _stop(folder)


def _answer(kind: str, text: str = "") -> None:
    print(f"\n{MARK} {kind} {base64.b64encode(text.encode()).decode()}", flush=True)


def _check() -> None:
    """Answer `open` if Ray's control store answers a process without a token, `closed` if it refuses it."""
    hidden = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
    environment = {key: value for key, value in os.environ.items() if key not in hidden} | {"RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-c", _ASK]
    try:
        asked = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        _answer("problem", "Ray doesn't answer on the head within a minute")
        return
    if asked.returncode == 0:
        _answer("open")
    elif "Unauthenticated" in asked.stderr or "token" in asked.stderr.lower():
        _answer("closed")
    else:
        _answer("problem", (asked.stderr.strip().splitlines() or ["Ray doesn't answer on the head"])[-1])


def _start(folder: Path) -> None:
    """Unpack what was sent, and start the driver, unless it has been started before."""
    if not (folder / "log").exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        sent = Path.home() / f"{folder.name}.zip"
        with zipfile.ZipFile(sent) as archive:
            archive.extractall(folder)
        sent.unlink()
        with zipfile.ZipFile(folder / "files.zip") as files:
            files.extractall(folder / "files")
        with (folder / "log").open("wb") as log:
            driver = subprocess.Popen(
                [sys.executable, "-m", "sweeper.engine.on_head", str(folder)],
                cwd=folder / "files",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        (folder / "pid").write_text(str(driver.pid))
    _answer("started")


def _send_log(folder: Path, position: int) -> None:
    """Answer `text` with each new piece of the log, and `end` with the exit code when the driver has ended."""
    if not (folder / "log").exists():
        _answer("absent")
        return
    answered = 0.0
    while True:
        exit_code = _exit_code(folder)  # read before the log, so that the log of a driver that has ended is whole
        text = (folder / "log").read_text(errors="replace")
        if len(text) > position or time.monotonic() - answered > ALIVE_SECONDS:
            _answer("text", text[position:])
            position, answered = len(text), time.monotonic()
        if exit_code:
            _answer("end", exit_code)
            return
        time.sleep(0.5)


def _send_state(folder: Path) -> None:
    """Answer `end` with the exit code of a driver that has ended, `running` or `absent`."""
    if not (folder / "log").exists():
        _answer("absent")
    elif exit_code := _exit_code(folder):
        _answer("end", exit_code)
    else:
        _answer("running")


def _exit_code(folder: Path) -> str:
    """Return the exit code of a driver as text; "" while it runs, `lost` if it has gone without one."""
    if (folder / "exit_code").exists():
        return (folder / "exit_code").read_text()
    if not (folder / "pid").exists():
        return ""
    try:
        os.kill(int((folder / "pid").read_text()), 0)
    except ProcessLookupError:
        time.sleep(1)
        return (folder / "exit_code").read_text() if (folder / "exit_code").exists() else "lost"
    return ""


def _stop(folder: Path) -> None:
    if not (folder / "pid").exists():
        _answer("absent")
        return
    with suppress(ProcessLookupError):  # it may have ended
        os.kill(int((folder / "pid").read_text()), signal.SIGTERM)
    _answer("stopped")


if __name__ == "__main__":
    main(*sys.argv[1:])
