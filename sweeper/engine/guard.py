"""The driver's handle of its guard, the process in `guard_process.py` that acknowledges signals and records the end."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

_SCRIPT = Path(__file__).with_name("guard_process.py")
_END_SECONDS = 5.0  # that the guard may take to end after the driver told it to


class Guard:
    """A running guard. Python delivers signals to the main thread alone, so only there the guard receives them."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        signals_read, self._signals = os.pipe()
        os.set_blocking(self._signals, False)
        descriptors = (theirs.fileno(), signals_read)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SCRIPT), str(os.getpid()), *map(str, descriptors)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=descriptors,
            start_new_session=True,  # a terminal's Ctrl-C and hang-up are for the driver
        )
        theirs.close()
        os.close(signals_read)
        self.lost = ""  # why Ray is lost, as the guard found out
        threading.Thread(target=self._listen, name="sweeper-guard", daemon=True).start()
        self._old_wakeup: int | None = None
        if threading.current_thread() is threading.main_thread():
            self._old_wakeup = signal.set_wakeup_fd(self._signals, warn_on_full_buffer=False)

    def tell(self, **fields: Any) -> None:
        """Send fields of `guard_process.State` to the guard."""
        with suppress(OSError):  # the guard was killed; the run goes on without it
            self._socket.sendall(json.dumps(fields).encode() + b"\n")

    def _listen(self) -> None:
        """Take in the guard's messages; the target of a thread, which ends this process if the guard asks for it."""
        for line in self._socket.makefile("rb"):
            message = json.loads(line)
            self.lost = message.get("lost", self.lost)
            if "leave" in message:
                os._exit(message["leave"])

    def close(self) -> None:
        """End the guard: the driver has recorded and printed its end, or is about to."""
        if self._old_wakeup is not None:
            signal.set_wakeup_fd(self._old_wakeup)
        self.tell(ended=True)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        os.close(self._signals)
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
