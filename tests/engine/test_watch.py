from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeper.engine.faults import Fault
from sweeper.engine.pack_scheduler import Report
from sweeper.engine.watch import Watch, machine_memory, resident

GIB = 2**30


class Worker:
    """What a watchdog sees of a worker, and what it did."""

    def __init__(self, idle: float = 0.0, mine: int = GIB, used: int = 10 * GIB, total: int = 100 * GIB):
        self.did: list[object] = []
        self.work = SimpleNamespace(pack=SimpleNamespace(id="pack"), idle=idle, ending=False, abandon=self.abandon)
        self.watch = Watch(
            timeout=60,
            neighbours=4,
            pulse=lambda pack_id, memory: self.did.append(("pulse", pack_id, memory)) or self.ends,
            store_last_report=lambda pack_id, report: self.did.append((pack_id, report.fault)),
            die=lambda: self.did.append("died"),
            memory=lambda: (used, total),
            resident=lambda: mine,
        )
        self.watch.work = self.work  # type: ignore[assignment]
        self.ends = False

    def abandon(self, fault: Fault, message: str) -> Report:
        return Report(fault=fault, error=message, over=True)


def test_a_worker_that_is_well_only_calls_in():
    worker = Worker()
    worker.watch.look()
    assert worker.did == [("pulse", "pack", GIB)]
    worker.ends = True
    worker.watch.look()
    assert worker.work.ending


def test_a_task_that_takes_too_long():
    worker = Worker(idle=61)
    worker.watch.look()
    assert worker.did[1:] == [("pack", Fault.TIMEOUT), "died"]


@pytest.mark.parametrize(
    ("mine", "used", "dies"),
    [
        (30, 91, True),  # the machine is short, and this one holds more than half its share of 22
        (30, 89, False),
        (5, 91, False),  # its neighbours are to blame
    ],
)
def test_memory(mine, used, dies):
    worker = Worker(mine=mine * GIB, used=used * GIB)
    worker.watch.look()
    assert worker.did[1:] == ([("pack", Fault.MEMORY), "died"] if dies else [])


def test_it_dies_even_when_nobody_listens():
    worker = Worker(idle=61)

    def abandon(fault: Fault, message: str) -> Report:
        raise OSError("no store")

    worker.work.abandon = abandon
    with pytest.raises(OSError):
        worker.watch.look()
    assert worker.did[-1] == "died"


def test_between_packs_there_is_nothing_to_watch():
    worker = Worker(idle=61)
    worker.watch.work = None
    worker.watch.look()
    assert worker.did == []


def test_the_memory_of_this_process():
    held = resident()
    ballast = b"x" * 50_000_000
    assert resident() - held > 40_000_000
    assert len(ballast) < resident()


def test_the_memory_of_a_machine_and_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    machine = SimpleNamespace(total=1000 * 1024, available=400 * 1024)
    monkeypatch.setattr("psutil.virtual_memory", lambda: machine)
    assert machine_memory(tmp_path) == (600 * 1024, 1000 * 1024)

    (tmp_path / "memory.max").write_text("max\n")
    assert machine_memory(tmp_path) == (600 * 1024, 1000 * 1024)

    (tmp_path / "memory.max").write_text("500000\n")
    (tmp_path / "memory.current").write_text("400000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 50000\nactive_file 30000\n")
    assert machine_memory(tmp_path) == (320_000, 500_000)
