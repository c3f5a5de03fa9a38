"""Tests with a task that exhausts the machine's memory: only that task fails, whether Ray or the watchdog kills it."""

import os

import pytest
from support.toy_run import Toys

from sweeper.machine import machine_memory

GIB = 2**30


@pytest.mark.slow
def test_after_a_kill_by_ray_the_sweep_continues_in_a_new_fit(toy_environment, tmp_path, monkeypatch):
    """Set Ray's limit slightly above the used memory, so that Ray kills the worker before the watchdog does."""
    used, total = machine_memory()
    if total - used < 10 * GIB:
        pytest.skip("less than 10 GiB of free memory")
    monkeypatch.setenv("RAY_memory_usage_threshold", f"{(used + 3 * GIB) / total:.3f}")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    toys = Toys(tmp_path)
    large_task = _middle_stitch(toys)
    toys.set_rules({large_task: "eat 6"})
    summary = toys.run()
    assert (summary.outcome, summary.done, summary.failed) == ("failed", 83, 1)
    assert toys.failures()[large_task][0] == "out of memory"


@pytest.mark.slow
def test_the_watchdog_ends_a_worker_before_ray_does(toy_environment, tmp_path, monkeypatch):
    """Set the watchdog's limit slightly above the used memory, so that it ends the worker before Ray does."""
    used, total = machine_memory()
    if total - used < 10 * GIB:
        pytest.skip("less than 10 GiB of free memory")
    toys = Toys(tmp_path)
    large_task = _middle_stitch(toys)
    toys.set_rules({large_task: "eat 6"})
    monkeypatch.setenv("SWEEPER_MEMORY_LIMIT", f"{(used + 2 * GIB) / total:.3f}")
    summary = toys.run()
    assert (summary.outcome, summary.done, summary.failed) == ("failed", 83, 1)
    error, message, _ = toys.failures()[large_task]
    assert error == "out of memory"
    assert "GiB when the machine ran short of memory" in message


def test_used_memory_is_less_than_total_memory():
    used, total = machine_memory()
    assert 0 < used < total <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _middle_stitch(toys: Toys) -> str:
    """Return the id of the second task of the smallest stitch pack."""
    return min((pack for pack in toys.plan.packs() if pack.inputs), key=lambda pack: len(pack.tasks)).tasks[1]
