"""Tests of the phases of a learning rate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.trials.stitching.rate_phases import PEAKS, PHASE_STEPS, RatePhases


def test_the_default_steps_are_three_phases() -> None:
    phases = RatePhases.of(3 * PHASE_STEPS)
    assert phases.ends == (PHASE_STEPS, 2 * PHASE_STEPS, 3 * PHASE_STEPS)
    assert phases.peaks == PEAKS
    assert [phases.rate(start) for start in phases.starts] == list(PEAKS)


def test_few_steps_are_one_phase_at_the_full_rate() -> None:
    assert RatePhases.of(2 * PHASE_STEPS - 1) == RatePhases((2 * PHASE_STEPS - 1,), (1.0,))


@given(st.integers(1, 5000))
def test_the_rate_falls_in_each_phase_and_the_loss_is_measured_at_its_end(steps: int) -> None:
    phases = RatePhases.of(steps)
    assert phases.ends[-1] == steps
    assert len(phases.ends) == len(phases.peaks)
    assert {0, *phases.ends} <= phases.measured <= set(range(steps + 1))
    for start, end, peak in zip(phases.starts, phases.ends, phases.peaks, strict=True):
        rates = [phases.rate(step) for step in range(start, end)]
        assert rates[0] == peak
        assert rates == sorted(rates, reverse=True)
        assert rates[-1] > 0
        assert end - start >= min(PHASE_STEPS, steps)


def test_a_step_after_the_last_phase_has_no_rate() -> None:
    with pytest.raises(StopIteration):
        RatePhases.of(10).rate(10)
