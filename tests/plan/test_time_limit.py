"""Tests of the time limits of packs."""

import pytest

from sweeper.plan.time_limit import LEAST_SECONDS, declared_gpus, gpus_of_a_worker, time_limit, worker_seconds
from sweeper.spec.job.sweep import Engine


def test_a_number_is_the_limit_of_every_pack():
    assert time_limit(1e6, 60.0) == time_limit(1.0, 60.0) == (60.0, "engine.timeout")
    assert str(time_limit(1.0, 60.0)) == "60 s (engine.timeout)"


@pytest.mark.parametrize(
    ("core_seconds", "gpus", "seconds"),
    [(30, 0, LEAST_SECONDS), (720, 0, LEAST_SECONDS), (7200, 0, 36_000), (7200, 0.25, LEAST_SECONDS), (1e6, 1, 50_000)],
)
def test_auto_is_five_times_the_estimate_on_the_worker_and_at_least_an_hour(core_seconds, gpus, seconds):
    assert time_limit(core_seconds, "auto", gpus).seconds == seconds


def test_a_limit_says_where_it_comes_from():
    assert str(time_limit(30, "auto")) == "3600 s (the least of engine.timeout: auto)"
    assert str(time_limit(7200, "auto")) == "36000 s (5 times its estimate, by engine.timeout: auto)"


def test_a_small_share_of_a_gpu_is_not_slower_than_a_core():
    assert worker_seconds(100, 0.001) == worker_seconds(100, 0) == 100


def test_a_worker_has_a_quarter_of_a_gpu_by_default():
    assert [gpus_of_a_worker(Engine(gpus=gpus)) for gpus in ("auto", 1, 0)] == [0.25, 1, 0]


def test_a_job_declares_gpus_only_by_a_number():
    assert declared_gpus(Engine()) == 0
    assert declared_gpus(Engine(gpus=0.5)) == 0.5
