"""Tests of the placement of workers on nodes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.engine.placement import place_workers, slots
from sweeper.errors import SweeperError
from sweeper.spec.job.sweep import Engine


def test_without_a_gpu_auto_starts_one_worker_per_core():
    placement = place_workers(Engine(), [{"CPU": 4.0}, {"CPU": 3.0, "memory": 1e9}])
    assert (placement.workers, placement.bundle, placement.threads) == (7, {"CPU": 1}, 1)


def test_auto_puts_four_workers_on_a_gpu():
    placement = place_workers(Engine(), [{"CPU": 16.0, "GPU": 2.0}])
    assert (placement.workers, placement.bundle) == (8, {"CPU": 1, "GPU": 0.25})


def test_a_node_without_cpus_holds_no_worker():
    assert place_workers(Engine(cpus=2), [{"CPU": 0.0}, {"CPU": 5.0}]).workers == 2


def test_a_worker_may_have_no_gpu_or_several():
    assert place_workers(Engine(gpus=0), [{"CPU": 4.0, "GPU": 1.0}]).bundle == {"CPU": 1}
    assert place_workers(Engine(gpus=2), [{"CPU": 64.0, "GPU": 5.0}]).workers == 2


def test_a_given_number_of_workers_is_used_unchanged():
    assert place_workers(Engine(workers=500), [{"CPU": 4.0}]).workers == 500, "an autoscaler may add nodes"


def test_a_worker_that_fits_on_no_node_is_refused():
    with pytest.raises(SweeperError, match=r"a worker of 8 CPUs and 0 GPUs fits on no node"):
        place_workers(Engine(cpus=8), [{"CPU": 4.0}])


def test_bfloat16_without_a_gpu_is_refused():
    assert place_workers(Engine(precision="bfloat16"), [{"CPU": 4.0, "GPU": 1.0}]).workers == 4
    for engine, node in (
        (Engine(precision="bfloat16"), {"CPU": 4.0}),
        (Engine(precision="bfloat16", gpus=0), {"GPU": 1.0}),
    ):
        with pytest.raises(SweeperError, match=r"engine\.precision: bfloat16 needs GPUs, and no worker has one"):
            place_workers(engine, [node])


def test_a_worker_has_at_least_one_thread_and_at_most_one_per_whole_core():
    assert place_workers(Engine(cpus=0.5), [{"CPU": 2.0}]).threads == 1
    assert place_workers(Engine(cpus=3.9), [{"CPU": 8.0}]).threads == 3


@given(
    st.integers(0, 64), st.integers(0, 8), st.sampled_from([0.25, 0.5, 1, 2, 3.5]), st.sampled_from([0, 0.1, 0.4, 1, 2])
)
def test_workers_never_need_more_than_a_node_has(cpu, gpu, cpus, gpus):
    n = slots({"CPU": cpu, "GPU": gpu}, cpus, gpus)
    assert n * cpus <= cpu + 1e-6
    assert n * gpus <= gpu + 1e-6
