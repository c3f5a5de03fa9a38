"""A task that eats the machine's memory: whoever kills its worker, only that task fails."""

import os

import pytest
from support.toy_run import Toys

from sweeper.engine.watch import machine_memory

GIB = 2**30


@pytest.mark.slow
def test_a_kill_by_ray_ends_a_fit_and_not_the_sweep(toy_environment, tmp_path, monkeypatch):
    """Ray's threshold is put just above what the machine uses, far below the watchdog's."""
    used, total = machine_memory()
    if total - used < 10 * GIB:
        pytest.skip("too little free memory to eat")
    monkeypatch.setenv("RAY_memory_usage_threshold", f"{(used + 3 * GIB) / total:.3f}")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    toys = Toys(tmp_path)
    hungry = _in_the_middle(toys)
    toys.rules({hungry: "eat 6"})
    summary = toys.run()
    assert (summary.outcome, summary.done, summary.failed) == ("failed", 83, 1)
    assert toys.failures()[hungry][0] == "out of memory"


@pytest.mark.slow
def test_the_watchdog_is_faster_than_ray(toy_environment, tmp_path, monkeypatch):
    """Its limit, read from the environment of this test alone, is put just above what the machine uses."""
    used, total = machine_memory()
    if total - used < 10 * GIB:
        pytest.skip("too little free memory to eat")
    toys = Toys(tmp_path)
    hungry = _in_the_middle(toys)
    toys.rules({hungry: "eat 6"})
    monkeypatch.setenv("SWEEPER_MEMORY_LIMIT", f"{(used + 2 * GIB) / total:.3f}")
    summary = toys.run()
    assert (summary.outcome, summary.done, summary.failed) == ("failed", 83, 1)
    error, message, _ = toys.failures()[hungry]
    assert error == "out of memory"
    assert "GiB when the machine ran short" in message


def test_the_machine_says_how_much_memory_it_has():
    used, total = machine_memory()
    assert 0 < used < total <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _in_the_middle(toys: Toys) -> str:
    """A stitch of the smallest pack, neither its first nor its last."""
    return min((pack for pack in toys.plan.packs() if pack.inputs), key=lambda pack: len(pack.tasks)).tasks[1]
