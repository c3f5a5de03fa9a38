"""Tests of the lease with real processes that hold it, are killed, are suspended or release it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.driver_process import until
from support.s3_proxy import CLOSED, LOST_ANSWER, S3Proxy

from sweeper.errors import StoreBusy, StoreUnreachableError
from sweeper.store.holder import Holder, read_holder
from sweeper.store.lease import Lease
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Bucket, Folder, Objects

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


# Tries to take one store after the other, whose URLs it reads, and releases each at the next line.
RACER = """
import sys
from sweeper.errors import StoreBusy
from sweeper.store.lease import Lease
from sweeper.store.parts.objects import open_objects

print("ready", flush=True)
for line in sys.stdin:
    try:
        with Lease(open_objects(line.strip()), take_over=sys.argv[1] == "take over"):
            print("won", flush=True)
            sys.stdin.readline()
    except StoreBusy:
        print("lost", flush=True)
        sys.stdin.readline()
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


@contextmanager
def racers(count: int, way: str) -> Iterator[list[subprocess.Popen[str]]]:
    """Run processes that race for stores, and kill them at the end of the block."""
    command = [sys.executable, "-c", RACER, way]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
    ]
    try:
        assert [answer(process) for process in processes] == ["ready"] * count
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def answer(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process prints."""
    assert process.stdout
    return process.stdout.readline().strip()


def tell(processes: list[subprocess.Popen[str]], line: str) -> None:
    """Send a line to processes, at the same time as nearly as possible."""
    for process in processes:
        assert process.stdin
        process.stdin.write(line + "\n")
        process.stdin.flush()


def write_lease(objects: Objects, number: int, **changes: object) -> None:
    """Write a lease object as a driver on another machine would, except for some changed fields."""
    holder = replace(Holder.of_this_process(120.0), **{"host": "other-host", **changes})  # type: ignore[arg-type]
    assert objects.create(store_paths.lease(number), holder.to_json())


def test_a_lease_is_held_in_its_block_and_released_after_it(objects: Objects):
    first = Lease(objects)
    assert not first.is_held()
    with first:
        assert first.is_held()
        holder = read_holder(objects)
        assert holder is not None
        assert holder.pid == os.getpid()
    assert not first.is_held()
    assert read_holder(objects) is None
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
    write_lease(objects, 8, silence=2.0)
    start = time.monotonic()
    with Lease(objects, wait=True) as second:
        assert second.number == 9
        assert time.monotonic() - start > 2.0
        assert second.takeover.endswith("it has sent no heartbeat for 2 s")


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
    assert read_holder(Folder(tmp_path)) is None


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


@pytest.mark.parametrize("way", ["free", "take over"])
def test_each_of_many_races_of_several_processes_has_one_winner(tmp_path: Path, way: str):
    """Race for free stores, and for stores whose driver on another machine is taken over."""
    with racers(3, way) as processes:
        for number in range(100):
            folder = tmp_path / str(number)
            folder.mkdir()
            if way == "take over":
                write_lease(Folder(folder), 5)
            tell(processes, str(folder))
            assert sorted(answer(process) for process in processes) == ["lost", "lost", "won"], number
            tell(processes, "release")


@pytest.mark.slow
def test_races_for_a_bucket_have_one_winner_each_although_answers_are_lost(
    disturbed_bucket: Bucket, proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch
):
    proxy.faults = {LOST_ANSWER: 0.1}
    proxy.methods = frozenset({"PUT"})
    with racers(3, "free") as processes:
        for number in range(200):
            tell(processes, f"{disturbed_bucket.url}/{number}")
            assert sorted(answer(process) for process in processes) == ["lost", "lost", "won"], number
            tell(processes, "release")
    assert proxy.counts[LOST_ANSWER] > 50


def test_a_lease_whose_first_write_is_not_acknowledged_is_held(disturbed_bucket: Bucket, proxy: S3Proxy):
    proxy.methods = frozenset({"PUT"})
    proxy.next_faults = [LOST_ANSWER]
    with Lease(disturbed_bucket) as first:
        assert proxy.counts[LOST_ANSWER] == 1
        assert first.is_held()
        with pytest.raises(StoreBusy), Lease(disturbed_bucket):
            pass
        proxy.next_faults = [LOST_ANSWER]  # of the release
    assert read_holder(disturbed_bucket) is None


def test_a_lease_whose_first_write_fails_to_the_end_is_taken_by_the_next_try(disturbed_bucket: Bucket, proxy: S3Proxy):
    proxy.methods = frozenset({"PUT"})
    proxy.next_faults = [LOST_ANSWER] + 10 * [CLOSED]  # so that obstore gives up
    with Lease(disturbed_bucket) as first:
        assert proxy.next_faults == []
        assert first.is_held()
        assert first.takeover == ""


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_heartbeats_with_lost_answers_lose_no_lease(disturbed_bucket: Bucket, proxy: S3Proxy, count: int):
    proxy.faults = {LOST_ANSWER: 0.1}
    proxy.methods = frozenset({"PUT"})
    with Lease(disturbed_bucket, silence=0.06) as heartbeat_lease:
        assert until(lambda: heartbeat_lease.is_lost or proxy.counts["PUT"] >= count, 1500)
        assert not heartbeat_lease.is_lost
        assert heartbeat_lease.is_held()
    assert proxy.counts[LOST_ANSWER] >= count / 20
    assert read_holder(disturbed_bucket) is None


def test_a_heartbeat_that_was_written_unnoticed_is_no_takeover(disturbed_bucket: Bucket, proxy: S3Proxy):
    with Lease(disturbed_bucket) as one:
        number = one.number
        proxy.methods = frozenset({"PUT"})
        proxy.next_faults = [LOST_ANSWER] + 10 * [CLOSED]
        with pytest.raises(StoreUnreachableError, match="can't be reached"):
            one._advance()
        assert one.number == number
        assert one.is_held()
        assert one.number == number + 1


@pytest.mark.parametrize(
    "ahead", [timedelta(days=1), pytest.param(timedelta(days=-1), marks=pytest.mark.slow)], ids=["ahead", "behind"]
)
def test_the_clock_of_another_machine_neither_locks_a_store_nor_takes_a_living_driver_over(tmp_path: Path, ahead):
    """Let a driver whose clock is a day off send heartbeats, which another one watches, and then end."""
    folder = Folder(tmp_path)
    driver = replace(Holder.of_this_process(3.0), host="other-host", at=(datetime.now(UTC) + ahead).isoformat())
    heartbeats = [time.monotonic()]

    def send_heartbeats() -> None:
        for number in range(1, 15):
            folder.create(store_paths.lease(number), driver.to_json())
            heartbeats.append(time.monotonic())
            time.sleep(0.5)

    folder.create(store_paths.lease(0), driver.to_json())
    thread = threading.Thread(target=send_heartbeats)
    thread.start()
    with Lease(folder, wait=True) as second:
        assert time.monotonic() - heartbeats[-1] > 3.0
        assert second.number == 15
    thread.join()


def test_a_dead_driver_on_another_machine_is_taken_over_at_once_if_that_is_asked_for(objects: Objects):
    write_lease(objects, 7, pid=123, since="2026-01-01T00:00:00+00:00")
    with Lease(objects, take_over=True) as second:
        assert second.is_held()
        assert second.takeover == (
            f"took {objects.url} over from process 123 on other-host, which has held it since 2026-01-01 00:00:00 UTC: "
            "--take-over says that it is dead"
        )


def test_a_driver_that_lives_on_this_machine_is_not_taken_over(tmp_path: Path):
    with Lease(Folder(tmp_path)) as first:
        with pytest.raises(StoreBusy, match=f"is alive.*kill {os.getpid()}"), Lease(Folder(tmp_path), take_over=True):
            pass
        assert first.is_held()


@pytest.mark.slow
def test_silence_does_not_count_while_the_storage_does_not_answer(disturbed_bucket: Bucket, proxy: S3Proxy):
    """Let the watching driver be cut off for longer than the silence: it could not have seen heartbeats."""
    write_lease(disturbed_bucket, 7, silence=5.0)
    start = time.monotonic()

    def cut_off() -> None:
        time.sleep(1.0)
        with proxy.outage():
            time.sleep(11.0)

    thread = threading.Thread(target=cut_off)
    thread.start()
    with Lease(disturbed_bucket, wait=True):
        assert time.monotonic() - start > 12.0 + 5.0
    thread.join()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"token": 1}'])
def test_an_unreadable_lease_is_replaced(tmp_path: Path, content: bytes):
    folder = Folder(tmp_path)
    folder.create(store_paths.lease(3), content)
    with Lease(folder) as new_lease:
        assert new_lease.number == 4
