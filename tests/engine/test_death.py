"""Tests of how a worker's process ended, by its log and Ray's error."""

import os
import signal
import subprocess
import sys

import pytest

from sweeper.engine.death import Death, WorkerPlace, death_of
from sweeper.engine.faults import Fault

PLACE = WorkerPlace("node-7", "abc", 1, ("worker.err",))


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGBUS])
def test_a_signal_is_found_in_the_log_of_a_real_process(number):
    code = f"import faulthandler, os; faulthandler.enable(); os.kill(os.getpid(), {int(number)})"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert process.returncode == -number
    death = death_of(PLACE, process.stderr, Fault.KILLED)
    assert (death.host, death.signal, death.exit_code) == ("node-7", number.name, None)
    assert death.log == process.stderr


def test_the_line_of_ray_names_a_signal():
    assert death_of(PLACE, "*** SIGSEGV received at time=1 on cpu 0 ***", Fault.KILLED).signal == "SIGSEGV"


def test_only_a_kill_leaves_no_trace():
    assert death_of(PLACE, "a usual line", Fault.KILLED).signal == "SIGKILL"
    assert death_of(None, None, Fault.MEMORY) == Death(signal="SIGKILL")
    assert death_of(PLACE, None, Fault.LOST) == Death("node-7"), "the process may live on"


def test_an_exit_code_is_found_in_the_error_of_ray():
    death = death_of(PLACE, "", Fault.KILLED, "Worker exit detail: Worker exits with an exit code 3.")
    assert (death.signal, death.exit_code) == (None, 3)


def test_the_place_of_a_process_has_its_host_and_id():
    place = WorkerPlace.of_this_process("abc", ["a", "b"])
    assert (place.host != "", place.node, place.pid, place.logs) == (True, "abc", os.getpid(), ("a", "b"))
