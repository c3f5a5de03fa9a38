"""Tests of Ctrl-C, SIGTERM and SIGKILL on a driver process: which rows are stored, and that no process is left."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import toys
from support.driver_process import Driver, until
from support.toys import toy_sweep

from sweeper.engine.interrupt import Interrupt, Overdue
from sweeper.plan.plan import Plan
from sweeper.store.store import Store

PLAN = Plan.of(toy_sweep())


@pytest.fixture
def drivers(toy_environment: None, tmp_path: Path) -> Iterator:
    """Return a function that starts a driver on a store, with the rules of `support.toys` for its tasks."""
    started: list[Driver] = []

    def start(rules: dict[str, str] | None = None) -> Driver:
        (tmp_path / "rules.json").write_text(json.dumps(rules or {}))
        started.append(Driver(tmp_path / "store", "support.toys:perform", TOYS=str(tmp_path / "rules.json")))
        return started[-1]

    yield start
    for driver in started:
        driver.kill_all()


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_after_the_first_signal_running_tasks_end_and_are_stored(drivers, tmp_path, number):
    """Check that the results of running tasks are stored and that the run's outcome is `interrupted`."""
    driver = drivers({"*": "sleep 0.3"})
    assert until(lambda: len(toys.log(tmp_path / "rules.json")) >= 10)
    driver.signal(number)
    out, err = driver.end()
    assert driver.process.returncode == 0, err
    summary = json.loads(out)
    assert summary["outcome"] == "interrupted"
    assert driver.all_end()

    store = Store.open(str(tmp_path / "store"))
    started_tasks = [task for task, _, _ in toys.log(tmp_path / "rules.json")]
    assert set(started_tasks) == store.done(), "every task that had started ended and was stored"
    assert len(started_tasks) == summary["done"] < 84
    assert [row.outcome for row in store.runs()] == ["", "interrupted"]


@pytest.mark.slow
def test_a_task_that_does_not_end_is_dropped_after_the_grace_period(drivers, tmp_path):
    hanging = PLAN.models[0].id
    driver = drivers({hanging: "hang"})
    assert until(lambda: len(toys.log(tmp_path / "rules.json")) >= 6)
    driver.signal(signal.SIGINT)
    out, err = driver.end(timeout=60)
    assert json.loads(out)["outcome"] == "interrupted", err
    assert driver.all_end()
    assert hanging not in Store.open(str(tmp_path / "store")).done()


@pytest.mark.slow
def test_the_second_signal_ends_the_run_at_once(drivers, tmp_path):
    driver = drivers({PLAN.models[0].id: "hang"})
    assert until(lambda: len(toys.log(tmp_path / "rules.json")) >= 6)
    driver.signal(signal.SIGINT)
    assert not until(lambda: driver.process.poll() is not None, 1.0)
    driver.signal(signal.SIGINT)
    _, err = driver.end(timeout=30)
    assert driver.process.returncode != 0
    assert "KeyboardInterrupt" in err
    assert driver.all_end()


def test_the_workers_of_a_killed_driver_end_and_the_next_driver_runs_the_missing_tasks(drivers, tmp_path):
    driver = drivers({"*": "sleep 0.2"})
    assert until(lambda: (tmp_path / "store/rows/stitches").exists())
    driver.signal(signal.SIGKILL)
    assert driver.workers_end(), "no worker outlives its driver"
    store = Store.open(str(tmp_path / "store"))
    done = store.done()
    assert 0 < len(done) < 84

    started_before = len(toys.log(tmp_path / "rules.json"))
    out, err = drivers({}).end()
    assert json.loads(out)["outcome"] == "complete", err
    run_next = [task for task, _, _ in toys.log(tmp_path / "rules.json")[started_before:]]
    assert sorted(run_next) == sorted(set(PLAN.ids()) - done), "each missing task runs once, and no other"
    receipts = store.sql("select task from attempts where outcome = 'done'")["task"].to_pylist()
    assert Counter(receipts) == Counter(PLAN.ids())


def test_the_grace_period_starts_at_the_first_request():
    seconds = [0.0]
    interrupt = Interrupt(grace=10, clock=lambda: seconds[0])
    seconds[0] = 100.0
    interrupt.raise_if_overdue()
    interrupt.request_end()
    seconds[0] = 109.0
    interrupt.request_end()  # the second request does not restart the grace period
    interrupt.raise_if_overdue()
    seconds[0] = 110.5
    with pytest.raises(Overdue):
        interrupt.raise_if_overdue()


def test_the_first_signal_raises_where_no_task_runs_and_requests_the_end_where_one_may():
    with Interrupt() as interrupt:
        interrupt.end_at_once()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        assert (interrupt.end_requested, interrupt.signals) == (True, 1)
    with Interrupt() as interrupt:
        interrupt.end_at_once()
        interrupt.let_tasks_end()
        interrupt.raise_if_ending()
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            interrupt.raise_if_ending()


def test_a_hangup_requests_the_end_and_is_never_the_second_signal():
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGHUP)
        assert interrupt.end_requested
        signal.raise_signal(signal.SIGHUP)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_a_hangup_that_is_ignored_as_under_nohup_stays_ignored():
    old_handler = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            signal.raise_signal(signal.SIGHUP)
            assert not interrupt.end_requested
    finally:
        signal.signal(signal.SIGHUP, old_handler)


def test_a_run_whose_terminal_closes_ends_without_an_error():
    """Close the terminal's other end before the signal, and write to it afterwards."""
    script = """
import os, sys, time
from sweeper.engine.interrupt import Interrupt
with Interrupt() as interrupt:
    print("ready", flush=True)
    while not interrupt.end_requested:
        time.sleep(0.01)
    print("still writing", file=sys.stderr, flush=True)
    print("still writing", flush=True)
    os._exit(7)
"""
    terminal, end = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", script], stdin=end, stdout=end, stderr=end)
    os.close(end)
    assert os.read(terminal, 100).startswith(b"ready")
    os.close(terminal)
    process.send_signal(signal.SIGHUP)
    assert process.wait(20) == 7


def test_the_old_signal_handlers_are_restored():
    old_handler = signal.getsignal(signal.SIGINT)
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGTERM)
        assert interrupt.end_requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == old_handler
    assert signal.getsignal(signal.SIGINT) == old_handler
