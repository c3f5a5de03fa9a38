"""Tests of the use of each node's workers."""

from sweeper.engine.node_use import SAMPLES, BusyWorker, NodeUse
from sweeper.engine.placement import Node


def node(id: str, name: str) -> Node:
    """Return a node with two CPUs."""
    return Node({"CPU": 2.0}, id=id, name=name)


def test_a_node_has_its_running_and_starting_workers_and_the_share_of_its_places_in_use():
    use, nodes = NodeUse(), [node("n1", "left"), node("n2", "right"), node("n0", "head")]
    places = {"n1": 2, "n2": 2, "n0": 0}
    use.sample(nodes, places, [BusyWorker("p1", "n1", 7.0, True), BusyWorker("p2", "n1", 1.0, False)])
    use.sample(nodes, places, [BusyWorker("p1", "n1", 9.0, True)])
    left, right = use.nodes
    assert (left.name, left.places, left.running, left.starting, left.used, left.longest) == ("left", 2, 1, 0, 0.75, 9)
    assert (right.name, right.running, right.used, right.longest) == ("right", 0, 0.0, 0.0)


def test_a_node_that_has_left_is_forgotten_and_only_the_last_samples_count():
    use, nodes = NodeUse(), [node("n1", "left"), node("n2", "right")]
    use.sample(nodes, {"n1": 1, "n2": 1}, [BusyWorker("p", "n1", 0.0, True)])
    for _ in range(SAMPLES):
        use.sample(nodes[:1], {"n1": 1}, [])
    [left] = use.nodes
    assert (left.name, left.used) == ("left", 0.0)


def test_nodes_of_one_machine_are_told_apart_by_their_ids():
    use = NodeUse()
    use.sample([node("abcdef12", "box"), node("123456ef", "box")], {"abcdef12": 1, "123456ef": 1}, [])
    assert [progress.name for progress in use.nodes] == ["box/123456", "box/abcdef"]
