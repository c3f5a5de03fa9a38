"""Tests of the driver's guard with real processes: what it prints and records when its driver is deaf or dead."""

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support import store_rows
from support.driver_process import until
from support.stopwatch import Stopwatch

from sweeper.engine.guard_process import GrpcProbe, process_state
from sweeper.store.store import Store

COMMAND = "sweeper resume --store here --job toy"

# A driver that has recorded the start of a run, then does what its second argument says, and prints "ready" before.
SCRIPT = """
import collections, ctypes, itertools, socket, sys, time
from sweeper.engine import interrupt as module
from sweeper.store.store import Store

folder, act = sys.argv[1:]
module.END_SECONDS = 0.5
store = Store.open(folder)
with module.Interrupt(grace=0.1) as interrupt, store.lease():
    row = {"task": "r1", "run": "r1", "job": "toy", "host": "here", "pid": 1, "tasks": 2, "done_before": 0}
    row |= {"job_given": "", "job_resolved": ""}
    interrupt.record_start(row, store.url, "sweeper.store.store:Store", "sweeper resume --store here --job toy")
    interrupt.let_tasks_end()
    print("ready", flush=True)
    if act == "hold":  # hold the interpreter in a call that never looks at signals
        collections.deque(itertools.repeat(1), maxlen=0)
    if act == "block":  # wait in C without holding the interpreter, as calls of Ray do
        mutex = ctypes.create_string_buffer(64)
        for _ in range(2):
            ctypes.CDLL(None).pthread_mutex_lock(mutex)
    if act == "lose":  # a GCS that never answers
        server = socket.create_server(("127.0.0.1", 0))
        interrupt.tell_guard(gcs=f"127.0.0.1:{server.getsockname()[1]}", patience=1.0)
    if act == "start":  # a Ray that does not start
        interrupt.tell_guard(start_seconds=0.5)
    while not interrupt.end_requested:
        time.sleep(0.01)
        interrupt.raise_if_lost()
    interrupt.record_end()
"""


@dataclass
class Lines:
    """A process with a guard, and the lines of its stderr with the times at which they came."""

    process: subprocess.Popen
    read: list[tuple[float, str]] = field(default_factory=list)

    def wait_for(self, text: str, seconds: float) -> None:
        """Wait until a line of stderr contains a text."""
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            line = self.process.stderr.readline()
            self.read.append((time.monotonic(), line))
            if text in line:
                return
        raise AssertionError(f"no line with {text!r}: {self.read}")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Lines]]:
    """Return a function that starts the script on a store with one finished task of run r1."""
    store = Store.open(str(tmp_path / "store"), create=True)
    store.commit([store_rows.model("m1", run="r1"), store_rows.start("r1", job="toy")], run="r1", worker="w")
    store.put_weights(b"m1")
    started = []

    def start(act: str) -> Lines:
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / "store"), act]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        assert started[-1].stdout.readline() == "ready\n"
        return Lines(started[-1])

    yield start
    for process in started:
        process.kill()
        process.communicate()


def end_of(store: Store) -> tuple[str, int]:
    """Wait until the store has an end row and no lease, and return the outcome and the number of finished tasks."""
    assert until(lambda: len(store.runs()) == 2 and store.driver() is None, 120), store.runs()
    end = store.runs()[1]
    assert end.event == "end"
    return end.outcome, end.done


@pytest.mark.parametrize(
    ("act", "code"),
    [
        ("hold", -signal.SIGKILL),  # the interpreter is held, so nothing in the process can choose the exit code
        ("block", 130),
    ],
)
def test_a_signal_to_a_driver_that_is_in_a_call_is_acknowledged_and_ends_it(start, tmp_path, act, code):
    driver = start(act)
    stopwatch = Stopwatch()
    driver.process.send_signal(signal.SIGTERM)
    driver.wait_for("stopping; finished tasks are kept", 20)
    assert stopwatch.free_seconds < 1
    assert driver.process.wait(60) == code
    driver.wait_for(COMMAND, 60)
    assert end_of(Store.open(str(tmp_path / "store"))) == ("interrupted", 1)


def test_the_end_of_a_killed_driver_is_recorded_and_the_way_to_continue_printed(start, tmp_path):
    driver = start("wait")
    driver.process.kill()
    driver.wait_for("ended unexpectedly; finished tasks are kept", 60)
    driver.wait_for(COMMAND, 60)
    assert end_of(Store.open(str(tmp_path / "store"))) == ("failed", 1)


def test_an_end_that_the_store_does_not_take_is_reported(start, tmp_path):
    driver = start("wait")
    shutil.rmtree(tmp_path / "store")
    driver.process.kill()
    driver.wait_for(COMMAND, 60)
    driver.wait_for("the end of the run is not recorded in the store: ", 60)


def test_the_guard_ends_silently_with_a_driver_that_records_its_own_end(start, tmp_path):
    driver = start("wait")
    driver.process.send_signal(signal.SIGINT)
    _, text = driver.process.communicate(timeout=60)
    assert driver.process.returncode == 0
    assert text.count("\n") == 1, text
    assert len(Store.open(str(tmp_path / "store")).runs()) == 1, "the script records nothing"


def test_a_ray_that_does_not_start_in_time_counts_as_lost(start):
    _, text = start("start").process.communicate(timeout=60)
    assert "RayLost: Ray has not started within 0.5 s" in text


@pytest.mark.slow
def test_the_driver_learns_that_its_gcs_is_silent_but_not_while_it_is_stopped_itself(start):
    """Stop the driver for longer than the guard's patience, as Ctrl-Z does with Ray's processes."""
    driver = start("lose")
    driver.process.send_signal(signal.SIGSTOP)
    assert not until(lambda: driver.process.poll() is not None, 10)
    driver.process.send_signal(signal.SIGCONT)
    _, text = driver.process.communicate(timeout=60)
    assert driver.process.returncode == 1
    assert "RayLost: the head of the Ray cluster at 127.0.0.1" in text


def probe(address: str) -> bool:
    """Return the result of a look at an address."""
    look = GrpcProbe(address)
    while (answer := look.result()) is None:
        time.sleep(0.01)
    return answer


def test_a_gcs_that_accepts_connections_but_never_answers_counts_as_silent(monkeypatch):
    monkeypatch.setattr("sweeper.engine.guard_process.ANSWER_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert probe(f"127.0.0.1:{port}") is False
    assert probe(f"127.0.0.1:{port}") is False, "the port is closed"


def test_a_gcs_that_sends_its_settings_answers():
    with socket.create_server(("127.0.0.1", 0)) as server:
        look = GrpcProbe(f"127.0.0.1:{server.getsockname()[1]}")
        connection, _ = server.accept()
        connection.sendall(b"\0\0\0\4\0\0\0\0\0")
        assert until(lambda: look.result())
        connection.close()


def test_a_zombie_is_not_a_living_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    assert until(lambda: not process_state(process.pid)), "it has ended, but nobody has waited for it"
    process.wait()
