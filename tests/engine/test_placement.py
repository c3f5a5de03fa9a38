"""Tests of the shapes of workers and of their number on a node."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.engine.placement import Node, Shape, possible_shapes, shapes, slots, slots_by_shape, threads, workers_on
from sweeper.spec.job.sweep import Engine


def node(cpus: float = 0, gpus: float = 0, **labels: str) -> Node:
    """Return a node with these resources and labels."""
    return Node({"CPU": cpus, "GPU": gpus, "memory": 1e9}, labels)


def counts(engine: Engine, *nodes: Node) -> dict[str, int]:
    """Return the number of workers by their resources, over all nodes."""
    total: dict[str, int] = {}
    for each_node in nodes:
        for shape, count in slots_by_shape(each_node, shapes(engine, nodes)).items():
            total[str(shape)] = total.get(str(shape), 0) + count
    return total


def test_without_a_gpu_auto_has_a_worker_per_core():
    assert counts(Engine(), node(4), node(3)) == {"1 CPU": 7}


def test_auto_puts_four_workers_on_a_gpu_and_fills_the_other_cores():
    assert counts(Engine(), node(16, 2)) == {"1 CPU and 0.25 GPUs": 8, "1 CPU": 8}


def test_auto_fills_a_node_of_64_cores_beside_a_node_with_a_gpu():
    assert counts(Engine(), node(64), node(8, 1)) == {"1 CPU and 0.25 GPUs": 4, "1 CPU": 68}


def test_a_head_without_cpus_holds_no_worker():
    assert counts(Engine(cpus=2), node(0), node(5)) == {"2 CPUs": 2}


def test_a_number_of_gpus_gives_one_shape_whatever_the_nodes_have():
    assert counts(Engine(gpus=0), node(4, 1)) == {"1 CPU": 4}
    assert counts(Engine(gpus=2), node(64, 5), node(64)) == {"1 CPU and 2 GPUs": 2}
    assert shapes(Engine(gpus=0.5), []) == (Shape(1, 0.5),), "declared for nodes to come"


def test_bfloat16_needs_a_gpu():
    assert counts(Engine(precision="bfloat16"), node(4, 1), node(8)) == {"1 CPU and 0.25 GPUs": 4}


def test_a_label_selector_chooses_nodes():
    engine = Engine(label_selector={"gpu": "in(A100, H100)", "market": "!spot"})
    assert counts(engine, node(8, 1, gpu="A100"), node(8, 1, gpu="T4"), node(8)) == {
        "1 CPU and 0.25 GPUs on a node with gpu: in(A100, H100), market: !spot": 4,
        "1 CPU on a node with gpu: in(A100, H100), market: !spot": 4,
    }
    assert not any(counts(engine, node(8, 1, gpu="H100", market="spot")).values())


def test_a_worker_has_at_least_one_thread_and_at_most_one_per_whole_core():
    assert [threads(Engine(cpus=cpus)) for cpus in (0.5, 1, 3.9)] == [1, 1, 3]


def test_the_workers_of_a_node_share_its_memory():
    assert workers_on(node(8, 1), Engine(), [node(8, 1)]) == 8
    assert workers_on(node(8, 1), Engine(workers=3), [node(8, 1)]) == 3
    assert workers_on(node(0), Engine(), []) == 1


@pytest.mark.parametrize("engine", [Engine(), Engine(gpus=1), Engine(precision="bfloat16")])
def test_a_run_has_at_most_three_shapes_with_different_names(engine):
    names = [shape.name for shape in possible_shapes(engine)]
    assert len(set(names)) == len(names) <= 3
    assert set(shapes(engine, [node(8, 1)])) <= set(possible_shapes(engine))


@given(
    st.integers(0, 64), st.integers(0, 8), st.sampled_from([0.25, 0.5, 1, 2, 3.5]), st.sampled_from([0, 0.1, 0.4, 1, 2])
)
def test_workers_never_need_more_than_a_node_has(cpu, gpu, cpus, gpus):
    n = slots(node(cpu, gpu), Shape(cpus, gpus))
    assert n * cpus <= cpu + 1e-6
    assert n * gpus <= gpu + 1e-6


@given(st.integers(0, 64), st.integers(0, 8), st.sampled_from([0.25, 0.5, 1, 2, 3.5]))
def test_workers_of_all_shapes_together_fit_and_leave_no_cpu_for_another(cpu, gpu, cpus):
    by_shape = slots_by_shape(node(cpu, gpu), shapes(Engine(cpus=cpus), [node(cpu, gpu)]))
    used = sum(count * shape.cpus for shape, count in by_shape.items())
    assert cpu - cpus < used + 1e-6
    assert used <= cpu + 1e-6
    assert sum(count * shape.gpus for shape, count in by_shape.items()) <= gpu + 1e-6
