"""Test of a run on a cluster of two (simulated) nodes, one of which is removed during the sweep."""

import threading
from collections import Counter
from collections.abc import Iterator

import pytest
import ray
from ray.cluster_utils import Cluster
from support.driver_process import until
from support.toy_run import Toys

from sweeper.engine import faults, searcher
from sweeper.engine.faults import Fault


@pytest.fixture
def two_nodes(toy_environment: None) -> Iterator[Cluster]:
    """Start a cluster with a head that holds no workers and two nodes that declare 2 CPUs and a GPU each."""
    cluster = Cluster()
    cluster.add_node(num_cpus=0, include_dashboard=False)
    for _ in range(2):
        cluster.add_node(num_cpus=2, num_gpus=1)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_the_loss_of_a_node_costs_no_task_and_no_retry(two_nodes, tmp_path, monkeypatch):
    toys = Toys(tmp_path)
    faults_and_messages: list[tuple[Fault, str]] = []

    def classify(error: BaseException | None) -> Fault:
        faults_and_messages.append((faults.classify(error), str(error)))
        return faults_and_messages[-1][0]

    monkeypatch.setattr(searcher, "classify", classify)
    toys.set_rules({"*": "gate 40"})
    sweep = toys.with_engine(address=two_nodes.address, workers="auto", gpus=0.5)

    steps: list[str] = []

    def remove_a_node() -> None:
        """Remove a node while each of the four workers is in a task, which none ends before the loss is noticed."""
        try:
            if until(lambda: len(toys.log) >= 44 and toys.statuses[-1].running == 4, timeout=150):
                steps.append("four workers were in a task")
                two_nodes.remove_node(next(iter(two_nodes.worker_nodes)), allow_graceful=False)
            if until(lambda: faults_and_messages, timeout=100):
                steps.append("the loss was noticed")
        finally:
            toys.open_gate()  # Otherwise the tasks, and with them the test, would wait for ever.

    remover = threading.Thread(target=remove_a_node)
    remover.start()
    summary = toys.run(sweep)
    remover.join()
    assert steps == ["four workers were in a task", "the loss was noticed"]
    assert max(status.running for status in toys.statuses) == 4, "two workers a node, with half a GPU each"
    assert (summary.outcome, summary.done, summary.failed) == ("complete", 84, 0)
    receipts = toys.store.sql("select task from attempts where outcome = 'done'")["task"].to_pylist()
    assert Counter(receipts) == Counter(toys.plan.ids())
    assert {fault for fault, _ in faults_and_messages} == {Fault.LOST}, faults_and_messages
    assert not ray.is_initialized(), "the driver has disconnected from the cluster"
