"""Tests of the lease with real processes that hold it, are killed, are suspended or release it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.driver_process import until

from sweeper.errors import StoreBusy
from sweeper.store import lease
from sweeper.store.lease import Holder, Lease
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Folder, Objects

DRIVER = """
import sys, time
from sweeper.store.lease import Lease
from sweeper.store.parts.objects import open_objects

sleep = time.sleep

def announced_sleep(seconds):
    print("waiting", flush=True)
    sleep(seconds)

time.sleep = announced_sleep  # a waiting lease sleeps between two checks
with Lease(open_objects(sys.argv[1]), silence=float(sys.argv[2]), wait=len(sys.argv) > 3) as lease:
    print("holding", flush=True)
    while True:
        line = sys.stdin.readline().strip()
        if line == "held?":
            print(lease.is_held(), flush=True)
        else:
            break
print("done", flush=True)
"""


class LeaseProcess:
    """A process that prints "waiting" while another one holds the store, then "holding", and ends on request."""

    def __init__(self, url: str, silence: float, *options: str):
        command = [sys.executable, "-c", DRIVER, url, str(silence), *options]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def read_line(self) -> str:
        """Return the next line that the process prints; "" if it ended."""
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def send_line(self, line: str) -> None:
        """Send the process "held?", which it answers, or any other line, which ends it."""
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()


@contextmanager
def lease_process(url: str, silence: float = 120.0, *options: str) -> Iterator[LeaseProcess]:
    """Run a lease process, which is killed at the end of the block."""
    driver = LeaseProcess(url, silence, *options)
    try:
        yield driver
    finally:
        driver.process.kill()
        driver.process.communicate()


def write_lease(objects: Objects, number: int, **changes: object) -> None:
    """Write a lease object as a driver on another machine would, except for some changed fields."""
    holder = replace(Holder.of_this_process(120.0), **{"host": "other-host", **changes})  # type: ignore[arg-type]
    content = {name: getattr(holder, name) for name in holder.__slots__}
    assert objects.create(store_paths.lease(number), json.dumps(content).encode())


def test_a_lease_is_held_in_its_block_and_released_after_it(objects: Objects):
    first = Lease(objects)
    assert not first.is_held()
    with first:
        assert first.is_held()
        holder = lease.read_holder(objects)
        assert holder is not None
        assert holder.pid == os.getpid()
    assert not first.is_held()
    assert lease.read_holder(objects) is None
    with Lease(objects) as second:
        assert second.is_held()
        assert second.number > first.number


def test_a_second_driver_is_refused_and_the_message_names_the_first(objects: Objects):
    with Lease(objects), pytest.raises(StoreBusy) as error_info, Lease(objects):
        pytest.fail("two drivers at once")
    assert error_info.value.exit_code == 4
    for text in (str(os.getpid()), os.uname().nodename, "UTC", "--wait"):
        assert text in str(error_info.value)


def test_an_exception_releases_the_lease(objects: Objects):
    with pytest.raises(ZeroDivisionError), Lease(objects):
        raise ZeroDivisionError
    with Lease(objects) as second:
        assert second.is_held()


def test_heartbeats_renew_the_lease_and_old_numbers_are_deleted(tmp_path: Path):
    folder = Folder(tmp_path)
    with Lease(folder, silence=0.3) as heartbeat_lease:
        first_number = heartbeat_lease.number
        assert until(lambda: heartbeat_lease.number >= first_number + 6, timeout=20)
        assert heartbeat_lease.is_held()
        assert len(folder.list(store_paths.LEASE)) <= 4


def test_a_killed_driver_on_this_machine_is_replaced_at_once(tmp_path: Path):
    with lease_process(str(tmp_path)) as first:
        assert first.read_line() == "holding"
        with pytest.raises(StoreBusy, match=str(first.process.pid)), Lease(Folder(tmp_path)):
            pass
        first.process.send_signal(signal.SIGKILL)
        assert until(lambda: _state(first.process.pid) == "Z")  # a zombie: its exit status hasn't been read
        with Lease(Folder(tmp_path)) as second:
            assert second.is_held()


def _state(pid: int) -> str:
    """Return the letter that Linux gives for the state of a process."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_later_process_with_the_id_of_the_holder_is_not_the_holder(tmp_path: Path):
    write_lease(Folder(tmp_path), 1, host=os.uname().nodename, started="1")
    with Lease(Folder(tmp_path)) as second:
        assert second.is_held()


def test_process_ids_of_another_container_are_not_compared(tmp_path: Path):
    write_lease(Folder(tmp_path), 1, host=os.uname().nodename, place="another namespace", pid=2**22, started="1")
    with pytest.raises(StoreBusy), Lease(Folder(tmp_path)):
        pass


def test_a_driver_on_another_machine_is_replaced_after_its_silence(objects: Objects):
    write_lease(objects, 7)
    with pytest.raises(StoreBusy, match="other-host"), Lease(objects):
        pass
    write_lease(objects, 8, at="2020-01-01T00:00:00+00:00")
    with Lease(objects) as second:
        assert second.number == 9


def test_a_suspended_driver_is_replaced_and_loses_the_lease_for_good(tmp_path: Path):
    with lease_process(str(tmp_path), 1.0) as first:
        assert first.read_line() == "holding"
        first.process.send_signal(signal.SIGSTOP)
        with Lease(Folder(tmp_path), wait=True, silence=1.0) as second:
            assert second.is_held()
            first.process.send_signal(signal.SIGCONT)
            first.send_line("held?")
            assert first.read_line() == "False"
            number = second.number
            # If the first driver still sent heartbeats, it would write one in the time of two heartbeats of the second.
            assert until(lambda: second.number >= number + 2)
            first.send_line("held?")
            assert first.read_line() == "False"
            first.send_line("end")
            assert first.read_line() == "done"
            assert second.is_held()
    assert lease.read_holder(Folder(tmp_path)) is None


def test_a_driver_whose_next_number_was_used_and_deleted_loses_the_lease(tmp_path: Path):
    folder = Folder(tmp_path)
    with Lease(folder) as overtaken_lease:
        write_lease(folder, 50)  # numbers 2 to 49 have been deleted again
        assert not overtaken_lease._advance()
        assert not overtaken_lease.is_held()
    assert overtaken_lease.number == 1


def test_a_waiting_driver_takes_the_lease_when_the_first_has_ended(tmp_path: Path):
    with lease_process(str(tmp_path)) as first:
        assert first.read_line() == "holding"
        with lease_process(str(tmp_path), 120.0, "wait") as second:
            assert second.read_line() == "waiting"
            first.send_line("end")
            assert first.read_line() == "done"
            while (line := second.read_line()) == "waiting":
                pass
            assert line == "holding"


def test_one_of_many_simultaneous_drivers_gets_the_lease(tmp_path: Path):
    drivers = [LeaseProcess(str(tmp_path), 120.0) for _ in range(6)]
    try:
        assert sorted(driver.read_line() for driver in drivers) == ["", "", "", "", "", "holding"]
    finally:
        for driver in drivers:
            driver.process.kill()
            driver.process.communicate()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}"])
def test_an_unreadable_lease_is_replaced(tmp_path: Path, content: bytes):
    folder = Folder(tmp_path)
    folder.create(store_paths.lease(3), content)
    with Lease(folder) as new_lease:
        assert new_lease.number == 4
