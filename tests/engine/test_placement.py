import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.engine.placement import place_workers, slots
from sweeper.errors import SweeperError
from sweeper.spec.job.sweep import Engine


def test_auto_fills_the_cores_where_there_is_no_gpu():
    placement = place_workers(Engine(), [{"CPU": 4.0}, {"CPU": 3.0, "memory": 1e9}])
    assert (placement.workers, placement.bundle, placement.threads) == (7, {"CPU": 1}, 1)


def test_auto_puts_four_workers_on_a_gpu():
    placement = place_workers(Engine(), [{"CPU": 16.0, "GPU": 2.0}])
    assert (placement.workers, placement.bundle) == (8, {"CPU": 1, "GPU": 0.25})


def test_a_head_without_tasks_holds_nobody():
    assert place_workers(Engine(cpus=2), [{"CPU": 0.0}, {"CPU": 5.0}]).workers == 2


def test_gpus_can_be_turned_off_or_taken_whole():
    assert place_workers(Engine(gpus=0), [{"CPU": 4.0, "GPU": 1.0}]).bundle == {"CPU": 1}
    assert place_workers(Engine(gpus=2), [{"CPU": 64.0, "GPU": 5.0}]).workers == 2


def test_a_number_of_workers_is_taken_at_its_word():
    assert place_workers(Engine(workers=500), [{"CPU": 4.0}]).workers == 500, "an autoscaler may bring the nodes"


def test_a_worker_that_fits_nowhere_is_a_mistake():
    with pytest.raises(SweeperError, match=r"a worker of 8 CPUs and 0 GPUs fits on no node"):
        place_workers(Engine(cpus=8), [{"CPU": 4.0}])


def test_bfloat16_is_for_gpus():
    assert place_workers(Engine(precision="bfloat16"), [{"CPU": 4.0, "GPU": 1.0}]).workers == 4
    for engine, node in (
        (Engine(precision="bfloat16"), {"CPU": 4.0}),
        (Engine(precision="bfloat16", gpus=0), {"GPU": 1.0}),
    ):
        with pytest.raises(SweeperError, match=r"engine\.precision: bfloat16 needs GPUs, and no worker has one"):
            place_workers(engine, [node])


def test_threads_of_a_share_of_a_core():
    assert place_workers(Engine(cpus=0.5), [{"CPU": 2.0}]).threads == 1
    assert place_workers(Engine(cpus=3.9), [{"CPU": 8.0}]).threads == 3


@given(
    st.integers(0, 64), st.integers(0, 8), st.sampled_from([0.25, 0.5, 1, 2, 3.5]), st.sampled_from([0, 0.1, 0.4, 1, 2])
)
def test_no_node_is_overbooked(cpu, gpu, cpus, gpus):
    n = slots({"CPU": cpu, "GPU": gpu}, cpus, gpus)
    assert n * cpus <= cpu + 1e-6
    assert n * gpus <= gpu + 1e-6
