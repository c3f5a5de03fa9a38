"""Tests of a run whose Ray dies: it ends within a minute, says why and how to continue, and records its end."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import toys
from support.driver_process import Driver, until
from support.stopwatch import Stopwatch

from sweeper.engine.interrupt import IN_RAY_JOB
from sweeper.store.store import Store

JOB = """\
name: toy
dataset: digits
models:
  weak: {arch: resnet18k, width: 4, samples: 100, steps: 20, seed: [0, 1]}
  strong: {arch: resnet18k, width: 4, samples: 300, steps: 20, seed: [10, 11]}
stitch: [{bottom: strong, top: weak}]
similarity: [{bottom: strong, top: weak}]
engine: {workers: 2, pack_seconds: 3, cpus: 1}
"""


@pytest.fixture
def running(toy_environment: None, tmp_path: Path) -> Iterator[Callable[..., Driver]]:
    """Return a function that starts `sweeper run` with a rule for its tasks and waits until several have begun."""
    started: list[Driver] = []

    def start(rule: str, **environment: str) -> Driver:
        (tmp_path / "rules.json").write_text(json.dumps({"*": rule}))
        (tmp_path / "toy.yaml").write_text(JOB)
        environment |= {"TOYS": str(tmp_path / "rules.json")}
        driver = Driver.of_command(tmp_path / "store", "run", str(tmp_path / "toy.yaml"), **environment)
        started.append(driver)
        assert until(lambda: len(toys.log(tmp_path / "rules.json")) >= 6, 240)
        return driver

    yield start
    for driver in started:
        driver.kill_all()


@pytest.mark.parametrize(
    ("service", "number", "reason"),
    [
        ("raylet", signal.SIGKILL, "raylet on this machine"),
        pytest.param("gcs_server", signal.SIGKILL, "has not answered", marks=pytest.mark.slow),
        pytest.param("gcs_server", signal.SIGSTOP, "has not answered", marks=pytest.mark.slow),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_a_run_whose_ray_dies_ends_with_one_sentence_and_its_end_row(running, tmp_path, service, number, reason):
    driver = running("sleep 0.5")
    for pid in driver.alive():
        if service in _program(pid):
            os.kill(pid, number)
    stopwatch = Stopwatch()
    out, err = driver.end(timeout=120)
    assert stopwatch.free_seconds < 60
    assert driver.process.returncode == 1
    assert out == ""
    assert "Traceback" not in err
    [message] = [line for line in err.splitlines() if reason in line]
    assert "finished tasks are kept" in message
    assert f"sweeper resume --store {tmp_path / 'store'} --job toy" in err
    store = Store.open(str(tmp_path / "store"))
    assert [row.outcome for row in store.runs()] == ["", "failed"]
    assert store.driver() is None, "the lease is free"
    assert driver.workers_end()


def test_a_second_signal_still_prints_how_to_continue(running, tmp_path):
    driver = running("hang 4")
    driver.signal(signal.SIGINT)
    assert not until(lambda: driver.process.poll() is not None, 1.5), "its tasks have ten seconds"
    driver.signal(signal.SIGINT)
    _, err = driver.end(timeout=60)
    assert driver.process.returncode == 130, err
    assert "Traceback" not in err
    assert err.count("stopping; finished tasks are kept") == 1
    assert f"continue:  sweeper resume --store {tmp_path / 'store'}" in err
    assert [row.outcome for row in Store.open(str(tmp_path / "store")).runs()] == ["", "interrupted"]
    assert driver.all_end()


@pytest.mark.slow
def test_a_driver_in_a_ray_job_records_its_end_before_ray_kills_it(running, tmp_path):
    """Check SIGTERM while every task hangs: `ray job stop` kills a driver three seconds later."""
    driver = running("hang 4", **{IN_RAY_JOB: "{}"})
    store = Store.open(str(tmp_path / "store"))
    stopwatch = Stopwatch()
    driver.signal(signal.SIGTERM)
    assert until(lambda: len(store.runs()) == 2, 60)
    assert stopwatch.free_seconds < 3
    _, err = driver.end(timeout=60)
    assert driver.process.returncode == 130, err
    assert [row.outcome for row in store.runs()] == ["", "interrupted"]
    assert driver.all_end()


def _program(pid: int) -> str:
    """Return the path of a process's program; "" if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    except OSError:
        return ""
