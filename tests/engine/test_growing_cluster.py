"""Tests of runs on a cluster without a place for a worker at the start, whose nodes join during the run."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.driver_process import until
from support.ray_nodes import RayNodes, ray_nodes
from support.stopwatch import Stopwatch
from support.toy_places import places
from support.toy_run import Toys

PERFORMER = "support.toy_places:perform"


@pytest.fixture
def head(toy_environment: None, tmp_path: Path) -> Iterator[RayNodes]:
    """Start a cluster whose only node is a head without CPUs, as the launch files do."""
    with ray_nodes(tmp_path, "--include-dashboard=false") as cluster:
        yield cluster


@contextmanager
def meanwhile(toys: Toys, *steps: Callable[[], object]) -> Iterator[list[object]]:
    """Call the steps one after the other in a thread, for as long as each returns something; then open the gate.

    Yields:
        The results of the steps so far.
    """
    results: list[object] = []

    def call_all() -> None:
        try:
            for step in steps:
                if not (result := step()):
                    break
                results.append(result)
        finally:
            toys.open_gate()
            if len(results) < len(steps):  # otherwise the run, and with it the test, would wait for ever
                os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=call_all)
    thread.start()
    yield results
    thread.join()


def seconds_until(condition: Callable[[], object]) -> float:
    """Return the seconds until a condition is true, without those in which the machine was too busy."""
    stopwatch = Stopwatch()
    assert until(condition, timeout=100)
    print(f"{stopwatch.seconds:.1f} s, {stopwatch.free_seconds:.1f} s of them free")
    return stopwatch.free_seconds


@pytest.mark.slow
def test_a_run_waits_for_nodes_and_uses_each_that_joins_on_its_gpu_or_cpus(head, tmp_path):
    toys = Toys(tmp_path)
    toys.set_rules({"*": "gate 4"})  # the models end, then each worker waits in its next task
    sweep = toys.with_engine(address=head.address, workers="auto", gpus="auto")
    seconds_to_first_task: list[float] = []
    with meanwhile(
        toys,
        lambda: until(lambda: toys.statuses and toys.statuses[-1].waiting, timeout=100),
        lambda: head.add("gpu", cpus=2, gpus=1),
        lambda: seconds_to_first_task.append(seconds_until(places)) or seconds_to_first_task,
        lambda: until(lambda: len(toys.log) >= 6, timeout=100),
        lambda: head.add("cpu", cpus=3),
        lambda: until(lambda: sorted(node.running for node in toys.statuses[-1].nodes) == [2, 3], timeout=100),
    ) as steps:
        summary = toys.run(sweep, PERFORMER)
    assert len(steps) == 6, steps
    assert (summary.outcome, summary.done, summary.failed) == ("complete", 84, 0)

    [waiting] = {status.waiting.partition(",")[0] for status in toys.statuses if "node" in status.waiting}
    assert waiting == "waiting for a node with 1 CPU"
    assert seconds_to_first_task[0] < 10
    assert {(place.node, place.gpu) for place in places()} == {("gpu", "0"), ("cpu", "")}
    assert places()[0].node == "gpu"
    assert max(status.running for status in toys.statuses) == 5, "2 workers beside the GPU and 3 on the other node"
    receipts = toys.store.sql("select task from attempts where outcome = 'done'")["task"].to_pylist()
    assert Counter(receipts) == Counter(toys.plan.ids()), "each task once"
