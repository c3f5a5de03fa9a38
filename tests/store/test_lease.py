"""One driver a store, with real processes: busy, killed, paused, given up."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sweeper.errors import StoreBusy
from sweeper.store import lease
from sweeper.store.lease import Holder, Lease
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Folder, Objects

DRIVER = """
import sys, time
from sweeper.store.lease import Lease
from sweeper.store.parts.objects import open_objects
with Lease(open_objects(sys.argv[1]), silence=float(sys.argv[2]), wait=len(sys.argv) > 3) as lease:
    print("holding", flush=True)
    while True:
        line = sys.stdin.readline().strip()
        if line == "held?":
            print(lease.held(), flush=True)
        else:
            break
print("done", flush=True)
"""


class Driver:
    """A process that holds a store until it is told to end."""

    def __init__(self, url: str, silence: float, *more: str):
        command = [sys.executable, "-c", DRIVER, url, str(silence), *more]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def says(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def tell(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()


@contextmanager
def driving(url: str, silence: float = 120.0, *more: str) -> Iterator[Driver]:
    driver = Driver(url, silence, *more)
    try:
        yield driver
    finally:
        driver.process.kill()
        driver.process.communicate()


def write(objects: Objects, number: int, **changed: object) -> None:
    """A lease object as some other driver would write it."""
    holder = replace(Holder.me(120.0), **{"host": "elsewhere", **changed})  # type: ignore[arg-type]
    content = {name: getattr(holder, name) for name in holder.__slots__}
    assert objects.create(store_paths.lease(number), json.dumps(content).encode())


def test_held_and_given_up(objects: Objects):
    one = Lease(objects)
    assert not one.held()
    with one:
        assert one.held()
        holder = lease.holder(objects)
        assert holder is not None
        assert holder.pid == os.getpid()
    assert not one.held()
    assert lease.holder(objects) is None
    with Lease(objects) as other:
        assert other.held()
        assert other.epoch > one.epoch


def test_a_second_driver_is_refused_with_the_firsts_name(objects: Objects):
    with Lease(objects), pytest.raises(StoreBusy) as caught, Lease(objects):
        pytest.fail("two drivers at once")
    assert caught.value.exit_code == 4
    for known in (str(os.getpid()), os.uname().nodename, "UTC", "--wait"):
        assert known in str(caught.value)


def test_an_exception_gives_the_store_up(objects: Objects):
    with pytest.raises(ZeroDivisionError), Lease(objects):
        raise ZeroDivisionError
    with Lease(objects) as other:
        assert other.held()


def test_heartbeats_renew_it_and_old_numbers_are_cleared(tmp_path: Path):
    folder = Folder(tmp_path)
    with Lease(folder, silence=0.3) as one:
        first, deadline = one.epoch, time.monotonic() + 20
        while one.epoch < first + 6 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert one.epoch >= first + 6
        assert one.held()
        assert len(folder.list(store_paths.LEASE)) <= 4


def test_a_killed_driver_on_this_machine_is_followed_at_once(tmp_path: Path):
    with driving(str(tmp_path)) as first:
        assert first.says() == "holding"
        with pytest.raises(StoreBusy, match=str(first.process.pid)), Lease(Folder(tmp_path)):
            pass
        first.process.send_signal(signal.SIGKILL)
        while (status := Path(f"/proc/{first.process.pid}/stat").read_text().rpartition(")")[2].split()[0]) != "Z":
            time.sleep(0.01)
        assert status == "Z"  # nobody has waited for it yet
        with Lease(Folder(tmp_path)) as second:
            assert second.held()


def test_a_later_process_with_the_same_id_is_not_taken_for_the_holder(tmp_path: Path):
    write(Folder(tmp_path), 1, host=os.uname().nodename, started="1")
    with Lease(Folder(tmp_path)) as second:
        assert second.held()


def test_a_neighbouring_containers_process_ids_say_nothing(tmp_path: Path):
    write(Folder(tmp_path), 1, host=os.uname().nodename, place="another namespace", pid=2**22, started="1")
    with pytest.raises(StoreBusy), Lease(Folder(tmp_path)):
        pass


def test_a_driver_elsewhere_is_followed_after_its_silence(objects: Objects):
    write(objects, 7)
    with pytest.raises(StoreBusy, match="elsewhere"), Lease(objects):
        pass
    write(objects, 8, at="2020-01-01T00:00:00+00:00")
    with Lease(objects) as second:
        assert second.epoch == 9


def test_a_paused_driver_is_followed_and_fenced_when_it_wakes(tmp_path: Path):
    with driving(str(tmp_path), 1.0) as first:
        assert first.says() == "holding"
        first.process.send_signal(signal.SIGSTOP)
        with Lease(Folder(tmp_path), wait=True, silence=1.0) as second:
            assert second.held()
            first.process.send_signal(signal.SIGCONT)
            first.tell("held?")
            assert first.says() == "False"
            woken = second.epoch
            while second.epoch < woken + 2:  # time in which the first driver's heartbeats would go on
                time.sleep(0.01)
            first.tell("held?")
            assert first.says() == "False"
            first.tell("end")
            assert first.says() == "done"
            assert second.held()
    assert lease.holder(Folder(tmp_path)) is None


def test_a_driver_that_slept_through_all_numbers_kept_is_fenced_too(tmp_path: Path):
    folder = Folder(tmp_path)
    with Lease(folder) as one:
        write(folder, 50)  # and those before were cleared away
        assert not one._advance()
        assert not one.held()
    assert one.epoch == 1


def test_waiting_ends_when_the_first_has_ended(tmp_path: Path):
    with driving(str(tmp_path)) as first:
        assert first.says() == "holding"
        with driving(str(tmp_path), 120.0, "wait") as second:
            time.sleep(0.5)
            assert second.process.poll() is None
            first.tell("end")
            assert first.says() == "done"
            assert second.says() == "holding"


def test_of_many_at_once_one_drives(tmp_path: Path):
    drivers = [Driver(str(tmp_path), 120.0) for _ in range(6)]
    try:
        assert sorted(driver.says() for driver in drivers) == ["", "", "", "", "", "holding"]
    finally:
        for driver in drivers:
            driver.process.kill()
            driver.process.communicate()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}"])
def test_an_unreadable_lease_stops_nobody(tmp_path: Path, content: bytes):
    folder = Folder(tmp_path)
    folder.create(store_paths.lease(3), content)
    with Lease(folder) as one:
        assert one.epoch == 4
