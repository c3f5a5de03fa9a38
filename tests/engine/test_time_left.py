"""Tests of the estimated time until the end of a run, and of its spread in simulated runs."""

import heapq
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.engine.time_left import MOST_SAMPLES, Pace, estimate_left


@given(st.floats(0.1, 1e4), st.floats(0.1, 10), st.integers(1, 64))
def test_after_half_of_the_work_the_other_half_takes_as_long(total, speed, workers):
    """Check that neither the plan's unit of time nor the number of workers changes the estimate."""
    elapsed = total / 2 * speed / workers
    assert estimate_left(total / 2, total / 2, elapsed) == pytest.approx(elapsed)


def test_without_finished_work_there_is_no_estimate():
    assert estimate_left(10, 0, 5) is None


def simulate(seed: int, workers: int, packs: int, spread: float, share: float) -> tuple[float, tuple[float, float]]:
    """Simulate a run whose packs take longer or shorter than planned; return the true time left and its range.

    Args:
        seed: Of the random durations.
        workers: The number of workers.
        packs: The number of packs, of 20 tasks each.
        spread: Standard deviation of the logarithm of a pack's duration.
        share: The share of the tasks that have ended when the range is asked for.
    """
    rng, free_at, ends, durations = random.Random(seed), [0.0] * workers, [], []
    for _ in range(packs):
        start = time = heapq.heappop(free_at)
        factor = rng.lognormvariate(0, spread)
        for _ in range(20):
            time += 1.5 * factor * rng.lognormvariate(0, 0.3)
            ends.append(time)
        durations.append((time, time - start))
        heapq.heappush(free_at, time)
    ends.sort()
    pace, count = Pace(), int(share * len(ends))
    for number, end in enumerate(ends[:count]):
        pace.record(end, 1.5 * (number + 1))
    now = ends[count - 1]
    for end, seconds in durations:
        if end <= now:
            pace.record_pack(seconds)
    left_range = pace.left_range(1.5 * (len(ends) - count), now)
    assert left_range is not None
    return ends[-1] - now, left_range


@pytest.mark.parametrize(("workers", "packs", "share"), [(4, 400, 0.5), (4, 100, 0.3), (16, 400, 0.5)])
def test_the_end_lies_in_its_range_in_about_nine_of_ten_runs(workers, packs, share):
    results = [simulate(seed, workers, packs, 0.5, share) for seed in range(100)]
    hits = sum(low <= left <= high for left, (low, high) in results)
    assert 82 <= hits <= 100
    assert sorted(high / low for _, (low, high) in results)[50] < 2, "the range says something"


def test_the_range_is_unknown_at_the_start_and_memory_is_bounded():
    pace = Pace()
    assert pace.left_range(10.0, 5.0) is None
    for second in range(20 * MOST_SAMPLES):
        pace.record(float(second), float(second))
    low, high = pace.left_range(1000.0, 20.0 * MOST_SAMPLES) or (0.0, 0.0)
    assert 900 < low < 1000 < high < 1100
    assert len(pace._times) <= MOST_SAMPLES
