"""Tests of the pool of workers: which are free, what the autoscaler is asked for, what the user is told."""

import pytest

from sweeper.engine.placement import Node, Shape
from sweeper.engine.worker_pool import STARVED_SECONDS, WorkerPool
from sweeper.errors import SetupError, SweeperError
from sweeper.spec.job.sweep import Engine

CPU, GPU = Shape(1, 0), Shape(1, 0.25)
HEAD = Node({"CPU": 0.0})


class Source:
    """Nodes that the test sets, and the number of workers that the pool asked for."""

    def __init__(self, *nodes: Node, kinds: tuple[Node, ...] = ()):
        self.nodes, self.kinds = nodes, kinds
        self.wanted: dict[Shape, int] = {}


def node(cpus: float, gpus: float = 0) -> Node:
    """Return a node with these resources."""
    return Node({"CPU": cpus, "GPU": gpus})


def fill(pool: WorkerPool) -> list[Shape]:
    """Send a pack to every free worker and return the workers' shapes in order."""
    taken = []
    while shape := pool.free_shape():
        pool.take(f"pack {len(taken)}", shape)
        taken.append(shape)
    return taken


def test_gpus_are_filled_first_then_the_other_cores():
    assert fill(WorkerPool(Engine(), Source(HEAD, node(2), node(6, 1)), grows=True)) == [GPU] * 4 + [CPU] * 4


def test_the_pool_grows_and_shrinks_with_the_nodes():
    source = Source(HEAD)
    pool = WorkerPool(Engine(), source, grows=True)
    assert pool.free_shape() is None
    source.nodes = (HEAD, node(2))
    assert fill(pool) == [CPU, CPU]
    source.nodes = (HEAD, node(2), node(8, 1))
    assert pool.free_shape() == GPU
    source.nodes = (HEAD, node(1))
    pool.release("pack 0")
    assert pool.free_shape() is None, "the other worker is busy"
    pool.release("pack 1")
    assert pool.free_shape() == CPU


def test_a_number_of_workers_limits_all_shapes_together():
    assert fill(WorkerPool(Engine(workers=5), Source(node(64), node(8, 1)), grows=True)) == [GPU] * 4 + [CPU]


def test_the_autoscaler_is_asked_for_a_worker_per_pack_on_the_kind_of_node_that_it_can_add():
    source = Source(HEAD, kinds=(node(8, 1),))
    WorkerPool(Engine(), source, grows=True).want(30)
    assert source.wanted == {GPU: 30}
    WorkerPool(Engine(workers=8), source, grows=True).want(30)
    assert source.wanted == {GPU: 8}
    source = Source(HEAD)
    WorkerPool(Engine(gpus=0.5), source, grows=True).want(3)
    assert source.wanted == {Shape(1, 0.5): 3}, "gpus may be declared for nodes to come"
    pool = WorkerPool(Engine(), source, grows=True)
    pool.want(3)
    assert source.wanted == {CPU: 3}
    pool.want(0)
    assert source.wanted == {}, "nodes may be removed again"


def test_a_large_plan_asks_for_a_bounded_number_of_workers():
    source = Source(node(10))
    WorkerPool(Engine(), source, grows=True).want(1_000_000)
    assert source.wanted == {CPU: 1010}


def test_the_user_is_told_what_the_run_waits_for_and_for_how_long():
    seconds, source = [0.0], Source(HEAD)
    pool = WorkerPool(Engine(gpus=0.25), source, grows=True, clock=lambda: seconds[0])
    pool.want(12)
    pool.waiting_text()
    seconds[0] = 75
    assert pool.waiting_text() == (
        "waiting for a node with 1 CPU and 0.25 GPUs, 1 min 15 s; the cluster has 1 node with 0 CPUs, "
        "and its autoscaler was asked for 12 workers"
    )
    source.nodes = (HEAD, node(8, 1))
    assert pool.waiting_text() == "waiting for a worker to start, 1 min 15 s"
    pool.take("pack", GPU)
    pool.start("pack")
    assert pool.waiting_text() == ""
    pool.release("pack")
    assert pool.waiting_text() == "", "between two packs, no worker is busy for a moment"


def test_packs_that_wait_for_workers_on_lost_nodes_are_taken_back_after_a_while():
    seconds, source = [0.0], Source(HEAD, node(4, 1))
    pool = WorkerPool(Engine(), source, grows=True, clock=lambda: seconds[0])
    pool.take("pack", GPU)
    assert not pool.starved()
    source.nodes = (HEAD, node(4))
    assert not pool.starved()
    seconds[0] = STARVED_SECONDS
    assert pool.starved()
    pool.start("pack")
    assert not pool.starved(), "it got another worker"


def test_a_worker_that_fits_on_no_node_is_refused_where_none_can_join():
    with pytest.raises(SweeperError, match=r"a worker of 8 CPUs fits on no node of the cluster"):
        WorkerPool(Engine(cpus=8), Source(node(4)), grows=False)
    WorkerPool(Engine(cpus=8), Source(node(4)), grows=True)
    with pytest.raises(SetupError, match=r"nor on a node that its autoscaler can add \(4 CPUs and 1 GPU\)"):
        WorkerPool(Engine(cpus=8), Source(HEAD, kinds=(node(4, 1),)), grows=True)


def test_a_kind_of_node_with_unknown_resources_may_hold_any_worker():
    WorkerPool(Engine(cpus=8), Source(HEAD, kinds=(node(4, 1), Node({}))), grows=True)


def test_bfloat16_without_a_gpu_is_refused_unless_one_can_join():
    for engine, nodes, grows in (
        (Engine(precision="bfloat16"), [node(4)], False),
        (Engine(precision="bfloat16", gpus=0), [node(4, 1)], True),
    ):
        with pytest.raises(SweeperError, match=r"engine\.precision: bfloat16 needs GPUs, and no worker has one"):
            WorkerPool(engine, Source(*nodes), grows=grows)
    WorkerPool(Engine(precision="bfloat16"), Source(node(4)), grows=True)
