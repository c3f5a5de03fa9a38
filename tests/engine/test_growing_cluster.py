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


@pytest.mark.slow
def test_a_run_waits_for_nodes_and_uses_each_that_joins_on_its_gpu_or_cpus(head, tmp_path):
    toys = Toys(tmp_path)
    toys.set_rules({"*": "gate 4"})  # the models end, then each worker waits in its next task
    sweep = toys.with_engine(address=head.address, workers="auto", gpus="auto")
    with meanwhile(
        toys,
        lambda: until(lambda: toys.statuses and toys.statuses[-1].waiting, timeout=100),
        lambda: head.add("gpu", cpus=2, gpus=1),
        lambda: until(lambda: len(toys.log) >= 6, timeout=100),
        lambda: head.add("cpu", cpus=3),
        lambda: until(lambda: sorted(node.running for node in toys.statuses[-1].nodes) == [2, 3], timeout=100),
    ) as steps:
        summary = toys.run(sweep, PERFORMER)
    assert len(steps) == 5, steps
    assert (summary.outcome, summary.done, summary.failed) == ("complete", 84, 0)

    [waiting] = {status.waiting.partition(",")[0] for status in toys.statuses if "node" in status.waiting}
    assert waiting == "waiting for a node with 1 CPU"
    first_place, joined = places()[0], steps[1]
    assert first_place.time - joined < 60, "10 s where the machine has nothing else to do"
    assert {(place.node, place.gpu) for place in places()} == {("gpu", "0"), ("cpu", "")}
    assert first_place.node == "gpu"
    assert max(status.running for status in toys.statuses) == 5, "2 workers beside the GPU and 3 on the other node"
    receipts = toys.store.sql("select task from attempts where outcome = 'done'")["task"].to_pylist()
    assert Counter(receipts) == Counter(toys.plan.ids()), "each task once"
