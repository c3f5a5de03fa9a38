"""Tests of signals to `sweeper run` before its first task starts: one ends it within seconds, with a sentence."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.driver_process import until
from support.stopwatch import Stopwatch
from support.toy_store import JOB

from sweeper.store.store import Store


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Return the address of a server that accepts connections and never answers, as a stopped GCS does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def start(job: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start `sweeper run` on a job, in a session of its own."""
    job.write_text(JOB)
    command = [sys.executable, "-m", "sweeper", "run", str(job), *arguments, "--store", str(job.parent / "store")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def has_a_child(process: subprocess.Popen[str], argument: str) -> bool:
    """Return True if a child of a process has been started with an argument."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    commands = [Path(f"/proc/{child}/cmdline") for child in children]
    return any(argument.encode() in path.read_bytes().split(b"\0") for path in commands if path.exists())


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_a_signal_ends_the_check_of_an_address_at_once(tmp_path, silent_server, number):
    process = start(tmp_path / "toy.yaml", f"engine.address={silent_server}")
    try:
        assert until(lambda: has_a_child(process, silent_server), 120), "the check has begun"
        stopwatch = Stopwatch()
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert stopwatch.free_seconds < 3
        assert (process.returncode, out) == (130, "")
        assert err.splitlines()[-2:] == ["stopping; no task has started", "interrupted: no task had started"]
    finally:
        process.kill()
    assert Store.open(str(tmp_path / "store")).runs() == []


def test_a_signal_ends_the_wait_for_another_driver(tmp_path):
    store = Store.open(str(tmp_path / "store"), create=True)
    with store.lease():
        process = start(tmp_path / "toy.yaml", "--wait")
        try:
            assert process.stderr is not None
            assert "results go to" in process.stderr.readline()
            assert not until(lambda: process.poll() is not None, 3.0)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 130
        finally:
            process.kill()
            process.communicate()
        assert store.driver() is not None, "the other driver still has its lease"
